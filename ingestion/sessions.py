"""Visits as a Markov chain, many at once: view, put into the cart, take out, buy, leave. Pure functions of a random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion import events
from ingestion.events import CART_EVENT, MAX_LINES, NO_CART, PRODUCT_VIEW, TRANSACTION, Events
from ingestion.hashing import Ints
from ingestion.vocabulary import DEVICES, PAYMENT_METHODS
from ingestion.world import World

_VIEW, _ADD, _REMOVE, _BUY, _LEAVE = range(5)
# Chance of each step by state: nothing in the cart, something in it. Buying against leaving with a filled cart is what
# makes about 70% of carts abandoned, the mean that Baymard's survey of published rates gives (70.2%).
_STEPS = np.cumsum(
    [
        [0.470, 0.290, 0.000, 0.006, 0.234],
        [0.270, 0.290, 0.060, 0.115, 0.265],
    ],
    axis=1,
)
_MAX_STEPS = 40
_LONGEST_PAUSE_MS = 20 * 60_000
_STAY_AFTER_PURCHASE = 0.2
_MAIN_CATEGORY_SHARE = 0.6
_PREFERRED_SHARE = 0.5
_SUGGESTED_SHARE = 0.8
_LARGE_SHARE = 0.01
CARTS_PER_SESSION = 8

# What one visit gives on average, from runs of this chain over 200,000 visits; a test holds them to the chain.
TRANSACTIONS_PER_SESSION = 0.176
EVENTS_PER_SESSION = 3.6


@dataclass(frozen=True)
class Visits:
    """The visits to simulate, one row each: start (ms), user, country of the visit, number of the session."""

    start: Ints
    user: Ints
    country: Ints
    session: Ints


def simulate(world: World, rng: np.random.Generator, visits: Visits, think_seconds: float) -> list[Events]:
    """All that happens in the visits, in no order and with `number` zero. `think_seconds` is the mean pause between steps."""
    count = len(visits.start)
    now = visits.start.copy()
    device = _choose(rng, DEVICES, count)
    main = _main_categories(world, rng, visits.user)
    is_bulk = world.user_is_bulk_buyer(visits.user)
    current = np.zeros(count, dtype=np.int64)
    cart_product = np.full((count, MAX_LINES), -1, dtype=np.int64)
    cart_quantity = np.zeros((count, MAX_LINES), dtype=np.int64)
    cart_size = np.zeros(count, dtype=np.int64)
    cart_number = np.zeros(count, dtype=np.int64)
    happened: list[Events] = []

    def rows(who: Ints) -> dict[str, Ints]:
        return {"user": visits.user[who], "session": visits.session[who], "country": visits.country[who]}

    def cart_of(who: Ints) -> Ints:
        return np.asarray(visits.session[who] * CARTS_PER_SESSION + np.minimum(cart_number[who], CARTS_PER_SESSION - 1))

    def cart_event(who: Ints, action: int, product: Ints, quantity: Ints) -> None:
        code = np.full(len(who), action)
        columns = {"cart": cart_of(who), "product": product, "quantity": quantity, "code": code}
        happened.append(events.make(CART_EVENT, now[who], **rows(who), **columns))

    active = np.arange(count)
    for step in range(_MAX_STEPS):
        if step:
            pause = np.maximum(rng.exponential(think_seconds * 1000, len(active)).astype(np.int64), 200)
            now[active] += np.minimum(pause, _LONGEST_PAUSE_MS)
            edges = _STEPS[(cart_size[active] > 0).astype(np.int64)]
            action = (rng.random(len(active))[:, None] >= edges[:, :-1]).sum(axis=1)
        else:
            action = np.full(len(active), _VIEW)

        who = active[action == _VIEW]
        in_main = rng.random(len(who)) < _MAIN_CATEGORY_SHARE
        category = np.where(in_main, main[who], world.pick_categories(rng.random(len(who))))
        current[who] = world.pick_products(category, rng.random(len(who)))
        happened.append(events.make(PRODUCT_VIEW, now[who], **rows(who), product=current[who], code=device[who]))

        who = active[action == _ADD]
        # With something in the cart the shop suggests more: most of what is added then was not looked at before.
        suggested = who[(cart_size[who] > 0) & (rng.random(len(who)) < _SUGGESTED_SHARE)]
        current[suggested] = world.pick_products(main[suggested], rng.random(len(suggested)))
        quantity = _quantities(rng, is_bulk[who])
        held = (cart_product[who] == current[who, None]) & (cart_quantity[who] > 0)
        place = np.where(held.any(axis=1), held.argmax(axis=1), cart_size[who])
        fits = place < MAX_LINES
        who, quantity, place = who[fits], quantity[fits], place[fits]
        cart_product[who, place] = current[who]
        cart_quantity[who, place] += quantity
        cart_size[who] = np.maximum(cart_size[who], place + 1)
        cart_event(who, 0, current[who], quantity)

        who = active[action == _REMOVE]
        place = (rng.random(len(who)) * cart_size[who]).astype(np.int64)
        last = cart_size[who] - 1
        cart_event(who, 1, cart_product[who, place], cart_quantity[who, place])
        for columns in (cart_product, cart_quantity):
            columns[who, place] = columns[who, last]
        cart_quantity[who, last] = 0
        cart_size[who] = last

        who = active[action == _BUY]
        direct = cart_size[who] == 0
        cart = np.where(direct, NO_CART, cart_of(who))
        at_once = who[direct]
        cart_product[at_once, 0] = current[at_once]
        cart_quantity[at_once, 0] = _quantities(rng, is_bulk[at_once])
        payment = _choose(rng, PAYMENT_METHODS, len(who))
        lines = {"lines_product": cart_product[who], "lines_quantity": cart_quantity[who]}
        happened.append(events.make(TRANSACTION, now[who], **rows(who), cart=cart, code=payment, **lines))
        cart_quantity[who] = 0
        cart_size[who] = 0
        cart_number[who] += 1

        stays = np.where(action == _BUY, rng.random(len(active)) < _STAY_AFTER_PURCHASE, action != _LEAVE)
        active = active[stays]
        if not len(active):
            break
    return happened


def _main_categories(world: World, rng: np.random.Generator, users: Ints) -> Ints:
    """The category that a visit is mostly about: one that the user prefers, or a popular one."""
    popular = world.pick_categories(rng.random(len(users)))
    place = (rng.random(len(users)) * world.user_category_count(users)).astype(np.int64)
    preferred = world.user_categories(users)[np.arange(len(users)), place]
    return np.asarray(np.where(rng.random(len(users)) < _PREFERRED_SHARE, preferred, popular))


def _quantities(rng: np.random.Generator, is_bulk: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Ints:
    draw = rng.random(len(is_bulk))
    usual = 1 + (draw > 0.82).astype(np.int64) + (draw > 0.95)
    # Now and then a bulk buyer fits out a whole office: what is too much for one is an ordinary day for another.
    is_large = rng.random(len(is_bulk)) < _LARGE_SHARE
    more = np.where(is_large, rng.integers(25, 64, len(is_bulk)), rng.integers(4, 25, len(is_bulk)))
    return np.asarray(usual + np.where(is_bulk, more, 0))


def _choose(rng: np.random.Generator, weighted: tuple[tuple[str, float], ...], count: int) -> Ints:
    edges = np.cumsum([weight for _, weight in weighted])[:-1]
    return np.asarray(np.searchsorted(edges, rng.random(count), side="right"))
