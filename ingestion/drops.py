"""Regional drops: for some minutes next to nobody comes from one country. The truth of a run names each; no record tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ingestion.hashing import Floats, Ints, key64, uniform
from ingestion.records import time_texts
from ingestion.vocabulary import COUNTRIES, COUNTRY_CODES

# Where fewer visits a minute are due from a country, their absence says nothing.
_LEAST_VISITS_PER_MINUTE = 20.0


@dataclass
class Drop:
    """`lost_share` of the visits of a country (index into COUNTRIES) that would start between the times (ms since 1970) do not."""

    country: int
    from_ms: int
    to_ms: int
    lost_share: float

    def to_truth(self) -> dict[str, Any]:
        """For `run.json`; the times as the events have them."""
        return {
            "country": COUNTRY_CODES[self.country],
            "from": time_texts(np.array([self.from_ms]))[0],
            "to": time_texts(np.array([self.to_ms]))[0],
            "lost_share": round(self.lost_share, 3),
        }


def drop_of(key: int, slot: int, slot_ms: int, shortest_ms: int) -> Drop:
    """The drop of a slot of time, in its second half: `shortest_ms` to twice that long."""
    draws = uniform(key64(key, "drop"), np.arange(4 * slot, 4 * slot + 4))
    start = slot * slot_ms + int((0.5 + 0.2 * draws[0]) * slot_ms)
    length = int((1 + draws[1]) * shortest_ms)
    return Drop(int(draws[2] * len(COUNTRIES)), start, start + length, 0.85 + 0.15 * float(draws[3]))


def is_felt(drop: Drop, visits_per_minute: Floats) -> bool:
    """Whether enough visits by country are due for the drop to be one."""
    return bool(visits_per_minute[drop.country] >= _LEAST_VISITS_PER_MINUTE)


class SentDrops:
    """The drops of a run by the times that their events were sent with, which a live run gives them only then."""

    def __init__(self) -> None:
        self._sent: dict[int, Drop] = {}

    def note(self, drops: list[Drop], planned: Ints, sent: Ints) -> None:
        """Events planned for the times `planned`, in order, are sent with the times `sent`."""
        for number, drop in enumerate(drops):
            inside = np.flatnonzero((planned >= drop.from_ms) & (planned < drop.to_ms))
            if len(inside):
                first = self._sent.setdefault(number, replace(drop, from_ms=int(sent[inside[0]])))
                first.to_ms = int(sent[inside[-1]])

    def all(self) -> list[Drop]:
        return list(self._sent.values())
