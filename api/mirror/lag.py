"""How far the mirror is behind, by the refresher's heartbeat: for `globalmart status` and `globalmart mirror status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lakehouse import heartbeat
from lakehouse.settings import Settings


def lag(settings: Settings) -> dict[str, Any]:
    """Per thread of the mirror: `lag_seconds` since what it shows was complete (None before the first time), rows, reason."""
    beat = heartbeat.read(settings, "refresher") or {}
    return {name: {**one, "lag_seconds": _age(one["complete_at"])} for name, one in (beat.get("mirror") or {}).items()}


def words(one: dict[str, Any]) -> str:
    """One thread of `lag` in words."""
    behind = "never complete yet" if one["lag_seconds"] is None else f"{one['lag_seconds']:.0f} s behind"
    reason = f", waits: {one['reason']}" if one["reason"] else ""
    return f"{behind}, {one['row_count']:,} rows{reason}"


def _age(at: str | None) -> float | None:
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() if at else None
