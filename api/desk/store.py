"""Alerts and findings in PostgreSQL: what a step needs is read at once, what it changed is written at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from api.desk.errors import OffsetsRewoundError
from api.desk.grouping import Grouping, Member
from api.desk.incoming import Message
from api.desk.model import Alert, Change
from api.desk.rules import AlertRules
from api.desk.tables import alert_events, alerts, findings, offsets, rejected
from lakehouse.findings import Finding

_INTAKE_LOCK = 4_711_002
_ALERT = [alerts.c[one.name] for one in fields(Alert)]
_CHANGEABLE = [c.name for c in alerts.c if c.name not in {"alert_id", "fingerprint", "first_seen_at"}]


def lock_intake(connection: Connection) -> None:
    """One at a time takes findings in, so that two cannot open an alert for the same fingerprint."""
    connection.execute(select(func.pg_advisory_xact_lock(_INTAKE_LOCK)))


def load(connection: Connection, taken: Sequence[Finding], rules: AlertRules) -> Grouping:
    """What is known of these findings; their alerts stay locked until the transaction ends."""
    ids = [one.finding_id for one in taken]
    prints = sorted({one.fingerprint for one in taken})
    known = connection.execute(
        select(findings.c.finding_id, findings.c.alert_id, findings.c.verdict).where(findings.c.finding_id.in_(ids))
    ).all()
    members = {row.finding_id: Member(row.alert_id, row.verdict) for row in known}
    theirs = {member.alert_id for member in members.values() if member.alert_id is not None}
    is_current = alerts.c.fingerprint.in_(prints) & (alerts.c.state != "resolved")
    rows = connection.execute(
        select(*_ALERT)
        .where(or_(is_current, alerts.c.alert_id.in_(theirs)))
        .order_by(alerts.c.alert_id)
        .with_for_update()
    )
    resolved = connection.execute(
        select(alerts.c.fingerprint, alerts.c.alert_id)
        .distinct(alerts.c.fingerprint)
        .where(alerts.c.fingerprint.in_(prints), alerts.c.state == "resolved")
        .order_by(alerts.c.fingerprint, alerts.c.changed_at.desc())
    )
    last_resolved = {row.fingerprint: row.alert_id for row in resolved}
    return Grouping(map(as_alert, rows), members, last_resolved, rules.grouping)


def as_alert(row: Row[Any]) -> Alert:
    return Alert(**row._mapping)


def alert_for_update(connection: Connection, alert_id: str) -> Alert | None:
    row = connection.execute(select(*_ALERT).where(alerts.c.alert_id == alert_id).with_for_update()).first()
    return None if row is None else as_alert(row)


def save(connection: Connection, grouping: Grouping, now: datetime) -> None:
    """Write what `grouping` changed."""
    save_alerts(connection, grouping.touched.values())
    if grouping.taken:
        rows = [_finding_row(finding, alert_id, now) for finding, alert_id in grouping.taken.values()]
        statement = insert(findings)
        latest = ("severity", "verdict", "lane", "score", "title", "detail", "evidence", "changed_at")
        changed = {name: statement.excluded[name] for name in latest}
        connection.execute(statement.on_conflict_do_update(index_elements=["finding_id"], set_=changed), rows)
    save_changes(connection, grouping.changes)


def save_alerts(connection: Connection, changed: Iterable[Alert]) -> None:
    rows = [asdict(alert) for alert in changed]
    if rows:
        statement = insert(alerts)
        values = {name: statement.excluded[name] for name in _CHANGEABLE}
        connection.execute(statement.on_conflict_do_update(index_elements=["alert_id"], set_=values), rows)


def save_changes(connection: Connection, changes: Sequence[Change]) -> None:
    rows = [
        {
            "alert_id": one.alert.alert_id, "revision": one.alert.revision, "at": one.at,
            "who": one.by, "what": one.moment, "note": one.note,
        }
        for one in changes
    ]  # fmt: skip
    if rows:
        connection.execute(alert_events.insert(), rows)


def _finding_row(finding: Finding, alert_id: str | None, now: datetime) -> dict[str, Any]:
    row = asdict(finding)
    del row["is_anomaly"]
    return {**row, "alert_id": alert_id, "taken_at": now, "changed_at": now}


def next_offsets(connection: Connection, topic: str) -> dict[int, int]:
    """Per partition the offset to read next."""
    rows = connection.execute(select(offsets.c.partition, offsets.c.next_offset).where(offsets.c.topic == topic))
    return {row.partition: row.next_offset for row in rows}


def check_offsets(stored: Mapping[int, int], believed: Mapping[int, int]) -> None:
    """Raise OffsetsRewoundError where `stored` is behind what a reader of the topic believes to be stored."""
    behind = [partition for partition, offset in believed.items() if stored.get(partition, -1) < offset]
    if behind:
        raise OffsetsRewoundError(f"PostgreSQL has forgotten its last moment (partitions {behind}): reading it again.")


def save_offsets(connection: Connection, topic: str, reached: Mapping[int, int]) -> None:
    rows = [{"topic": topic, "partition": p, "next_offset": offset} for p, offset in sorted(reached.items())]
    if rows:
        statement = insert(offsets)
        values = {"next_offset": statement.excluded.next_offset}
        connection.execute(statement.on_conflict_do_update(index_elements=["topic", "partition"], set_=values), rows)


def save_rejected(connection: Connection, refused: Sequence[tuple[Message, str]], now: datetime) -> None:
    rows = [
        {
            "topic": message.topic, "partition": message.partition, "offset": message.offset,
            "reason": reason, "value": message.value, "taken_at": now,
        }
        for message, reason in refused
    ]  # fmt: skip
    if rows:
        connection.execute(insert(rejected).on_conflict_do_nothing(), rows)


def standing(connection: Connection, kinds: Iterable[str]) -> list[Finding]:
    """Findings of these kinds that were raised and never taken back, oldest first."""
    stored = [findings.c[one.name] for one in fields(Finding) if one.name in findings.c]
    rows = connection.execute(
        select(*stored)
        .where(findings.c.kind.in_(list(kinds)), findings.c.verdict != "retracted")
        .order_by(findings.c.taken_at)
    )
    return [Finding(**row._mapping) for row in rows]
