"""Flash sales: for some minutes many customers buy one product at its catalogue price. Ordinary traffic, labelled nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion import events
from ingestion.events import MAX_LINES, PRODUCT_VIEW, TRANSACTION, Events
from ingestion.hashing import key64, uniform
from ingestion.sessions import Visits
from ingestion.vocabulary import DEVICES, PAYMENT_METHODS
from ingestion.world import World

# Buyers for each visit that starts meanwhile: about as many orders again as the visits make.
_BUYERS_PER_VISIT = 0.18
_SECOND_ORDER_SHARE = 0.06
_THIRD_ORDER_SHARE = 0.01


@dataclass(frozen=True)
class Pace:
    """A sale in each `period_ms`, `length_ms` long; the buyers look for `look_ms` before they buy."""

    period_ms: int
    length_ms: int
    look_ms: int


HISTORY_PACE = Pace(12 * 3_600_000, 15 * 60_000, 40_000)
LIVE_PACE = Pace(20 * 60_000, 60_000, 5_000)


def sales(world: World, pace: Pace, first_ms: int, last_ms: int) -> list[tuple[int, int, int]]:
    """(from, to, product) of the sales that overlap the window, cut to it. Times in ms since 1970 (UTC)."""
    found = []
    for slot in range(first_ms // pace.period_ms, -(-last_ms // pace.period_ms)):
        draws = uniform(key64("flash", world.seed), np.arange(3 * slot, 3 * slot + 3))
        start = slot * pace.period_ms + int(draws[0] * (pace.period_ms - pace.length_ms))
        begin, end = max(start, first_ms), min(start + pace.length_ms, last_ms)
        if begin < end:
            product = world.pick_products(world.pick_categories(draws[1:2]), draws[2:3])
            found.append((begin, end, int(product[0])))
    return found


def buyer_count(rng: np.random.Generator, visits: int) -> int:
    return int(rng.poisson(_BUYERS_PER_VISIT * visits))


def purchases(rng: np.random.Generator, pace: Pace, buyers: Visits, product: int) -> list[Events]:
    """A look and an order of each buyer, of few a second or a third order."""
    count = len(buyers.start)
    look = events.make(
        PRODUCT_VIEW,
        buyers.start,
        user=buyers.user,
        session=buyers.session,
        country=buyers.country,
        product=np.full(count, product),
        code=rng.integers(0, len(DEVICES), count),
    )
    draws = rng.random(count)
    orders = 1 + (draws < _SECOND_ORDER_SHARE).astype(np.int64) + (draws < _THIRD_ORDER_SHARE)
    who = np.repeat(np.arange(count), orders)
    turn = np.arange(len(who)) - np.repeat(np.cumsum(orders) - orders, orders)
    at = buyers.start[who] + (rng.uniform(0.5, 1.5, len(who)) * pace.look_ms).astype(np.int64) + turn * 2 * pace.look_ms
    lines_product = np.zeros((len(who), MAX_LINES), dtype=np.int64)
    lines_quantity = np.zeros((len(who), MAX_LINES), dtype=np.int64)
    lines_product[:, 0] = product
    lines_quantity[:, 0] = rng.integers(1, 4, len(who))
    bought = events.make(
        TRANSACTION,
        at,
        user=buyers.user[who],
        session=buyers.session[who],
        country=buyers.country[who],
        code=rng.integers(0, len(PAYMENT_METHODS), len(who)),
        lines_product=lines_product,
        lines_quantity=lines_quantity,
    )
    return [look, bought]
