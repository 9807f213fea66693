"""Alerts of the desk: list, show one, acknowledge, snooze, resolve. The desk's PostgreSQL keeps them, `api.desk` has the rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from api.access import Role
from api.alerts import AlertDesk
from api.deps import AccessDep, MaskDep, requires
from api.personal import Mask
from api.problems import responses
from api.responses import ExactJSONResponse
from api.sums import MOST_ROWS, Country

router = APIRouter(tags=["operations"])


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("NUL is no sign that PostgreSQL stores")
    return text


Text = Annotated[str, AfterValidator(_storable)]
State = Literal["open", "acknowledged", "snoozed", "resolved"]
Severity = Literal["info", "warning", "critical"]
AlertId = Annotated[
    str,
    Path(description="The alert, or at least the first six signs of its id.", max_length=200, examples=["3f9a2c41"]),
]
_LOOK = ("not-found", "invalid-request", "desk-away")
_CHANGE = (*_LOOK, "conflict")


class AlertsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field([], description="Only in this state; repeat for several.", examples=[["open"]])
    severity: list[Severity] = Field([], description="Only so grave; repeat for several.", examples=[["critical"]])
    kind: list[Text] = Field(
        [], max_length=100, description="Only of these kinds; repeat for several.", examples=[["stock_out"]]
    )
    country: list[Country] = Field([], description="Only about these countries; repeat for several.", examples=[["US"]])
    limit: int = Field(500, ge=1, le=MOST_ROWS, description="Most rows on a page.", examples=[100])
    cursor: str | None = Field(None, max_length=2000, description="`next_cursor` of the page before.")


class AlertRow(BaseModel):
    """One alert: findings that belong together, and what people did about it."""

    alert_id: str = Field(description="Its id.", examples=["3f9a2c41"])
    kind: str = Field(description="The detector or signal.", examples=["stock_out"])
    severity: Severity = Field(description="The highest there was.", examples=["critical"])
    state: State = Field(description="What people did about it.", examples=["open"])
    title: str = Field(description="One line.", examples=["House Beans is sold out"])
    detail: str = Field(description="What happened, with figures.", examples=["p1: 0 units left"])
    evidence: dict[str, Any] = Field(description="What the newest finding rests on.", examples=[{"level": 0}])
    count: int = Field(description="Findings that stand.", examples=[1])
    country: str | None = Field(description="Country that it is about.", examples=["US"])
    product_id: str | None = Field(description="Product that it is about.", examples=["p1"])
    user_id: str | None = Field(description="Customer that it is about, or the pseudonym.", examples=["u1"])
    event_at: datetime = Field(description="Event time of the first finding (UTC).")
    last_event_at: datetime = Field(description="Event time of the latest finding (UTC).")
    raised_at: datetime = Field(description="When the first finding was raised (UTC).")
    last_seen_at: datetime = Field(description="When the desk took the latest finding (UTC).")
    snoozed_until: datetime | None = Field(description="Until when nothing is said of it (UTC).")
    changed_by: str = Field(description="Who changed it last; `desk` where nobody did.", examples=["ada"])
    changed_at: datetime = Field(description="When it was changed last (UTC).")
    reason: str | None = Field(description="Why it was resolved.", examples=["restocked"])
    previous_alert_id: str | None = Field(description="The alert of the same trouble before this one.")
    revision: int = Field(description="How often something happened to it.", examples=[1])


class AlertEvent(BaseModel):
    """Something that happened to an alert."""

    at: datetime = Field(description="When (UTC).")
    what: str = Field(
        description="opened, reopened, escalated, acknowledged, snoozed or resolved.", examples=["opened"]
    )
    who: str = Field(description="By whom.", examples=["desk"])
    note: str = Field(description="In which words.", examples=[""])


class AlertDetail(AlertRow):
    """One alert with its history."""

    events: list[AlertEvent] = Field(description="What happened to it, in order.")


class AlertsList(BaseModel):
    """A page of alerts. They change while one reads: the version is the highest revision on the page."""

    data: list[AlertRow] = Field(description="The rows of this page.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")
    table_version: int = Field(description="Highest revision among these alerts.")
    known_at: datetime = Field(description="When this was read (UTC).")


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"description": "Words for the audit and the notice."})

    note: Text = Field(
        "", max_length=2000, description="Words for the audit and the notice.", examples=["I look at it"]
    )


class Resolution(Note):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"description": "Why it is over."})

    note: Text = Field(min_length=1, max_length=2000, description="Why it is over.", examples=["restocked"])


def _within_years(moment: datetime) -> datetime:
    if not 2000 < moment.year < 2200:
        raise ValueError("the year is out of range")
    return moment.astimezone(UTC)


class Snooze(Note):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"description": "Until when nothing is said of it."})

    until: Annotated[AwareDatetime, AfterValidator(_within_years)] = Field(
        description="Nothing is said of it before this moment, RFC 3339 with zone.", examples=["2099-01-01T00:00:00Z"]
    )


def _desk(request: Request) -> AlertDesk:
    desk: AlertDesk = request.app.state.desk
    return desk


@router.get(
    "/v1/alerts",
    dependencies=[requires(Role.viewer)],
    summary="Alerts",
    response_description="A page of alerts",
    response_model=AlertsList,
    responses=responses("bad-cursor", "invalid-request", "desk-away"),
)
def alerts(
    request: Request, access: AccessDep, mask: MaskDep, query: Annotated[AlertsQuery, Query()]
) -> ExactJSONResponse:
    """Alerts, the latest first, with what people did about them. A key for some countries sees alerts about these only."""
    countries = access.countries_for(query.country)
    rows, cursor = _desk(request).page(
        {"state": query.state, "severity": query.severity, "kind": query.kind, "country": countries},
        query.limit, query.cursor,
    )  # fmt: skip
    data = [AlertRow(**_shown(row, mask)) for row in rows]
    version = max((row.revision for row in data), default=0)
    return ExactJSONResponse(
        AlertsList(data=data, next_cursor=cursor, table_version=version, known_at=datetime.now(UTC))
    )


@router.get(
    "/v1/alerts/{alert_id}",
    dependencies=[requires(Role.viewer)],
    summary="One alert",
    response_description="The alert",
    response_model=AlertDetail,
    responses=responses(*_LOOK),
)
def alert(request: Request, access: AccessDep, mask: MaskDep, alert_id: AlertId) -> ExactJSONResponse:
    """One alert with all that happened to it."""
    found = _desk(request).show(alert_id, access)
    return ExactJSONResponse(AlertDetail(**_shown(found, mask)))


@router.post(
    "/v1/alerts/{alert_id}/acknowledge",
    dependencies=[requires(Role.operator)],
    summary="Look after an alert",
    response_description="The alert as it is now",
    response_model=AlertDetail,
    responses=responses(*_CHANGE),
)
def acknowledge_alert(
    request: Request, access: AccessDep, mask: MaskDep, alert_id: AlertId, body: Note
) -> ExactJSONResponse:
    """Say that you look after it; ends a snooze. The key's name stands in the alert's history."""
    found = _desk(request).acknowledge(alert_id, access, body.note)
    return ExactJSONResponse(AlertDetail(**_shown(found, mask)))


@router.post(
    "/v1/alerts/{alert_id}/snooze",
    dependencies=[requires(Role.operator)],
    summary="Keep an alert quiet for a while",
    response_description="The alert as it is now",
    response_model=AlertDetail,
    responses=responses(*_CHANGE),
)
def snooze_alert(
    request: Request, access: AccessDep, mask: MaskDep, alert_id: AlertId, body: Snooze
) -> ExactJSONResponse:
    """Say nothing of it before a moment; should it come again after that, it opens again."""
    found = _desk(request).snooze(alert_id, access, body.until, body.note)
    return ExactJSONResponse(AlertDetail(**_shown(found, mask)))


@router.post(
    "/v1/alerts/{alert_id}/resolve",
    dependencies=[requires(Role.operator)],
    summary="Close an alert",
    response_description="The alert as it is now",
    response_model=AlertDetail,
    responses=responses(*_CHANGE),
)
def resolve_alert(
    request: Request, access: AccessDep, mask: MaskDep, alert_id: AlertId, body: Resolution
) -> ExactJSONResponse:
    """Say that it is over, and why; the same trouble later is a new alert."""
    found = _desk(request).resolve(alert_id, access, body.note)
    return ExactJSONResponse(AlertDetail(**_shown(found, mask)))


def _shown(row: dict[str, Any], mask: Mask) -> dict[str, Any]:
    """The row with its customer, wherever named, in the way that the key may see."""
    user = row["user_id"]
    if user is None:
        return row
    texts = {name: mask.text(row[name], [user]) for name in ("title", "detail")}
    evidence = row["evidence"] if mask.is_open else _masked(row["evidence"], user, mask)
    return {**row, **texts, "evidence": evidence, "user_id": mask.user_id(user)}


def _masked(value: Any, user: str, mask: Mask) -> Any:
    if isinstance(value, dict):
        return {name: _masked(one, user, mask) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, user, mask) for one in value]
    return mask.text(value, [user]) if isinstance(value, str) else value
