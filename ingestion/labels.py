"""What the truth ledger knows of a record: its fault, where it must end, and why. The clock of the broker has the last word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Expected = Literal["silver", "quarantine", "duplicates"]

_FUTURE_MS = 10 * 60_000


@dataclass(frozen=True)
class Label:
    """What the truth ledger knows of one record. `at_ms` is its event time where that can be read; the broker's time then
    decides whether it lies in the future. `codes` are sorted."""

    fault: str | None
    expected: Expected = "silver"
    codes: tuple[str, ...] = ()
    event_id: str | None = None
    of_event_id: str | None = None
    at_ms: int | None = None

    def judged(self, kafka_ms: int, future_ms: int = _FUTURE_MS, too_old_ms: int | None = None) -> Label:
        """The label once the broker's time is known. A contract broken by time comes before being a duplicate."""
        if self.at_ms is None:
            return self
        broken = []
        if self.at_ms - kafka_ms > future_ms:
            broken.append("future.timestamp")
        if too_old_ms is not None and kafka_ms - self.at_ms > too_old_ms:
            broken.append("too_old.timestamp")
        if not broken:
            return self
        kept = [code for code in self.codes if not code.startswith("conflict.")]
        return replace(self, expected="quarantine", codes=tuple(sorted({*kept, *broken})))
