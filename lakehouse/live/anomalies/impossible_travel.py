"""`impossible_travel`: an order from a country that its customer could not have reached in the time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.contracts.base import COUNTRIES
from lakehouse.findings import Finding
from lakehouse.live.anomalies.facts import Orders, Visits
from lakehouse.live.anomalies.keyed import ABSENT, KeyedTable
from lakehouse.live.anomalies.rules import IMPOSSIBLE_TRAVEL, KM_BETWEEN, MOST_KM_PER_HOUR, score
from lakehouse.live.anomalies.saying import MINUTE, Saying, time_of
from lakehouse.live.columns import LONG_AGO

QUIET = KEPT = 18 * 60 * MINUTE
"""Longer than the longest flight. Whoever was found is left alone for as long: after a jump there every way back is one, too."""


def _kilometres() -> NDArray[np.int64]:
    km = np.zeros((len(COUNTRIES), len(COUNTRIES)), dtype=np.int64)
    for (one, other), distance in KM_BETWEEN.items():
        places = COUNTRIES.index(one), COUNTRIES.index(other)
        km[places] = km[places[::-1]] = distance
    return km


_KM = _kilometres()
_FLIGHT = _KM * 60 * MINUTE // MOST_KM_PER_HOUR


class ImpossibleTravel:
    """When each customer was last seen in each country: as much as a jump needs, and the same in whichever order it is
    told. About 120 bytes for each customer seen within KEPT."""

    def __init__(self) -> None:
        self._seen = KeyedTable({"at": (np.int64, len(COUNTRIES), LONG_AGO)})
        self._after_pruning = 0

    @staticmethod
    def edge(since: int) -> int:
        """The first microsecond that counts where the watermark is `since`."""
        return since - KEPT

    def add(self, visits: Visits) -> None:
        """Take in where customers were."""
        if len(visits):
            slots = self._seen.place(visits.user)
            np.maximum.at(self._seen.column("at"), (slots, visits.country), visits.at)

    def judge(self, orders: Orders, views: Visits, since: int, saying: Saying) -> list[Finding]:
        """Findings about the batch's orders, by what was seen before and by the batch itself; then take it in.

        `since` is the watermark before the batch; what lies more than KEPT behind it is forgotten.
        """
        self._prune(self.edge(since))
        jumps = self._from_before(orders, self.edge(since)) + _within(orders, views)
        self.add(orders)
        self.add(views)
        found = []
        for row, other, other_at in sorted(jumps, key=lambda jump: (orders.at[jump[0]], jump)):
            found += self._say(orders, row, other, other_at, saying)
        return found

    def _from_before(self, orders: Orders, edge: int) -> list[tuple[int, int, int]]:
        """(order, other country, when there) of the jumps from what was seen before the batch."""
        if not len(orders):
            return []
        slots = self._seen.find(orders.user)
        seen = np.where((slots != ABSENT)[:, None], self._seen.column("at")[slots], LONG_AGO)
        apart = np.abs(orders.at[:, None] - np.maximum(seen, 0))
        is_jump = (seen >= max(edge, 0)) & (apart < _FLIGHT[orders.country])
        return [(row, other, int(seen[row, other])) for row, other in np.argwhere(is_jump).tolist()]

    def _say(self, orders: Orders, row: int, other: int, other_at: int, saying: Saying) -> list[Finding]:
        here = int(orders.country[row])
        km, apart, flight = int(_KM[here, other]), abs(int(orders.at[row]) - other_at), int(_FLIGHT[here, other])
        evidence = {
            "km": km,
            "minutes": apart // MINUTE,
            "most_km_per_hour": MOST_KM_PER_HOUR,
            "needed_minutes": flight // MINUTE,
            "other_at": time_of(other_at).isoformat(timespec="milliseconds"),
            "other_country": COUNTRIES[other],
        }
        values = {
            "km": str(km),
            "minutes": str(apart // MINUTE),
            "needed": str(flight // MINUTE),
            "other_country": COUNTRIES[other],
        }
        sureness = score(max(apart, 1), flight)
        return saying.once(IMPOSSIBLE_TRAVEL, orders, row, QUIET, sureness, values, evidence)

    def _prune(self, edge: int) -> None:
        if len(self._seen) > 2 * self._after_pruning + 1000:
            self._seen.keep(self._seen.column("at").max(axis=1) >= edge)
            self._after_pruning = len(self._seen)


def _within(orders: Orders, views: Visits) -> list[tuple[int, int, int]]:
    """(order, other country, when there) of the jumps between neighbours in time of one batch. If all neighbours can be
    reached, so can any two, as no way round is shorter."""
    user, at = np.concatenate([orders.user, views.user]), np.concatenate([orders.at, views.at])
    country = np.concatenate([orders.country, views.country])
    by_time = np.lexsort((at, user))
    first, second = by_time[:-1], by_time[1:]
    flight = _FLIGHT[country[first], country[second]]
    is_jump = (user[first] == user[second]) & (at[second] - at[first] < flight)
    jumps = []
    for one, other in zip(first[is_jump].tolist(), second[is_jump].tolist(), strict=True):
        # the later one jumped; where that is a view, the order before it is what can be told of
        row, away = (other, one) if other < len(orders) else (one, other)
        if row < len(orders):
            jumps.append((row, int(country[away]), int(at[away])))
    return jumps
