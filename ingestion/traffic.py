"""The shop's traffic over time: how many visit when and from where, and all that follows, in blocks in order of sending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from ingestion import events, flash
from ingestion.drops import Drop, drop_of, is_felt
from ingestion.events import PRODUCT, USER, Events
from ingestion.hashing import Floats, Ints
from ingestion.incidents import Incident, of_kind, visit_factors
from ingestion.sessions import TRANSACTIONS_PER_SESSION, Visits, simulate
from ingestion.stock import HISTORY_DELAYS, LIVE_DELAYS, Stock
from ingestion.travel import locations
from ingestion.vocabulary import COUNTRIES, MONTH_FACTORS, WEEKDAY_FACTORS
from ingestion.world import PRODUCT_COUNT, USER_COUNT, World

TRANSACTIONS_PER_DAY = 100_000
SESSIONS_PER_DAY = TRANSACTIONS_PER_DAY / TRANSACTIONS_PER_SESSION
DAY_MS = 86_400_000
_SLOT_MS = 15 * 60_000
_LIVE_WINDOW_MS = 500
_SESSIONS_PER_BLOCK = 4_000
_CATALOGUE_BLOCK = 25_000
# How often a country's traffic drops, and how long at least.
_HISTORY_DROP_MS = (3 * 3_600_000, 10 * 60_000)
_LIVE_DROP_MS = (30 * 60_000, 4 * 60_000)
# Activity of users: the k-th of n active users comes in proportion to (k / n) ** (1 / this - 1).
_ACTIVITY_EXPONENT = 1.4


@dataclass(frozen=True)
class Plan:
    """What traffic to make. Times are ms since 1970 (UTC); `scale` is the share of active users, and in history also of the
    daily traffic; `visits_per_second` is for live traffic. `has_drops`: now and then a country's visits stay away. `incidents`
    are for history."""

    mode: Literal["history", "live"]
    key: int
    start_ms: int
    end_ms: int
    scale: float
    disorder_ms: int = 0
    visits_per_second: float = 0.0
    has_drops: bool = False
    incidents: tuple[Incident, ...] = ()

    @property
    def think_seconds(self) -> float:
        return 40.0 if self.mode == "history" else 3.0


class Traffic:
    """Traffic of one plan. `registered` and `catalogued` tell which users and products Kafka knows; both are brought up
    to date as the blocks are taken."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        registered: npt.NDArray[np.bool_] | None = None,
        catalogued: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.plan = plan
        delays = HISTORY_DELAYS if plan.mode == "history" else LIVE_DELAYS
        self.stock = Stock(world, delays, of_kind(plan.incidents, "stock-out-wave"))
        self.drops: list[Drop] = []
        self._pace = flash.HISTORY_PACE if plan.mode == "history" else flash.LIVE_PACE
        self._world = world
        self._registered = np.zeros(USER_COUNT, dtype=np.bool_) if registered is None else registered
        self._catalogued = np.zeros(PRODUCT_COUNT, dtype=np.bool_) if catalogued is None else catalogued
        self._sessions = 0
        self._numbers = np.zeros(6, dtype=np.int64)

    def catalogue(self) -> Iterator[Events]:
        """The products that Kafka does not know yet, dated at the start."""
        missing = np.flatnonzero(~self._catalogued)
        for first in range(0, len(missing), _CATALOGUE_BLOCK):
            product = missing[first : first + _CATALOGUE_BLOCK]
            self._catalogued[product] = True
            # The number is the product's own: the event has the same id whatever was sent before.
            yield events.make(PRODUCT, np.full(len(product), self.plan.start_ms), product=product, number=product)

    def blocks(self) -> Iterator[Events]:
        """All traffic in order of arrival, which trails event time by `disorder_ms` at most. Ends at the plan's end."""
        carried = events.join([])
        for number, (first_ms, last_ms) in enumerate(self._windows()):
            rng = np.random.Generator(np.random.Philox(key=[self.plan.key, number]))
            parts = self._window(rng, first_ms, last_ms)
            waiting = events.join([*parts, carried])
            is_due = waiting.arrival < last_ms
            carried = waiting.pick(~is_due)
            due = waiting.pick(is_due & (waiting.at < self.plan.end_ms)).ordered()
            if len(due):
                yield due
        rest = carried.pick(carried.at < self.plan.end_ms).ordered()
        if len(rest):
            yield rest

    def _windows(self) -> Iterator[tuple[int, int]]:
        if self.plan.mode == "live":
            width = _LIVE_WINDOW_MS
        else:
            slots = _SESSIONS_PER_BLOCK / (SESSIONS_PER_DAY * self.plan.scale * _SLOT_MS / DAY_MS)
            width = _SLOT_MS * int(np.clip(slots, 1, 96))
        first = self.plan.start_ms
        while first < self.plan.end_ms:
            last = min(first - first % width + width, self.plan.end_ms)
            yield first, last
            first = last

    def _window(self, rng: np.random.Generator, first_ms: int, last_ms: int) -> list[Events]:
        visits = self._visits(rng, first_ms, last_ms)
        happened = simulate(self._world, rng, visits, self.plan.think_seconds)
        visits, bought = self._flash_sales(rng, first_ms, last_ms, visits)
        happened += bought
        joined = events.join(happened)
        if self.plan.disorder_ms:
            joined.arrival = joined.at + rng.integers(0, self.plan.disorder_ms + 1, len(joined))
        parts = [self._registrations(visits), joined]
        parts += self.stock.follow(rng, joined, first_ms, last_ms, len(visits.start))
        for part in parts:
            self._count(part)
        return parts

    def _count(self, part: Events) -> None:
        """Give each event its number within its kind, from which its id is made."""
        for kind in np.unique(part.kind).tolist():
            if kind == USER:
                continue
            where = np.flatnonzero(part.kind == kind)
            part.number[where] = self._numbers[kind] + np.arange(len(where))
            self._numbers[kind] += len(where)

    def _visits(self, rng: np.random.Generator, first_ms: int, last_ms: int) -> Visits:
        starts, homes = self._arrivals(rng, first_ms, last_ms)
        order = np.argsort(starts, kind="stable")
        return self._visitors(rng, starts[order], homes[order])

    def _visitors(self, rng: np.random.Generator, starts: Ints, homes: Ints) -> Visits:
        """Who comes at these times from these homes, each from where they are then; some are in the air, some stay away."""
        shares = np.array([country.share for country in COUNTRIES])
        groups = max(1, round(self.plan.scale * USER_COUNT / 100))
        group = (groups * rng.random(len(starts)) ** _ACTIVITY_EXPONENT).astype(np.int64)
        within = (np.cumsum(shares) - shares)[homes] + (rng.random(len(starts)) * shares[homes]).astype(np.int64)
        users = self._world.user_of_rank(group * 100 + within)
        countries, in_air = locations(self._world, users, starts)
        comes = np.flatnonzero(~in_air & ~self._stays_away(rng, starts, countries))
        numbers = self._sessions + np.arange(len(comes))
        self._sessions += len(comes)
        return Visits(starts[comes], users[comes], countries[comes], numbers)

    def _flash_sales(
        self, rng: np.random.Generator, first_ms: int, last_ms: int, visits: Visits
    ) -> tuple[Visits, list[Events]]:
        """The visits with those of the flash sales in the window, and what happens in the latter."""
        bought: list[Events] = []
        for begin, end, product in flash.sales(self._world, self._pace, first_ms, last_ms):
            homes = self._world.user_country(visits.user[(visits.start >= begin) & (visits.start < end)])
            count = flash.buyer_count(rng, len(homes))
            if not count:
                continue
            buyers = self._visitors(rng, np.sort(rng.integers(begin, end, count)), rng.choice(homes, count))
            bought += flash.purchases(rng, self._pace, buyers, product)
            together = [np.concatenate(pair) for pair in zip(vars(visits).values(), vars(buyers).values(), strict=True)]
            order = np.argsort(together[0], kind="stable")
            visits = Visits(*(column[order] for column in together))
        return visits, bought

    def _stays_away(self, rng: np.random.Generator, starts: Ints, countries: Ints) -> npt.NDArray[np.bool_]:
        """Whether a visit is lost to a drop of its country."""
        away = np.zeros(len(starts), dtype=np.bool_)
        if not self.plan.has_drops or not len(starts):
            return away
        slot_ms, shortest_ms = _HISTORY_DROP_MS if self.plan.mode == "history" else _LIVE_DROP_MS
        for slot in range(int(starts.min()) // slot_ms, int(starts.max()) // slot_ms + 1):
            drop = drop_of(self.plan.key, slot, slot_ms, shortest_ms)
            hit = (countries == drop.country) & (starts >= drop.from_ms) & (starts < drop.to_ms)
            if hit.any() and is_felt(drop, self._visits_per_minute(drop.from_ms)):
                away |= hit & (rng.random(len(starts)) < drop.lost_share)
                if drop not in self.drops:
                    self.drops.append(drop)
        return away

    def _visits_per_minute(self, at_ms: int) -> Floats:
        """By country, as planned for the quarter of an hour."""
        weights = np.array([country.share for country in COUNTRIES]) / 100 * demand(at_ms // _SLOT_MS)
        if self.plan.mode == "live":
            return np.asarray(weights / weights.sum() * self.plan.visits_per_second * 60)
        return np.asarray(weights * SESSIONS_PER_DAY * self.plan.scale / 1440)

    def _arrivals(self, rng: np.random.Generator, first_ms: int, last_ms: int) -> tuple[Ints, Ints]:
        """Starts of the visits in the window and the country of each."""
        shares = np.array([country.share for country in COUNTRIES]) / 100
        if self.plan.mode == "live":
            weights = shares * demand(first_ms // _SLOT_MS)
            means = (weights / weights.sum() * self.plan.visits_per_second * (last_ms - first_ms) / 1000)[None, :]
            edges = np.array([first_ms, last_ms])
        else:
            slots = range(first_ms // _SLOT_MS, -(-last_ms // _SLOT_MS))
            edges = np.clip(np.arange(slots.start, slots.stop + 1) * _SLOT_MS, first_ms, last_ms)
            curves = np.array([demand(slot) for slot in slots])
            spans = np.diff(edges) / DAY_MS * visit_factors(self.plan.incidents, edges)
            means = SESSIONS_PER_DAY * self.plan.scale * shares * curves * spans[:, None]
        counts = rng.poisson(means)
        slot, home = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), len(COUNTRIES))
        offset = (rng.random(len(slot)) * np.diff(edges)[slot]).astype(np.int64)
        return edges[slot] + offset, home

    def _registrations(self, visits: Visits) -> Events:
        """A user record for each user seen for the first time, a millisecond before their first visit."""
        unknown = np.flatnonzero(~self._registered[visits.user])
        users, first = np.unique(visits.user[unknown], return_index=True)
        self._registered[users] = True
        at = np.maximum(visits.start[unknown][first] - 1, self.plan.start_ms)
        return events.make(USER, at, user=users, number=users)


@lru_cache(maxsize=512)
def demand(slot: int) -> Floats:
    """Traffic per country in a quarter of an hour (counted from 1970, UTC) against the year's mean: by the local hour,
    weekday and month."""
    at = datetime.fromtimestamp(slot * _SLOT_MS / 1000, UTC)
    factors = []
    for country in COUNTRIES:
        local = at.astimezone(ZoneInfo(country.time_zone))
        hour = local.hour + local.minute / 60
        factors.append(
            _day_curve(country.peaks)[int(hour * 4)] * WEEKDAY_FACTORS[local.weekday()] * MONTH_FACTORS[local.month - 1]
        )
    return np.array(factors)


@lru_cache
def _day_curve(peaks: tuple[float, float]) -> Floats:
    """Traffic by quarter of the local day against its mean: a quiet night, a rise to noon and a higher evening."""
    hours = np.arange(96) / 4
    curve = np.full(96, 0.18)
    for peak, height, width in zip(peaks, (0.8, 1.1), (3.2, 2.3), strict=True):
        distance = np.abs(hours - peak)
        curve += height * np.exp(-0.5 * (np.minimum(distance, 24 - distance) / width) ** 2)
    return np.asarray(curve / curve.mean())
