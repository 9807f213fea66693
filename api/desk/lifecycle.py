"""What people do with alerts: look, acknowledge, snooze, resolve. Used by the command and by every other front."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from api.desk import store
from api.desk.core import Desk
from api.desk.errors import AlertStateError, UnknownAlertError
from api.desk.model import Alert
from api.desk.tables import alert_events, alerts, deliveries, findings, notices

_SHORTEST_ID = 6
_LIKE_SIGNS = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})


def list_alerts(
    connection: Connection,
    states: Sequence[str] = (),
    kinds: Sequence[str] = (),
    severities: Sequence[str] = (),
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The alerts seen last, newest first: one dict of all columns of `desk.alerts` each. Empty means: all."""
    statement = select(alerts).order_by(alerts.c.last_seen_at.desc(), alerts.c.alert_id).limit(limit)
    for column, wanted in ((alerts.c.state, states), (alerts.c.kind, kinds), (alerts.c.severity, severities)):
        if wanted:
            statement = statement.where(column.in_(wanted))
    return [_plain(row) for row in connection.execute(statement)]


def show_alert(connection: Connection, alert_id: str) -> dict[str, Any]:
    """One alert with `events` (audit), its newest `findings` (20 at most) and `deliveries`. Raises UnknownAlertError."""
    key = full_id(connection, alert_id)
    row = connection.execute(select(alerts).where(alerts.c.alert_id == key)).one()
    events = select(alert_events).where(alert_events.c.alert_id == key).order_by(alert_events.c.revision)
    members = select(findings).where(findings.c.alert_id == key).order_by(findings.c.taken_at.desc()).limit(20)
    sent = (
        select(notices.c.moment, *(c for c in deliveries.c if c.name not in {"delivery_id", "urgency"}))
        .join(notices, notices.c.notice_id == deliveries.c.notice_id)
        .where(notices.c.alert_id == key)
        .order_by(deliveries.c.delivery_id)
    )
    parts = {"events": events, "findings": members, "deliveries": sent}
    return {**_plain(row), **{name: [_plain(r) for r in connection.execute(s)] for name, s in parts.items()}}


def _plain(row: Row[Any]) -> dict[str, Any]:
    """With names that are plain text: SQLAlchemy's own kind of text is not taken for keys of JSON."""
    return {str(name): value for name, value in row._mapping.items()}


def full_id(connection: Connection, alert_id: str) -> str:
    """The id that begins with `alert_id`. Raises UnknownAlertError where none or several do."""
    found = connection.scalars(
        select(alerts.c.alert_id)
        .where(alerts.c.alert_id.like(alert_id.translate(_LIKE_SIGNS) + "%"))
        .order_by(func.length(alerts.c.alert_id))
        .limit(2)
    ).all()
    if found and (found[0] == alert_id or (len(found) == 1 and len(alert_id) >= _SHORTEST_ID)):
        return str(found[0])
    if len(found) > 1:
        raise UnknownAlertError(f"Several alerts begin with {alert_id!r}: give more of the id.")
    raise UnknownAlertError(f"There is no alert {alert_id!r}: `globalmart alerts list` shows them.")


def acknowledge(desk: Desk, alert_id: str, by: str, now: datetime, note: str = "") -> Alert:
    """Say that `by` looks after it; ends a snooze. Raises UnknownAlertError, AlertStateError where it is resolved.

    The same words by the same person once more, with nothing in between, change nothing and tell nobody; so with the next two.
    """
    with desk.engine.begin() as connection:
        alert = _locked(connection, alert_id)
        if not _is_said(connection, alert, "acknowledged", by, note):
            desk.change(connection, _unresolved(alert), alert.acknowledge(by, now, note))
    return alert


def snooze(desk: Desk, alert_id: str, until: datetime, by: str, now: datetime, note: str = "") -> Alert:
    """Say nothing of it before `until`. Raises UnknownAlertError, AlertStateError where it is resolved or `until` is past."""
    if until <= now:
        raise AlertStateError(
            f"{until:%Y-%m-%d %H:%M} UTC is not in the future: an alert is snoozed until a later time."
        )
    with desk.engine.begin() as connection:
        alert = _locked(connection, alert_id)
        if not (_is_said(connection, alert, "snoozed", by, note) and alert.snoozed_until == until):
            desk.change(connection, _unresolved(alert), alert.snooze(until, by, now, note))
    return alert


def resolve(desk: Desk, alert_id: str, by: str, now: datetime, note: str = "") -> Alert:
    """Say that it is over, and why. Raises UnknownAlertError, AlertStateError where it is resolved already, by another or for another reason."""
    with desk.engine.begin() as connection:
        alert = _locked(connection, alert_id)
        if not _is_said(connection, alert, "resolved", by, note):
            desk.change(connection, _unresolved(alert), alert.resolve(note, by, now))
    return alert


def _locked(connection: Connection, alert_id: str) -> Alert:
    alert = store.alert_for_update(connection, full_id(connection, alert_id))
    assert alert is not None  # noqa: S101 - alerts are never deleted
    return alert


def _is_said(connection: Connection, alert: Alert, what: str, by: str, note: str) -> bool:
    """Whether the last thing that happened to the alert was just this."""
    event = alert_events.c
    last = select(event.what, event.who, event.note).where(
        event.alert_id == alert.alert_id, event.revision == alert.revision
    )
    return connection.execute(last).one_or_none() == (what, by, note)


def _unresolved(alert: Alert) -> Alert:
    if alert.state == "resolved":
        raise AlertStateError(
            f"Alert {alert.alert_id} was resolved by {alert.changed_by} at {alert.changed_at:%Y-%m-%d %H:%M} UTC: "
            "should it come again, that is a new alert."
        )
    return alert
