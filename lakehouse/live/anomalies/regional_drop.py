"""`regional_drop`: a country orders or looks far less than it did, while the others go on as before."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from lakehouse.contracts.base import COUNTRIES
from lakehouse.findings import Finding, finding_id
from lakehouse.live.anomalies.facts import Orders, Visits
from lakehouse.live.anomalies.rules import (
    DROP_BASE_MINUTES,
    DROP_DISPERSION,
    DROP_LEAST_EXPECTED,
    DROP_SHARE,
    DROP_SIGMAS,
    DROP_WINDOWS,
    REGIONAL_DROP,
    score,
)
from lakehouse.live.anomalies.saying import MINUTE, time_of
from lakehouse.live.anomalies.told import Told

KEPT = 90 * MINUTE
"""How far behind the watermark minutes are kept: base and longest window, and some."""
QUIET = 60 * MINUTE
_WHAT = ("orders", "views")
_MOST_AT_ONCE = 7 * 24 * 60
"""Minutes that one batch is judged for at most; of a backlog that reaches further back the newest."""
_FEW = 0.05
"""A minute with less than this share of the usual is none: before the first traffic there are late events, behind the newest one
those of clocks that are fast."""

Counts = NDArray[np.float64]


class RegionalDrop:
    """Orders and views by minute and country."""

    def __init__(self) -> None:
        self._minutes: dict[int, Counts] = {}

    def add(self, orders: Visits, views: Visits, since: int) -> None:
        """Count what happened; `since` is the watermark before it."""
        edge = _edge(since)
        self._minutes = {minute: counts for minute, counts in self._minutes.items() if minute >= edge}
        for what, visits in enumerate((orders, views)):
            cells, counts = np.unique(visits.at // MINUTE * len(COUNTRIES) + visits.country, return_counts=True)
            for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
                minute, country = divmod(cell, len(COUNTRIES))
                if minute >= edge:
                    if minute not in self._minutes:
                        self._minutes[minute] = np.zeros((len(_WHAT), len(COUNTRIES)))
                    self._minutes[minute][what, country] += count

    def judge(self, orders: Orders, views: Visits, since: int, told: Told, detected_at: datetime) -> list[Finding]:
        """Count the batch and judge the minutes that are over with it. `since` is the watermark before the batch."""
        over_before = self._over()
        self.add(orders, views, since)
        over = self._over()
        if over is None:
            return []
        earliest = max(min(self._minutes), over - _MOST_AT_ONCE)
        first = earliest if over_before is None else max(over_before + 1, earliest)
        if first > over:
            return []
        start = max(first - DROP_BASE_MINUTES[1] - max(DROP_WINDOWS), earliest)
        nothing = np.zeros((len(_WHAT), len(COUNTRIES)))
        counts = np.array([self._minutes.get(minute, nothing) for minute in range(start, over + 1)])
        found = []
        for end, minutes, what, country, seen, expected in _drops(counts, first - start):
            name, began = COUNTRIES[country], start + end - minutes + 1
            if told.is_first(REGIONAL_DROP.kind, name, began * MINUTE, QUIET):
                found.append(_finding(name, _WHAT[what], seen, expected, began, minutes, detected_at))
        return found

    def _over(self) -> int | None:
        """The last minute that is over: a later one has begun in earnest."""
        if not self._minutes:
            return None
        minutes = sorted(self._minutes)[-DROP_BASE_MINUTES[1] :]
        totals = np.array([self._minutes[minute].sum() for minute in minutes])
        return int(minutes[np.flatnonzero(_is_earnest(totals))[-1]]) - 1


def _drops(counts: Counts, first: int) -> list[tuple[int, int, int, int, int, float]]:
    """(last minute, minutes, what, country, seen, expected) of the windows that end with minute `first` or later and are a drop,
    the earliest first. `counts` has the shape (minutes, orders or views, countries)."""
    usual, known = _usual_before(counts)
    sums = np.concatenate([np.zeros_like(counts[:1]), np.cumsum(counts, axis=0)])
    found = []
    for minutes in DROP_WINDOWS:
        ends = np.arange(max(first, minutes - 1), len(counts))
        ends = ends[known[ends + 1 - minutes] >= DROP_BASE_MINUTES[0]]
        seen = sums[ends + 1] - sums[ends + 1 - minutes]
        due = usual[ends + 1 - minutes] * minutes
        expected = due * _pace(seen, due)
        room = np.sqrt(DROP_DISPERSION * np.maximum(expected, 1))
        is_drop = (expected >= DROP_LEAST_EXPECTED) & (seen < DROP_SHARE * expected)
        is_drop &= (expected - seen) / room >= DROP_SIGMAS
        for row, what, country in np.argwhere(is_drop).tolist():
            numbers = int(seen[row, what, country]), float(expected[row, what, country])
            found.append((int(ends[row]), minutes, what, country, *numbers))
    return sorted(found)


def _usual_before(counts: Counts) -> tuple[Counts, NDArray[np.int64]]:
    """For each minute the median of those in earnest among the DROP_BASE_MINUTES[1] before it, and how many these are."""
    most = DROP_BASE_MINUTES[1]
    is_earnest = _is_earnest(counts.sum(axis=(1, 2)))
    cells = np.where(is_earnest[:, None, None], counts, np.inf)
    padded = np.concatenate([np.full((most, *counts.shape[1:]), np.inf), cells[:-1]])
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, most, axis=0), axis=-1)
    known = np.isfinite(ordered[:, 0, 0, :]).sum(axis=-1)
    return np.where(known[:, None, None] > 0, _middle(ordered, known[:, None, None]), 0), known


def _is_earnest(totals: Counts) -> NDArray[np.bool_]:
    """Which minutes have at least _FEW of the usual: that which half of all events have in their minute."""
    ordered = np.sort(totals)
    usual = ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]
    return np.asarray(totals >= max(_FEW * usual, 1))


def _middle(ordered: Counts, known: NDArray[np.int64]) -> Counts:
    """Median of the first `known` along the last axis, in which numbers are in order and what is unknown stands last."""
    last = ordered.shape[-1] - 1
    lower = np.take_along_axis(ordered, (np.maximum(known - 1, 0) // 2)[..., None], axis=-1)[..., 0]
    upper = np.take_along_axis(ordered, np.minimum(known // 2, last)[..., None], axis=-1)[..., 0]
    return np.asarray((lower + upper) / 2)


def _pace(seen: Counts, due: Counts) -> Counts:
    """For each country how much of what is due the others have: the median over them, so that one that drops does not tell."""
    shares = np.divide(seen, due, out=np.full_like(seen, np.inf), where=due > 0)
    others = np.stack([np.delete(shares, country, axis=-1) for country in range(shares.shape[-1])], axis=-2)
    known = np.isfinite(others).sum(axis=-1)
    return np.where(known > 0, _middle(np.sort(others, axis=-1), known), 1.0)


def _finding(
    country: str, what: str, seen: int, expected: float, start: int, minutes: int, detected_at: datetime
) -> Finding:
    began_at = time_of(start * MINUTE)
    values = {
        "country": country,
        "expected": str(round(expected)),
        "minutes": str(minutes),
        "seen": str(seen),
        "what": what,
    }
    return Finding(
        finding_id=finding_id(REGIONAL_DROP.kind, country, began_at.isoformat(timespec="seconds")),
        kind=REGIONAL_DROP.kind,
        severity=REGIONAL_DROP.severity,
        fingerprint=f"{REGIONAL_DROP.kind}|{country}",
        title=REGIONAL_DROP.title.format(**values),
        detail=REGIONAL_DROP.detail.format(**values),
        event_at=began_at,
        detected_at=detected_at,
        score=score(max(seen, 1), max(DROP_SHARE * expected, 1)),
        is_anomaly=True,
        country=country,
        evidence={"expected": round(expected), "minutes": minutes, "seen": seen, "what": what},
    )


def _edge(since: int) -> int:
    """The first minute that counts where the watermark is `since`."""
    return (since - KEPT) // MINUTE
