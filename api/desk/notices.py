"""What is told: the message of a notice, and the rows that send it on its ways. Forms are in docs/alerts.md."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from api.desk.model import SEVERITY_RANK, Change, ChannelName
from api.desk.rules import AlertRules
from api.desk.tables import deliveries, notices
from lakehouse.findings import rfc3339

DIGEST_URGENCY = 9  # above every severity: a digest that was made goes out before anything else


def message(change: Change) -> dict[str, Any]:
    """The notice as JSON: the alert as it was right after `change`."""
    body = {
        name: rfc3339(value) if isinstance(value, datetime) else value for name, value in asdict(change.alert).items()
    }
    del body["changed_by"], body["changed_at"]  # told as `by` and `at`
    return {
        "notice_id": notice_id(change),
        "moment": change.moment,
        "by": change.by,
        "at": rfc3339(change.at),
        "note": change.note or None,
        **body,
    }


def notice_id(change: Change) -> str:
    """The same however often it is sent; receivers know a repeat by it."""
    return f"{change.alert.alert_id}-{change.alert.revision}"


def dispatch(
    connection: Connection, rules: AlertRules, ways: Collection[ChannelName], changes: Sequence[Change], now: datetime
) -> set[ChannelName]:
    """Write the notices of `changes` and their deliveries to those of `ways` that the rules name; returns these."""
    told, sent = [], []
    used: set[ChannelName] = set()
    for change in changes:
        routes = [name for name in rules.routes(change.alert, change.moment) if name in ways] if change.is_told else []
        if not routes:
            continue
        key = notice_id(change)
        told.append(
            {
                "notice_id": key, "alert_id": change.alert.alert_id, "moment": change.moment,
                "message": message(change), "created_at": now,
            }
        )  # fmt: skip
        urgency = SEVERITY_RANK[change.alert.severity]
        sent += [delivery_row(key, name, urgency, now) for name in routes]
        used |= set(routes)
    if told:
        connection.execute(notices.insert(), told)
        connection.execute(deliveries.insert(), sent)
    return used


def delivery_row(key: str, channel: ChannelName, urgency: int, now: datetime) -> dict[str, Any]:
    return {
        "notice_id": key, "channel": channel, "urgency": urgency, "state": "pending",
        "attempts": 0, "next_attempt_at": now, "created_at": now,
    }  # fmt: skip
