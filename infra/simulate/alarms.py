"""Which alarm answers which incident, and how long it took. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.simulate.outcome import Happened
from infra.simulate.plan import Clock, Incident

EXPECTED: dict[str, tuple[str, ...]] = {
    "sale-peak": (),
    "broker-loss": ("service_down", "service_unwell", "stream_stalled", "stream_behind"),
    "bad-release": ("data_quality",),
    "stock-out-wave": ("out_of_stock", "oversold"),
}
_NOTES = {"sale-peak": "No alarm is expected: a peak is to be taken as it comes."}
# Alarms about the shop carry its time; those about the platform the time of this machine.
_BY_SHOP_TIME = {"stock-out-wave"}
GRACE = timedelta(minutes=5)
"""Real time after an incident's end within which an alarm may still be its: what it left behind has to be worked off."""


@dataclass(frozen=True)
class Told:
    """A finding that the desk took at the real time `taken_at`."""

    kind: str
    title: str
    event_at: datetime
    taken_at: datetime


def match(incident: Incident, clock: Clock, reached_at: datetime, told: Iterable[Told]) -> Happened | None:
    """What came of an incident; None where the simulation, which came to `reached_at`, ended before it began."""
    begins_at, ends_at = clock.start + incident.begins, clock.start + incident.ends
    if reached_at <= begins_at:
        return None
    began, over = clock.real(begins_at), clock.real(ends_at) + GRACE
    expected = EXPECTED[incident.kind]
    found = sorted(
        (
            one
            for one in told
            if one.kind in expected
            and began <= one.taken_at <= over
            and (incident.kind not in _BY_SHOP_TIME or begins_at <= one.event_at <= ends_at)
        ),
        key=lambda one: one.taken_at,
    )
    first = found[0] if found else None
    seconds = (first.taken_at - began).total_seconds() if first else None
    return Happened(
        kind=incident.kind,
        begins_at=begins_at,
        ends_at=ends_at,
        expected=expected,
        alarm=first.title if first else None,
        seconds_to_alarm=None if seconds is None else round(seconds, 1),
        simulated_seconds_to_alarm=None if seconds is None else round(seconds * clock.speed),
        alarm_counts=dict(sorted(Counter(one.kind for one in found).items())),
        note=_NOTES.get(incident.kind, ""),
    )


def match_all(
    incidents: Sequence[Incident], clock: Clock, reached_at: datetime, told: Sequence[Told]
) -> list[Happened]:
    found = (match(one, clock, reached_at, told) for one in incidents)
    return [one for one in found if one is not None]
