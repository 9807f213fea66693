"""Stock on the shelves: it sells down, is restocked when it runs low, comes back as returns and is corrected by counting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion import events
from ingestion.events import INVENTORY_EVENT, REASONS, TRANSACTION, Events
from ingestion.hashing import Ints
from ingestion.incidents import WAVE_PRODUCTS, Incident
from ingestion.world import PRODUCT_COUNT, World

_REORDER_SHARE = 0.25
_RETURN_SHARE = 0.03
_CORRECTIONS_PER_VISIT = 0.004


@dataclass(frozen=True)
class Delays:
    """Range in seconds of a supplier's delivery and of a customer's return."""

    delivery: tuple[float, float]
    giving_back: tuple[float, float]


HISTORY_DELAYS = Delays((3_600, 24 * 3_600), (24 * 3_600, 12 * 24 * 3_600))
LIVE_DELAYS = Delays((5, 40), (10, 120))


class Stock:
    """Units per product, and the inventory events that sales lead to. A delivery counts as soon as it is ordered, so that
    the real level, which follows the events, may run out meanwhile. `waves` empty shelves and hold deliveries up."""

    def __init__(self, world: World, delays: Delays, waves: tuple[Incident, ...] = ()) -> None:
        self.opening = world.product_stock(np.arange(PRODUCT_COUNT))
        self.level = self.opening.copy()
        self._delays = delays
        self._waves = waves
        self._emptied: dict[Incident, set[int]] = {wave: set() for wave in waves}

    def follow(
        self, rng: np.random.Generator, happened: Events, first_ms: int, last_ms: int, visits: int
    ) -> list[Events]:
        """Take off what the orders among `happened` sell; return restocks, returns and corrections, in no order."""
        orders = happened.pick(happened.kind == TRANSACTION)
        is_line = orders.lines_quantity > 0
        product = orders.lines_product[is_line].astype(np.int64)
        quantity = orders.lines_quantity[is_line].astype(np.int64)
        at = np.broadcast_to(orders.at[:, None], is_line.shape)[is_line]
        np.subtract.at(self.level, product, quantity)
        made = [self._returns(rng, product, quantity, at), self._corrections(rng, first_ms, last_ms, visits)]
        made += [self._wave(rng, wave, product, quantity, at) for wave in self._waves]
        return [*made, self._restocks(rng, product, at)]

    def _wave(self, rng: np.random.Generator, wave: Incident, product: Ints, quantity: Ints, at: Ints) -> Events:
        """The products that sell first in the wave lose, a second after that sale, all that they have left."""
        emptied, rows = self._emptied[wave], []
        for row in np.flatnonzero(wave.holds(at))[np.argsort(at[wave.holds(at)], kind="stable")].tolist():
            if len(emptied) == WAVE_PRODUCTS:
                break
            if int(product[row]) not in emptied:
                emptied.add(int(product[row]))
                rows.append(row)
        # the level has what sells later on taken off already
        later = [int(quantity[(product == product[row]) & (at > at[row])].sum()) for row in rows]
        found, times = product[rows], at[rows] + 1_000
        change = -np.maximum(self.level[found] + np.array(later, dtype=np.int64), 0)
        found, change, times = found[change < 0], change[change < 0], times[change < 0]
        self.level[found] += change
        return self._events(rng, "correction", found, change, times, (0, 0))

    def _returns(self, rng: np.random.Generator, product: Ints, quantity: Ints, at: Ints) -> Events:
        back = rng.random(len(product)) < _RETURN_SHARE
        np.add.at(self.level, product[back], quantity[back])
        return self._events(rng, "return", product[back], quantity[back], at[back], self._delays.giving_back)

    def _corrections(self, rng: np.random.Generator, first_ms: int, last_ms: int, visits: int) -> Events:
        count = int(rng.poisson(_CORRECTIONS_PER_VISIT * visits))
        product = np.unique(rng.integers(0, PRODUCT_COUNT, count))
        change = np.maximum(rng.choice([-3, -2, -1, 1, 2], len(product)), -np.maximum(self.level[product], 0))
        product, change = product[change != 0], change[change != 0]
        self.level[product] += change
        at = rng.integers(first_ms, last_ms, len(product))
        return self._events(rng, "correction", product, change, at, (0, 0))

    def _restocks(self, rng: np.random.Generator, product: Ints, at: Ints) -> Events:
        by_time = np.argsort(at, kind="stable")[::-1]
        sold, last_sale = np.unique(product[by_time], return_index=True)
        is_low = self.level[sold] < self.opening[sold] * _REORDER_SHARE
        low, sold_at = sold[is_low], at[by_time][last_sale[is_low]]
        for wave in self._waves:
            sold_at = np.where(wave.holds(sold_at), wave.to_ms, sold_at)
        units = self.opening[low] - self.level[low]
        self.level[low] += units
        return self._events(rng, "restock", low, units, sold_at, self._delays.delivery)

    @staticmethod
    def _events(
        rng: np.random.Generator, reason: str, product: Ints, change: Ints, at: Ints, delay: tuple[float, float]
    ) -> Events:
        later = at + (rng.uniform(*delay, len(at)) * 1000).astype(np.int64)
        code = np.full(len(at), REASONS.index(reason))
        return events.make(INVENTORY_EVENT, later, product=product, quantity=change, code=code)
