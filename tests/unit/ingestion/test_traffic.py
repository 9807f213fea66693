"""Traffic: the chain's rates, day curves, order, stock, and blocks that repeat."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ingestion import events
from ingestion.events import (
    CART_EVENT,
    INVENTORY_EVENT,
    NO_CART,
    PRODUCT,
    PRODUCT_VIEW,
    REASONS,
    TRANSACTION,
    USER,
    Events,
)
from ingestion.sessions import EVENTS_PER_SESSION, TRANSACTIONS_PER_SESSION, Visits, simulate
from ingestion.stock import HISTORY_DELAYS, Stock
from ingestion.traffic import DAY_MS, TRANSACTIONS_PER_DAY, Plan, Traffic, demand
from ingestion.world import PRODUCT_COUNT, USER_COUNT, World

WORLD = World(1)
START = 1_780_012_800_000  # 2026-05-29, a Friday


def plan(**changes: object) -> Plan:
    values = {
        "mode": "history",
        "key": 5,
        "start_ms": START,
        "end_ms": START + DAY_MS,
        "scale": 0.02,
        "disorder_ms": 5_000,
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def visits() -> Events:
    count = 100_000
    rng = np.random.default_rng(3)
    many = Visits(
        start=np.zeros(count, dtype=np.int64),
        user=rng.integers(0, USER_COUNT, count),
        country=np.zeros(count, dtype=np.int64),
        session=np.arange(count),
    )
    return events.join(simulate(WORLD, rng, many, 40.0))


@pytest.fixture(scope="module")
def day() -> Events:
    return events.join(list(Traffic(WORLD, plan()).blocks()))


def test_about_seventy_percent_of_carts_are_abandoned(visits: Events) -> None:
    filled = np.unique(visits.cart[(visits.kind == CART_EVENT) & (visits.code == 0)])
    bought = np.unique(visits.cart[(visits.kind == TRANSACTION) & (visits.cart != NO_CART)])
    assert np.isin(bought, filled).all()
    assert 1 - len(bought) / len(filled) == pytest.approx(0.70, abs=0.03)


def test_the_means_per_visit_are_those_that_rates_are_planned_with(visits: Events) -> None:
    assert (visits.kind == TRANSACTION).sum() / 100_000 == pytest.approx(TRANSACTIONS_PER_SESSION, rel=0.03)
    assert len(visits) / 100_000 == pytest.approx(EVENTS_PER_SESSION, rel=0.03)


def test_orders_have_several_products(visits: Events) -> None:
    orders = visits.pick(visits.kind == TRANSACTION)
    lines = (orders.lines_quantity > 0).sum(axis=1)
    assert lines.min() == 1
    assert (lines > 1).mean() > 0.3
    for products, quantities in zip(orders.lines_product[:500], orders.lines_quantity[:500], strict=True):
        assert len(set(products[quantities > 0])) == (quantities > 0).sum()


def test_an_order_holds_what_its_cart_held(visits: Events) -> None:
    orders = visits.pick((visits.kind == TRANSACTION) & (visits.cart != NO_CART))
    changes = visits.pick(visits.kind == CART_EVENT)
    units = np.where(changes.code == 0, changes.quantity, -changes.quantity)
    net = dict.fromkeys(orders.cart.tolist(), 0)
    for cart, change in zip(changes.cart.tolist(), units.tolist(), strict=True):
        if cart in net:
            net[cart] += change
    assert orders.lines_quantity.sum(axis=1).tolist() == list(net.values())


def test_bulk_buyers_buy_more(visits: Events) -> None:
    adds = visits.pick((visits.kind == CART_EVENT) & (visits.code == 0))
    bulk = WORLD.user_is_bulk_buyer(adds.user)
    assert adds.quantity[bulk].min() >= 5
    assert adds.quantity[~bulk].max() <= 3


def test_a_year_holds_a_hundred_thousand_orders_a_day() -> None:
    """By the curve over a whole year, in shares of the mean, and by the mean itself."""
    slots = range(START // 900_000 - START // 900_000 % 4, START // 900_000 + 365 * 96, 7)
    assert np.mean([demand(slot) for slot in slots]) == pytest.approx(1.0, abs=0.01)
    assert TRANSACTIONS_PER_DAY == 100_000


def test_a_days_traffic_is_its_share_of_the_daily_orders(day: Events) -> None:
    factor = np.mean([demand(slot) for slot in range(START // 900_000, START // 900_000 + 96)], axis=0)
    expected = 2_000 * (factor * np.array([0.40, 0.15, 0.15, 0.20, 0.10])).sum()
    assert (day.kind == TRANSACTION).sum() == pytest.approx(expected, rel=0.08)


def test_each_country_is_busiest_in_its_own_evening(day: Events) -> None:
    views = day.pick(day.kind == PRODUCT_VIEW)
    hours = (views.at // 3_600_000) % 24
    in_india = np.bincount(hours[views.country == 3], minlength=24)
    in_america = np.bincount(hours[views.country == 0], minlength=24)
    assert in_india[15:18].sum() > 3 * in_india[21:24].sum()  # 21 o'clock in India is 15:30 UTC
    assert in_america[[0, 1]].sum() > 3 * in_america[[7, 8]].sum()  # 20 o'clock in New York is midnight UTC


def test_the_day_curve_follows_the_clocks_of_summer_time() -> None:
    winter = int(datetime(2026, 1, 14, 19, 30, tzinfo=UTC).timestamp() * 1000) // 900_000
    summer = int(datetime(2026, 7, 15, 18, 30, tzinfo=UTC).timestamp() * 1000) // 900_000
    assert demand(winter)[1] / 0.90 == pytest.approx(demand(summer)[1] / 0.94, rel=0.01)


def test_some_users_visit_from_another_country_than_their_profiles(day: Events) -> None:
    views = day.pick(day.kind == PRODUCT_VIEW)
    away = WORLD.user_country(views.user) != views.country
    assert away.mean() == pytest.approx(0.03, abs=0.015)


def test_arrival_is_in_order_and_trails_event_time_by_the_disorder_at_most(day: Events) -> None:
    assert (np.diff(day.arrival) >= 0).all()
    delay = day.arrival - day.at
    assert delay.min() >= 0
    assert delay.max() <= 5_000
    assert (np.diff(day.at) < 0).any()


def test_without_disorder_event_time_is_in_order() -> None:
    ordered = events.join(list(Traffic(WORLD, plan(disorder_ms=0)).blocks()))
    assert (np.diff(ordered.at) >= 0).all()


def test_all_event_times_lie_within_the_plan(day: Events) -> None:
    assert day.at.min() >= START
    assert day.at.max() < START + DAY_MS


def test_users_register_once_and_before_all_else_they_do(day: Events) -> None:
    first: dict[int, int] = {}
    registrations = day.kind == USER
    for place, (user, is_registration) in enumerate(zip(day.user.tolist(), registrations.tolist(), strict=True)):
        if is_registration:
            assert user not in first
            first[user] = place
    visitors = np.flatnonzero(np.isin(day.kind, (TRANSACTION, PRODUCT_VIEW, CART_EVENT)))
    assert all(first[user] < place for user, place in zip(day.user[visitors].tolist(), visitors.tolist(), strict=True))
    assert set(first) == set(day.user[visitors].tolist())


def test_users_that_kafka_knows_do_not_register_again(day: Events) -> None:
    known = np.zeros(USER_COUNT, dtype=np.bool_)
    users = day.user[day.kind == USER]
    known[users[: len(users) // 2]] = True
    again = events.join(list(Traffic(WORLD, plan(), registered=known.copy()).blocks()))
    registered = again.user[again.kind == USER]
    assert not known[registered].any()
    assert len(registered) == len(users) - len(users) // 2
    assert np.array_equal(again.number[again.kind != USER], day.number[day.kind != USER])


def test_active_users_are_the_share_asked_for(day: Events) -> None:
    assert WORLD.rank_of_user(day.user[day.kind == PRODUCT_VIEW]).max() < 0.02 * USER_COUNT


def test_the_catalogue_is_whole_and_only_what_kafka_lacks_is_sent() -> None:
    whole = events.join(list(Traffic(WORLD, plan()).catalogue()))
    assert np.array_equal(np.sort(whole.product), np.arange(PRODUCT_COUNT))
    assert (whole.kind == PRODUCT).all()
    known = np.ones(PRODUCT_COUNT, dtype=np.bool_)
    known[[3, 77]] = False
    assert events.join(list(Traffic(WORLD, plan(), catalogued=known).catalogue())).product.tolist() == [3, 77]


def test_the_same_plan_gives_the_same_traffic(day: Events) -> None:
    again = events.join(list(Traffic(WORLD, plan()).blocks()))
    assert all(np.array_equal(getattr(day, name), getattr(again, name)) for name in vars(day))


def test_events_of_a_kind_are_numbered_without_gaps(day: Events) -> None:
    for kind in (TRANSACTION, PRODUCT_VIEW, CART_EVENT):
        numbers = np.sort(day.number[day.kind == kind])
        assert len(np.unique(numbers)) == len(numbers)


def test_stock_sells_down_and_is_restocked() -> None:
    stock = Stock(WORLD, HISTORY_DELAYS)
    opening = stock.level.copy()
    sold = opening[:3] - 1
    lines = np.zeros((3, 6), dtype=np.int64)
    lines[:, 0] = sold
    products = np.zeros((3, 6), dtype=np.int64)
    products[:, 0] = [0, 1, 2]
    orders = events.make(TRANSACTION, np.full(3, START), lines_product=products, lines_quantity=lines)
    made = events.join(stock.follow(np.random.default_rng(1), orders, START, START + 1000, 0))
    restocks = made.pick(made.code == REASONS.index("restock"))
    assert (made.kind == INVENTORY_EVENT).all()
    assert restocks.product.tolist() == [0, 1, 2]
    assert restocks.quantity.tolist() == sold.tolist()
    assert (restocks.at - START >= 3_600_000).all()
    expected = opening.copy()
    expected[:3] -= sold
    np.add.at(expected, made.product, made.quantity)
    assert np.array_equal(stock.level, expected)


def test_a_history_has_every_kind_of_inventory_event() -> None:
    month = Traffic(WORLD, plan(end_ms=START + 20 * DAY_MS, scale=0.01))
    reasons = np.zeros(3, dtype=np.int64)
    for block in month.blocks():
        reasons += np.bincount(block.code[block.kind == INVENTORY_EVENT], minlength=3)
    assert (reasons > 10).all()


def test_live_traffic_comes_at_about_the_visits_asked_for() -> None:
    live = Traffic(WORLD, plan(mode="live", end_ms=START + 60_000, disorder_ms=0, visits_per_second=100.0))
    joined = events.join(list(live.blocks()))
    assert len(np.unique(joined.session[joined.kind == PRODUCT_VIEW])) == pytest.approx(6_000, rel=0.06)
