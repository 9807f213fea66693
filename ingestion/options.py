"""What a generator run is asked to do: its options, their bounds, and reading durations and dates as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Literal

from ingestion.hashing import key64
from ingestion.incidents import Incident
from ingestion.shares import Shares
from ingestion.topics import INPUT_NAMES
from lakehouse.errors import GlobalMartError

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$")
_EARLIEST_MS = 946_684_800_000  # 2000-01-01, before which the contracts take no event


class OptionError(GlobalMartError):
    """An option of the generator makes no sense; nothing was sent."""


def parse_duration(text: str, name: str = "duration") -> float:
    """Seconds in `90s`, `10m`, `2h`, `30d` or `4w`. Raises OptionError."""
    found = _DURATION.match(text.lower())
    if not found or found[2] not in _UNITS or float(found[1]) <= 0:
        raise OptionError(
            f"The {name} {text!r} is not one; write a number and a unit above nothing, such as 60s, 10m, 2h or 30d."
        )
    return float(found[1]) * _UNITS[found[2]]


def parse_start(text: str) -> int:
    """Milliseconds since 1970 of `2025-01-31` or `2025-01-31T12:00:00Z` (UTC where no zone is given). Raises OptionError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise OptionError(f"The start {text!r} is no date; write it as 2025-01-31 or 2025-01-31T12:00:00Z.") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


@dataclass(frozen=True)
class RunOptions:
    """One run. History: `seconds` of event time at a `scale`; live: `seconds` of real time at `rate` records a second.

    start_ms: first event time, ms since 1970 (UTC). scale: share of the active users, in history of the daily traffic too.
    disorder_seconds: how far arrival may trail event time in history. catalogue: None sends the products that Kafka does
    not know, True all, False none. truth: what the ledger holds, the struck records or all. speed: seconds of event time that
    history sends in a second, None as fast as it can. incidents: what happens to the shop in a history.
    """

    mode: Literal["history", "live"]
    seconds: float
    start_ms: int
    seed: int = 1
    scale: float = 0.02
    rate: float = 500.0
    shares: Shares = field(default_factory=Shares)
    streams: tuple[str, ...] = INPUT_NAMES
    disorder_seconds: float = 5.0
    catalogue: bool | None = None
    truth: Literal["faults", "full"] = "faults"
    speed: float | None = None
    incidents: tuple[Incident, ...] = ()

    def __post_init__(self) -> None:
        """Raises OptionError."""
        if not self.rate > 0:
            raise OptionError(
                f"The rate is {self.rate:g}; it is a number of records a second above 0, such as --rate 500."
            )
        if not 0 < self.scale <= 1:
            raise OptionError(
                f"The scale is {self.scale:g}; it is a share of the users and the traffic above 0 and up to 1."
            )
        if not 0 <= self.disorder_seconds <= 3_600:
            raise OptionError(f"The disorder is {self.disorder_seconds:g} s; it lies between 0 and 3600 seconds.")
        if self.seed < 0:
            raise OptionError(f"The seed is {self.seed}; it is a whole number from 0.")
        if not self.streams:
            raise OptionError(f"No stream is named; there are {', '.join(INPUT_NAMES)}.")
        for name in self.streams:
            if name not in INPUT_NAMES:
                raise OptionError(f"There is no stream {name!r}; there are {', '.join(INPUT_NAMES)}.")
        if self.start_ms < _EARLIEST_MS:
            raise OptionError("The start lies before the year 2000; the contracts take no event from before.")
        if self.speed is not None and not self.speed > 0:
            raise OptionError(
                f"The speed is {self.speed:g}; it is a number of seconds of event time in a second above 0."
            )
        if self.mode == "live" and (self.speed is not None or self.incidents):
            raise OptionError("A speed and incidents belong to a history; live traffic goes by the clock.")
        if self.mode == "history" and self.end_ms > datetime.now(UTC).timestamp() * 1000 + 1000:
            raise OptionError("The history would end in the future; name an earlier --start or a shorter --history.")

    @property
    def end_ms(self) -> int:
        return self.start_ms + round(self.seconds * 1000)

    @property
    def clock_seconds(self) -> float:
        """Real time that the run takes where it goes by a clock."""
        return self.seconds / (self.speed or 1.0)

    @property
    def run_key(self) -> int:
        """Makes all ids of the run: from all that shapes its bytes, so that two runs share ids only if they are the same."""
        skipped = {"truth", "catalogue"} | {name for name in ("speed", "incidents") if not getattr(self, name)}
        return key64(*(getattr(self, item.name) for item in fields(self) if item.name not in skipped))

    @property
    def run_id(self) -> str:
        start = datetime.fromtimestamp(self.start_ms / 1000, UTC)
        return f"{self.mode}-{start:%Y%m%dT%H%M%S}-{self.run_key:016x}"


def history(seconds: float, start_ms: int | None = None, **options: object) -> RunOptions:
    """A run over the last `seconds` up to now, to the second, or from `start_ms` on. With `start_ms` given, the same options
    send the same bytes to a Kafka that holds the same users and products."""
    if start_ms is None:
        start_ms = (int(datetime.now(UTC).timestamp()) - round(seconds)) * 1000
    return RunOptions("history", seconds, start_ms, **options)  # type: ignore[arg-type]


def live(seconds: float, **options: object) -> RunOptions:
    """A run of `seconds` from now on."""
    return RunOptions("live", seconds, int(datetime.now(UTC).timestamp() * 1000), **options)  # type: ignore[arg-type]
