"""Alerts of the desk as the pages show them: the same rows as `/v1/alerts`, customers masked in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.access import Access
from api.alerts import AlertDesk
from api.explorer.figures.reading import Row
from api.personal import Mask
from api.routes.alerts import shown

STANDING = ("open", "acknowledged", "snoozed")


def page(
    desk: AlertDesk,
    access: Access,
    mask: Mask,
    states: Sequence[str] = STANDING,
    severities: Sequence[str] = (),
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[list[Row], str | None]:
    """Alerts seen last first, and the cursor of the next page. Raises DeskAwayError, CursorError."""
    filters = {"state": states, "severity": severities, "country": access.countries_for()}
    rows, after = desk.page(filters, limit, cursor)
    return [shown(row, mask) for row in rows], after


def one(desk: AlertDesk, access: Access, mask: Mask, alert_id: str) -> dict[str, Any]:
    """An alert with its `events`. Raises NotFoundError, DeskAwayError."""
    return shown(desk.show(alert_id, access), mask)
