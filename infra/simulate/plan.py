"""What a simulation is asked to do: days, speed, and incidents as people write them; and the clock between simulated and real time. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

from ingestion import incidents as shop
from ingestion.options import RunOptions, history
from ingestion.shares import Shares
from lakehouse.errors import GlobalMartError

EXAMPLE = "globalmart simulate --days 7 --speed 600 --incident sale-peak@2d10h --incident broker-loss@4d15h+4h"
BROKER_LOSS = "broker-loss"
MOST_SPEED = 1440
_MOST_DAYS = 31
_SHARES = Shares(
    duplicates=0.005,
    conflicts=0.001,
    late=0.005,
    malformed=0.001,
    violations=0.005,
    extra_fields=0.001,
    anomalies=0.003,
)
_SPAN = r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?"
_WORDS = re.compile(rf"^([a-z-]+)(?:@({_SPAN}))?(?:\+({_SPAN}))?$")


class PlanError(GlobalMartError):
    """A simulation was asked for that makes no sense; nothing was started."""


@dataclass(frozen=True)
class Usual:
    """Of a kind of incident: when it begins where that is not said, as a share of the whole time, and how long it lasts."""

    begins: float
    lasts: timedelta


KINDS = {
    "bad-release": Usual(0.2, timedelta(hours=6)),
    "sale-peak": Usual(0.4, timedelta(hours=3)),
    BROKER_LOSS: Usual(0.6, timedelta(hours=4)),
    "stock-out-wave": Usual(0.75, timedelta(hours=4)),
}


@dataclass(frozen=True)
class Incident:
    """`begins` and `ends` count from the start of the simulated time."""

    kind: str
    begins: timedelta
    ends: timedelta

    def __str__(self) -> str:
        return f"{self.kind}@{_text(self.begins)}+{_text(self.ends - self.begins)}"


@dataclass(frozen=True)
class Plan:
    """`start` is a midnight (UTC); all simulated time lies in the past, so that no record comes from the future."""

    start: datetime
    days: int
    speed: float
    scale: float
    seed: int
    incidents: tuple[Incident, ...]

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=self.days)

    @property
    def real_seconds(self) -> float:
        return self.days * 86_400 / self.speed

    def of_kind(self, kind: str) -> tuple[Incident, ...]:
        return tuple(one for one in self.incidents if one.kind == kind)

    def catalogue(self) -> RunOptions:
        """The generator's run that makes the products known before the first day."""
        return history(1.0, _ms(self.start), streams=("products",), seed=self.seed, scale=self.scale)

    def traffic(self) -> RunOptions:
        """The generator's run over all days."""
        happen = tuple(
            shop.Incident(one.kind, _ms(self.start + one.begins), _ms(self.start + one.ends))  # type: ignore[arg-type]
            for one in self.incidents
            if one.kind in get_args(shop.Kind)
        )
        return history(
            self.days * 86_400.0,
            _ms(self.start),
            seed=self.seed,
            scale=self.scale,
            shares=_SHARES,
            speed=self.speed,
            incidents=happen,
        )


@dataclass(frozen=True)
class Clock:
    """Simulated time: `start` at the real time `began_at`, `speed` seconds to a second."""

    start: datetime
    began_at: datetime
    speed: float

    def simulated(self, at: datetime) -> datetime:
        """The simulated time at the real time `at`."""
        return self.start + (at - self.began_at) * self.speed

    def real(self, at: datetime) -> datetime:
        """The real time of the simulated time `at`."""
        return self.began_at + (at - self.start) / self.speed


def make_plan(days: int, speed: float, scale: float, seed: int, incidents: Sequence[str], now: datetime) -> Plan:
    """The days before today. Raises PlanError with a sentence and an example."""
    if not 1 <= days <= _MOST_DAYS:
        raise PlanError(f"--days is {days}; it is a number of days from 1 to {_MOST_DAYS}, such as --days 7.")
    if not 1 <= speed <= MOST_SPEED:
        raise PlanError(
            f"--speed is {speed:g}; it is how many simulated seconds pass in one, from 1 to {MOST_SPEED} "
            "(a day in a minute), such as --speed 600."
        )
    if not 0 < scale <= 1:
        raise PlanError(
            f"--scale is {scale:g}; it is a share of the shop's traffic above 0 and up to 1, such as --scale 0.02."
        )
    if seed < 0:
        raise PlanError(f"--seed is {seed}; it is a whole number from 0, such as --seed 7.")
    whole = timedelta(days=days)
    found = sorted((parse_incident(text, whole) for text in incidents), key=lambda one: one.begins)
    for kind in KINDS:
        same = [one for one in found if one.kind == kind]
        for first, second in pairwise(same):
            if second.begins < first.ends:
                raise PlanError(f"{first} and {second} overlap: give the second a later time, such as {EXAMPLE}.")
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Plan(midnight - whole, days, speed, scale, seed, tuple(found))


def parse_incident(text: str, whole: timedelta) -> Incident:
    """`KIND`, `KIND@WHEN` or `KIND@WHEN+LENGTH`, with times such as `2d10h` or `90m` after the start. Raises PlanError."""
    match = _WORDS.match(text.strip())
    if match is None:
        raise PlanError(
            f"--incident {text!r} is not one; write KIND, KIND@WHEN or KIND@WHEN+LENGTH with times such as 2d10h or 90m: {EXAMPLE}."
        )
    kind, at, length = match[1], match[2], match[6]
    if kind not in KINDS:
        raise PlanError(f"There is no incident {kind!r}; there are {', '.join(KINDS)}. Example: {EXAMPLE}.")
    if at == "" or (length is not None and not _span(match.groups()[6:9])):
        raise PlanError(f"--incident {text!r} lacks a time after its sign; write it such as {kind}@1d6h+3h.")
    usual = KINDS[kind]
    hours = round(whole / timedelta(hours=1) * usual.begins)
    begins = timedelta(hours=hours) if at is None else _span(match.groups()[2:5])
    ends = begins + (usual.lasts if length is None else _span(match.groups()[6:9]))
    if begins >= whole or ends > whole:
        raise PlanError(
            f"{kind} lasts from {_text(begins)} to {_text(ends)}, and the simulation is over after {_text(whole)}: "
            f"let it begin earlier, such as {kind}@{_text(max(whole - 2 * (ends - begins), timedelta()))}, or add days."
        )
    return Incident(kind, begins, ends)


def _span(parts: Sequence[str | None]) -> timedelta:
    days, hours, minutes = (int(part or 0) for part in parts)
    return timedelta(days=days, hours=hours, minutes=minutes)


def _text(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "m"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0h"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
