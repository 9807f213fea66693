"""What was told already: a pattern that goes on is one finding, not one with each event. A cache of `gold/anomalies`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

import pyarrow.compute as pc

from lakehouse.live.base import Lake
from lakehouse.live.columns import LONG_AGO, ints, micros_of
from lakehouse.tables import ANOMALIES

REMEMBERED = timedelta(hours=36)
"""How far behind the watermark findings are remembered; longer than any detector keeps quiet."""


class Told:
    """Event times of the findings of some kinds by kind and subject: the customer, or the country where there is none."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = tuple(kinds)
        self._times: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._since = LONG_AGO

    def load(self, lake: Lake) -> None:
        self._times.clear()
        wanted = pc.field("detector").isin(self._kinds)
        if lake.watermark is not None:
            wanted &= pc.field("event_at") >= lake.watermark - REMEMBERED
            self._since = micros_of(lake.watermark - REMEMBERED)
        rows = lake.read(ANOMALIES, ["detector", "user_id", "country", "event_at"], wanted)
        columns = (rows["detector"], rows["user_id"], rows["country"])
        names = zip(*(column.to_pylist() for column in columns), strict=True)
        for (kind, user_id, country), at in zip(names, ints(rows["event_at"]).tolist(), strict=True):
            self._times[kind, user_id or country].append(at)

    def is_first(self, kind: str, subject: str, at: int, quiet: int) -> bool:
        """Whether nothing of the kind was told of the subject within `quiet` of `at`, before or after (microseconds). If so,
        it counts as told from now on."""
        times = self._times[kind, subject]
        if any(abs(at - told) < quiet for told in times if told >= self._since):
            return False
        times.append(at)
        return True

    def forget(self, before: int) -> None:
        """What was told of event times before `before` no longer matters."""
        self._since = max(self._since, before)
        for key in [key for key, times in self._times.items() if not times or max(times) < self._since]:
            del self._times[key]
