"""The notices that wait for a channel, in PostgreSQL: which is next, a digest of many, and how an attempt ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from api.desk.model import SEVERITY_RANK, ChannelName
from api.desk.notices import DIGEST_URGENCY, delivery_row
from api.desk.storm import Bucket
from api.desk.tables import alerts, channels, deliveries, notices
from lakehouse.findings import finding_id, rfc3339

_SHOWN = 20  # alerts that a digest names
_MOST_GROUPED = 20_000  # notices that one digest stands for: they pass through memory once


@dataclass(frozen=True)
class ChannelState:
    """A row of `desk.channels`: what is in the bucket, and how long the channel has been failing."""

    bucket: Bucket
    failures: int
    failing_since: datetime | None
    paused_until: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class Due:
    """The notice that is next; `is_alone`: no other is due."""

    delivery_id: int
    message: dict[str, Any]
    attempts: int
    created_at: datetime
    is_digest: bool
    is_alone: bool


def open_channel(connection: Connection, name: ChannelName, now: datetime, burst: int) -> None:
    """Have a row for the channel, with a full bucket when it is new."""
    fresh = {"channel": name, "tokens": float(burst), "refilled_at": now, "failures": 0}
    connection.execute(insert(channels).values(fresh).on_conflict_do_nothing())


def lock_channel(connection: Connection, name: ChannelName) -> ChannelState | None:
    """The channel's state, locked until the transaction ends; None where another desk has it."""
    row = connection.execute(
        select(channels).where(channels.c.channel == name).with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    bucket = Bucket(row.tokens, row.refilled_at)
    return ChannelState(bucket, row.failures, row.failing_since, row.paused_until, row.last_error)


def save_channel(connection: Connection, name: ChannelName, state: ChannelState) -> None:
    values = {
        "tokens": state.bucket.tokens, "refilled_at": state.bucket.at, "failures": state.failures,
        "failing_since": state.failing_since, "paused_until": state.paused_until, "last_error": state.last_error,
    }  # fmt: skip
    connection.execute(update(channels).where(channels.c.channel == name).values(values))


def _is_due(name: ChannelName, now: datetime) -> ColumnElement[bool]:
    c = deliveries.c
    return (c.channel == name) & (c.state == "pending") & (c.next_attempt_at <= now)


def next_due(connection: Connection, name: ChannelName, now: datetime) -> Due | None:
    """The most urgent notice, of equals the oldest; None where none is due."""
    d = deliveries.c
    rows = connection.execute(
        select(d.delivery_id, d.attempts, d.created_at, d.urgency, notices.c.message)
        .join(notices, notices.c.notice_id == d.notice_id)
        .where(_is_due(name, now))
        .order_by(d.urgency.desc(), d.delivery_id)
        .limit(2)
    ).all()
    if not rows:
        return None
    first = rows[0]
    is_digest = first.urgency == DIGEST_URGENCY
    return Due(first.delivery_id, first.message, first.attempts, first.created_at, is_digest, len(rows) == 1)


def group(connection: Connection, name: ChannelName, now: datetime) -> str:
    """Put what is due for the channel, the oldest first, into one digest, which is then the next; returns its id."""
    d = deliveries.c
    some = select(d.delivery_id).where(_is_due(name, now)).order_by(d.delivery_id).limit(_MOST_GROUPED).subquery()
    first, last = connection.execute(select(func.min(some.c.delivery_id), func.max(some.c.delivery_id))).one()
    key = finding_id("digest", name, str(first), str(last))
    among = _is_due(name, now) & (d.delivery_id <= last)
    connection.execute(update(deliveries).where(among).values(state="grouped", digest_id=key))
    message = digest(key, name, _told(connection, key), now)
    connection.execute(notices.insert().values(notice_id=key, moment="digest", message=message, created_at=now))
    connection.execute(deliveries.insert().values(delivery_row(key, name, DIGEST_URGENCY, now)))
    return key


def _told(connection: Connection, key: str) -> list[dict[str, Any]]:
    """The notices that the digest `key` stands for, oldest first."""
    a, n = alerts.c, notices.c
    rows = connection.execute(
        select(a.alert_id, a.kind, a.severity, a.title, n.moment, n.created_at)
        .join(notices, n.alert_id == a.alert_id)
        .join(deliveries, deliveries.c.notice_id == n.notice_id)
        .where(deliveries.c.digest_id == key)
        .order_by(deliveries.c.delivery_id)
    )
    return [dict(row._mapping) for row in rows]


def digest(key: str, name: ChannelName, told: Sequence[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """The message that stands for the notices `told` (alert_id, kind, severity, title, moment, created_at), oldest first."""
    by_id = {one["alert_id"]: one for one in told}
    worst = max((one["severity"] for one in told), key=SEVERITY_RANK.__getitem__)
    urgent = sorted(by_id.values(), key=lambda one: -SEVERITY_RANK[one["severity"]])
    tally = {word: _tally(by_id.values(), word) for word in ("severity", "kind")}
    return {
        "notice_id": key,
        "moment": "digest",
        "by": "desk",
        "at": rfc3339(now),
        "severity": worst,
        "title": f"{len(told)} notices of {len(by_id)} alerts, grouped",
        "detail": ", ".join(f"{count} {word}" for word, count in tally["kind"].items()),
        "channel": name,
        "notice_count": len(told),
        "alert_count": len(by_id),
        "by_severity": tally["severity"],
        "by_kind": tally["kind"],
        "by_moment": _tally(told, "moment"),
        "first_at": rfc3339(told[0]["created_at"]),
        "last_at": rfc3339(told[-1]["created_at"]),
        "alerts": [{word: one[word] for word in ("alert_id", "kind", "severity", "title")} for one in urgent[:_SHOWN]],
    }


def _tally(rows: Any, word: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[word]] = counts.get(row[word], 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def delivered(connection: Connection, due: Due, now: datetime) -> None:
    values = {"state": "delivered", "attempts": due.attempts + 1, "delivered_at": now, "last_error": None}
    connection.execute(update(deliveries).where(deliveries.c.delivery_id == due.delivery_id).values(values))


def postpone(connection: Connection, due: Due, error: str, now: datetime, wait: timedelta, give_up: timedelta) -> None:
    """Write the failed attempt down; a notice older than `give_up` is not tried again, and stays as `failed`."""
    is_over = now - due.created_at > give_up
    values = {
        "state": "failed" if is_over else "pending", "attempts": due.attempts + 1,
        "next_attempt_at": now + wait, "last_error": error,
    }  # fmt: skip
    connection.execute(update(deliveries).where(deliveries.c.delivery_id == due.delivery_id).values(values))


def failing(connection: Connection) -> list[tuple[ChannelName, datetime, int, str]]:
    """The channels that fail now: since when, how many times in a row, and the last error."""
    c = channels.c
    rows = connection.execute(
        select(c.channel, c.failing_since, c.failures, c.last_error)
        .where(c.failing_since.is_not(None))
        .order_by(c.channel)
    )
    return [(row.channel, row.failing_since, row.failures, row.last_error or "") for row in rows]
