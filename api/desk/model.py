"""What an alert is, and what can happen to it. Pure: time and people are parameters."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from lakehouse.findings import Severity

State = Literal["open", "acknowledged", "snoozed", "resolved"]
# What happens to an alert. A rule can ask for a notice of each.
Moment = Literal["opened", "reopened", "escalated", "acknowledged", "snoozed", "resolved"]
ChannelName = Literal["topic", "webhook", "mail", "log"]

DESK = "desk"  # who did it, where nobody did
SEVERITY_RANK: dict[str, int] = {"info": 0, "warning": 1, "critical": 2}


@dataclass
class Alert:
    """Findings of one fingerprint that belong together; the fields are the columns of `desk.alerts`.

    `alert_id` is the id of its first finding. `count`: findings that stand, each id once. Kind, title, detail and evidence
    are the newest finding's, the severity is the highest there was. `event_at` and `last_event_at` are event times of the first
    finding and the latest; `first_seen_at` and `last_seen_at` say when the desk took them. `reason`: why it was resolved.
    `revision` counts what happened to it.
    """

    alert_id: str
    kind: str
    severity: Severity
    fingerprint: str
    title: str
    detail: str
    event_at: datetime
    last_event_at: datetime
    raised_at: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    country: str | None = None
    product_id: str | None = None
    user_id: str | None = None
    state: State = "open"
    count: int = 1
    retracted_count: int = 0
    snoozed_until: datetime | None = None
    changed_by: str = DESK
    changed_at: datetime | None = None
    reason: str | None = None
    previous_alert_id: str | None = None
    revision: int = 0

    def change(self, moment: Moment, by: str, at: datetime, note: str = "", is_told: bool = True) -> Change:
        """Write down what was done to this alert; `is_told` False keeps it out of the notices."""
        self.revision += 1
        self.changed_by, self.changed_at = by, at
        return Change(copy(self), moment, by, at, note, is_told)

    def open(self, by: str, at: datetime) -> Change:
        """It is new."""
        return self.change("opened", by, at)

    def reopen(self, at: datetime) -> Change:
        """It came again after its snooze."""
        self.state, self.snoozed_until = "open", None
        return self.change("reopened", DESK, at)

    def acknowledge(self, by: str, at: datetime, note: str = "") -> Change:
        """Somebody looks after it."""
        self.state, self.snoozed_until = "acknowledged", None
        return self.change("acknowledged", by, at, note)

    def snooze(self, until: datetime, by: str, at: datetime, note: str = "") -> Change:
        """Nothing is said of it before `until`."""
        self.state, self.snoozed_until = "snoozed", until
        return self.change("snoozed", by, at, note)

    def resolve(self, reason: str, by: str, at: datetime, is_told: bool = True) -> Change:
        """It is over; should it come again, that is a new alert linked to this one."""
        self.state, self.snoozed_until, self.reason = "resolved", None, reason
        return self.change("resolved", by, at, reason, is_told)


@dataclass(frozen=True)
class Change:
    """One thing that happened: `alert` as it was right after, who did it, when, and in which words."""

    alert: Alert
    moment: Moment
    by: str
    at: datetime
    note: str
    is_told: bool
