"""How much of something each key did in a sliding window of event time, in whichever order it is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.live.anomalies.keyed import ABSENT, KeyedTable, mixed
from lakehouse.live.columns import Ints


@dataclass(frozen=True)
class Reached:
    """Windows that are full: by row of the batch, the last of its key in the bucket, how many the fullest window holds."""

    rows: Ints
    counts: Ints


class WindowCounts:
    """Counts by key and bucket of time; a window is `span` buckets in a row.

    So a burst no longer than span - 1 buckets is always within one window, and no window is longer than span buckets. What is
    counted is the same in any order, and the same when it is loaded anew: buckets before the edge do not count, and the edge
    follows the watermark. Memory: about 50 bytes for each key and bucket since the edge.
    """

    def __init__(self, bucket_micros: int, span: int, limit: int) -> None:
        self._width = bucket_micros
        self._span = span
        self._limit = limit
        self._table = KeyedTable({"bucket": (np.int64, 1, 0), "count": (np.int32, 1, 0)})
        self._after_pruning = 0

    def edge(self, since: int) -> int:
        """The first microsecond of the first bucket that counts where `since` (microseconds since 1970) is in it."""
        return since // self._width * self._width

    def add(self, keys: Ints, at: Ints, since: int) -> Reached:
        """Count rows (key, microseconds since 1970) and say which windows with one of them reach the limit."""
        buckets = at // self._width
        rows = np.flatnonzero(at >= self.edge(since))
        order = rows[np.lexsort((at[rows], mixed(keys[rows], buckets[rows])))]
        cells = mixed(keys[order], buckets[order])
        is_last = np.ones(len(order), dtype=bool)
        is_last[:-1] = cells[1:] != cells[:-1]
        last = order[is_last]
        added = np.diff(np.flatnonzero(is_last), prepend=-1)
        self._prune(since)
        slots = self._table.place(cells[is_last])
        self._table.column("bucket")[slots] = buckets[last]
        self._table.column("count")[slots] += added.astype(np.int32)
        fullest = self._fullest(keys[last], buckets[last], since)
        full = np.flatnonzero(fullest >= self._limit)
        full = full[np.argsort(at[last[full]], kind="stable")]
        return Reached(last[full], fullest[full])

    def _fullest(self, keys: Ints, buckets: Ints, since: int) -> Ints:
        """The highest count of the windows that hold the bucket."""
        around = np.zeros((len(keys), 2 * self._span - 1), dtype=np.int64)
        first = since // self._width
        for column, step in enumerate(range(1 - self._span, self._span)):
            slots = self._table.find(mixed(keys, buckets + step))
            counts = np.where((slots != ABSENT) & (buckets + step >= first), self._table.column("count")[slots], 0)
            around[:, column] = counts
        sums = [around[:, start : start + self._span].sum(axis=1) for start in range(self._span)]
        return np.asarray(np.max(sums, axis=0))

    def _prune(self, since: int) -> None:
        # Only now and then: what lies before the edge is not looked at in any case.
        if len(self._table) > 2 * self._after_pruning + 1000:
            self._table.keep(self._table.column("bucket") >= since // self._width)
            self._after_pruning = len(self._table)
