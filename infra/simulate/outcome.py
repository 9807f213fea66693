"""What a simulation comes to: figures by simulated hour and day, the daily runs, alarms, incidents, the books. Data and sums, no reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import orjson

from infra.bench.looks import Look
from infra.simulate.plan import Clock, Plan
from lakehouse.books.prove import Books
from lakehouse.ledger import LedgerEntry

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Sold:
    """What gold and silver say of one hour of event time. `event_count` is without products; `revenue` in USD."""

    event_count: int = 0
    order_count: int = 0
    revenue: Decimal = Decimal("0.00")


@dataclass(frozen=True)
class Hour:
    """One simulated hour. Events and sales by event time, the rest by when the platform did it; None where it did nothing.

    `lag_record_count`: most records that Kafka had and the lake had not. `file_count`: of all streaming tables, as last counted.
    """

    hour: datetime
    event_count: int
    order_count: int
    revenue: Decimal
    quarantined_count: int
    duplicate_count: int
    batch_count: int
    batch_seconds_median: float | None
    batch_seconds_longest: float | None
    lag_record_count: int | None
    file_count: int | None


@dataclass(frozen=True)
class Made:
    """A table that a daily run made, and how long its step took."""

    table: str
    seconds: float


@dataclass(frozen=True)
class DayRun:
    """The daily run of one simulated day. Times are real (UTC); `made_at` is the simulated time of its end."""

    day: date
    status: str
    started_at: datetime | None
    seconds: float | None
    made_at: datetime | None
    tables: tuple[Made, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alarm:
    """One alert of the desk; `simulated_at` is when the desk took its first finding."""

    kind: str
    severity: str
    title: str
    detail: str
    state: str
    count: int
    first_seen_at: datetime
    simulated_at: datetime


@dataclass(frozen=True)
class Happened:
    """One incident and what came of it. Begin and end in simulated time; `expected`: the kinds of alarm that it is to raise.

    `seconds_to_alarm` is real time, `simulated_seconds_to_alarm` what it is on the shop's clock; both None without an alarm.
    `note` is what else is to be said.
    """

    kind: str
    begins_at: datetime
    ends_at: datetime
    expected: tuple[str, ...]
    alarm: str | None
    seconds_to_alarm: float | None
    simulated_seconds_to_alarm: float | None
    alarm_counts: dict[str, int]
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """Everything that the report says. `days` are sums of `hours`."""

    plan: Plan
    clock: Clock
    reached_at: datetime
    ended_at: datetime
    is_interrupted: bool
    drain_seconds: float | None
    sent: dict[str, int]
    injected: dict[str, int]
    most_seconds_behind: float
    hours: list[Hour]
    runs: list[DayRun]
    alarms: list[Alarm]
    incidents: list[Happened]
    books: Books
    problems: list[str] = field(default_factory=list)

    @property
    def days(self) -> list[dict[str, Any]]:
        """One row for each simulated day."""
        rows = []
        for day in sorted({one.hour.date() for one in self.hours}):
            hours = [one for one in self.hours if one.hour.date() == day]
            rows.append(
                {
                    "day": day,
                    **{name: sum(getattr(one, name) for one in hours) for name in _SUMMED},
                    "batch_seconds_longest": max(one.batch_seconds_longest or 0.0 for one in hours),
                    "lag_record_count": max(one.lag_record_count or 0 for one in hours),
                    "file_count": hours[-1].file_count,
                    "alarm_count": sum(one.simulated_at.date() == day for one in self.alarms),
                }
            )
        return rows

    def to_json(self) -> bytes:
        """One object; money as numbers with two places, times RFC 3339."""
        body = {**asdict(self), "days": self.days}
        body["plan"]["incidents"] = [str(one) for one in self.plan.incidents]
        return orjson.dumps(body, default=_exact, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)


_SUMMED = ("event_count", "order_count", "revenue", "quarantined_count", "duplicate_count", "batch_count")


def by_hour(
    clock: Clock, until: datetime, sold: dict[datetime, Sold], entries: Sequence[LedgerEntry], looks: Sequence[Look]
) -> list[Hour]:
    """An Hour for each from the clock's start up to `until`, simulated. What the platform did before or after counts for none."""
    rows, files = [], None
    hour = clock.start
    while hour < until:
        first, last = clock.real(hour), clock.real(hour + _HOUR)
        done = [one for one in entries if first <= one.committed_at < last]
        took = [(one.committed_at - one.started_at).total_seconds() for one in done]
        seen = [sum(look.files.values()) for look in looks if first <= look.at < last]
        files = seen[-1] if seen else files
        what = sold.get(hour, Sold())
        rows.append(
            Hour(
                hour=hour,
                event_count=what.event_count,
                order_count=what.order_count,
                revenue=what.revenue,
                quarantined_count=sum(one.counts["quarantined_count"] for one in done),
                duplicate_count=sum(one.counts["duplicate_count"] for one in done),
                batch_count=len(done),
                batch_seconds_median=round(median(took), 3) if took else None,
                batch_seconds_longest=round(max(took), 3) if took else None,
                lag_record_count=max((sum(one.lag_records.values()) for one in done), default=None),
                file_count=files,
            )
        )
        hour += _HOUR
    return rows


def problems(
    plan: Plan, is_interrupted: bool, runs: Sequence[DayRun], incidents: Sequence[Happened], books: Books
) -> list[str]:
    """What did not go as it should, in sentences. An interrupted simulation is not asked for all days and alarms."""
    found = []
    if not books.balanced:
        count = len(books.differences)
        found.append(f"The books do not balance: {count} difference{'' if count == 1 else 's'}.")
    failed = [one for one in runs if one.failures or one.status == "FAILURE"]
    found += [
        f"The run of {one.day} failed: {'; '.join(one.failures).rstrip('.') or 'its log says why'}." for one in failed
    ]
    if not is_interrupted:
        made = {one.day for one in runs if one.status == "SUCCESS"} | {one.day for one in failed}
        days = [plan.start.date() + timedelta(days=number) for number in range(plan.days)]
        found += [f"The run of {day} was not made in time." for day in days if day not in made]
        found += [
            f"{one.kind} of {one.begins_at:%Y-%m-%d %H:%M} raised none of the alarms {', '.join(one.expected)}."
            for one in incidents
            if one.expected and one.alarm is None
        ]
    return found


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:.2f}")
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")
