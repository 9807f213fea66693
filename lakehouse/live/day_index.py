"""On which day's partition to look for a key that is no longer in memory: 16 bytes a key, a hash and the day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.live.columns import Ints
from lakehouse.live.state import span_places


class DayIndex:
    """Says too much rather than too little: a key may have several days, and now and then another key's.

    Hashes are Python's own: they differ from process to process and are never stored. Entries lie in sorted runs, merged as they grow.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Ints, Ints]] = []

    def __len__(self) -> int:
        return sum(len(hashes) for hashes, _ in self._runs)

    def add(self, keys: Sequence[str], days: Ints) -> None:
        """`days` counts from 1970."""
        if not len(keys):
            return
        self._runs.append(_sorted(_hashes(keys), days))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_sorted(*(np.concatenate(pair) for pair in zip(older, newer, strict=True))))

    def find(self, keys: Sequence[str]) -> tuple[Ints, Ints]:
        """(place in `keys`, day): one for each day that a key may be found on."""
        wanted = _hashes(keys)
        places, days = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for hashes, day in self._runs:
            first = np.searchsorted(hashes, wanted, side="left")
            counts = np.searchsorted(hashes, wanted, side="right") - first
            places.append(np.repeat(np.arange(len(wanted)), counts))
            days.append(day[span_places(first, counts)])
        return np.concatenate(places), np.concatenate(days)


def _hashes(keys: Sequence[str]) -> Ints:
    return np.fromiter(map(hash, keys), dtype=np.int64, count=len(keys))


def _sorted(hashes: Ints, days: Ints) -> tuple[Ints, Ints]:
    """By hash, each pair once."""
    order = np.lexsort((days, hashes))
    hashes, days = hashes[order], days[order]
    is_first = np.ones(len(hashes), dtype=bool)
    is_first[1:] = (hashes[1:] != hashes[:-1]) | (days[1:] != days[:-1])
    return hashes[is_first], days[is_first]
