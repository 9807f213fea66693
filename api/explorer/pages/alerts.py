"""GET /explorer/alerts and what an operator does there: look, acknowledge, snooze, resolve."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from starlette.responses import RedirectResponse

from api.access import Role
from api.alerts import AlertDesk
from api.deps import AccessDep, MaskDep, requires
from api.explorer.figures import alerts as figures
from api.explorer.figures.reading import part
from api.explorer.view import PageRoute, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_PATH = "/explorer/alerts"
_SNOOZES = {1: "1 hour", 4: "4 hours", 24: "1 day", 168: "1 week"}
_STATES = {
    "standing": "All that stand",
    "open": "Open",
    "acknowledged": "Acknowledged",
    "snoozed": "Snoozed",
    "resolved": "Resolved",
}
Note = Annotated[str, Form(max_length=2000)]


def _desk(request: Request) -> AlertDesk:
    desk: AlertDesk = request.app.state.desk
    return desk


@router.get(_PATH, dependencies=[requires(Role.viewer)])
def alerts(
    request: Request,
    access: AccessDep,
    mask: MaskDep,
    state: Literal["standing", "open", "acknowledged", "snoozed", "resolved"] = "standing",
    severity: Literal["", "info", "warning", "critical"] = "",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    states = figures.STANDING if state == "standing" else (state,)
    severities = (severity,) if severity else ()
    found = part(lambda: figures.page(_desk(request), access, mask, states, severities, cursor=cursor))
    rows, after = found.value or ([], None)
    return page(
        request, "alerts.html", "Alert desk", _PATH, problem=found.problem, alerts=rows, after=after, states=_STATES.items(),
        state=state, severity=severity,
    )  # fmt: skip


@router.get(_PATH + "/{alert_id}", dependencies=[requires(Role.viewer)])
def alert(request: Request, access: AccessDep, mask: MaskDep, alert_id: str) -> Response:
    found = figures.one(_desk(request), access, mask, alert_id)
    return page(
        request, "alert.html", found["title"], _PATH, alert=found, snoozes=_SNOOZES.items(),
        may_change=access.role >= Role.operator,
    )  # fmt: skip


@router.post(_PATH + "/{alert_id}/acknowledge", dependencies=[requires(Role.operator)])
def acknowledge(request: Request, access: AccessDep, alert_id: str, note: Note = "") -> Response:
    return _back(_desk(request).acknowledge(alert_id, access, note)["alert_id"])


@router.post(_PATH + "/{alert_id}/snooze", dependencies=[requires(Role.operator)])
def snooze(
    request: Request, access: AccessDep, alert_id: str, hours: Annotated[int, Form(ge=1, le=8760)], note: Note = ""
) -> Response:
    until = datetime.now(UTC) + timedelta(hours=hours)
    return _back(_desk(request).snooze(alert_id, access, until, note)["alert_id"])


@router.post(_PATH + "/{alert_id}/resolve", dependencies=[requires(Role.operator)])
def resolve(
    request: Request, access: AccessDep, alert_id: str, note: Annotated[str, Form(min_length=1, max_length=2000)]
) -> Response:
    return _back(_desk(request).resolve(alert_id, access, note)["alert_id"])


def _back(alert_id: str) -> Response:
    return RedirectResponse(f"{_PATH}/{alert_id}", 303)
