"""What makes anomalies hard to find: flash sales among the ordinary orders, and regional drops that no record tells of."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion import events, flash
from ingestion.drops import Drop, SentDrops
from ingestion.events import PRODUCT_VIEW, TRANSACTION
from ingestion.traffic import Plan, Traffic
from ingestion.vocabulary import COUNTRY_CODES
from ingestion.world import World

WORLD = World(1)
HOUR = 3_600_000
NOON = 1_780_012_800_000 + 12 * HOUR


def plan(**changes: object) -> Plan:
    values = {"mode": "history", "key": 5, "start_ms": NOON, "end_ms": NOON + 3 * HOUR, "scale": 0.5}
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


def test_a_flash_sale_sells_one_product_to_many_in_minutes() -> None:
    [(begin, end, product)] = flash.sales(WORLD, flash.HISTORY_PACE, NOON - 12 * HOUR, NOON)
    traffic = Traffic(WORLD, plan(start_ms=begin - HOUR, end_ms=end + HOUR))
    orders = events.join(list(traffic.blocks()))
    orders = orders.pick(orders.kind == TRANSACTION)
    of_product = (orders.lines_product == product) & (orders.lines_quantity > 0)
    is_on_sale = (orders.at >= begin) & (orders.at < end + 5 * 60_000)
    buyers = np.unique(orders.user[is_on_sale & of_product.any(axis=1)])
    assert end - begin == 15 * 60_000
    assert len(buyers) > 200
    assert of_product[~is_on_sale].sum() < 20


def test_a_sale_is_the_same_however_time_is_cut() -> None:
    [(begin, end, product)] = flash.sales(WORLD, flash.LIVE_PACE, NOON, NOON + 20 * 60_000)
    middle = (begin + end) // 2
    parts = flash.sales(WORLD, flash.LIVE_PACE, NOON, middle) + flash.sales(WORLD, flash.LIVE_PACE, middle, end + 1)
    assert parts == [(begin, middle, product), (middle, end, product)]


@pytest.fixture(scope="module")
def dropped() -> tuple[Traffic, events.Events]:
    traffic = Traffic(WORLD, plan(scale=1.0, has_drops=True))
    return traffic, events.join(list(traffic.blocks()))


def test_a_countrys_visits_stay_away_for_the_minutes_of_its_drop(dropped: tuple[Traffic, events.Events]) -> None:
    traffic, happened = dropped
    [drop] = traffic.drops
    views = happened.pick((happened.kind == PRODUCT_VIEW) & (happened.country == drop.country))
    length = drop.to_ms - drop.from_ms
    during = ((views.at >= drop.from_ms + 120_000) & (views.at < drop.to_ms)).sum() / (length - 120_000)
    before = ((views.at >= drop.from_ms - length) & (views.at < drop.from_ms)).sum() / length
    assert 600_000 <= length <= 1_200_000
    assert during < 0.25 * before


def test_nothing_drops_unless_asked_for_or_where_few_come(dropped: tuple[Traffic, events.Events]) -> None:
    for changes in ({"scale": 1.0}, {"scale": 0.02, "has_drops": True}):
        traffic = Traffic(WORLD, plan(**changes))
        for _ in traffic.blocks():
            pass
        assert traffic.drops == []


def test_the_truth_of_a_drop_has_the_times_that_its_events_were_sent_with() -> None:
    sent = SentDrops()
    drop = Drop(4, 1_000, 3_000, 0.9)
    for first in range(0, 5_000, 500):
        planned = np.arange(first, first + 500, 100)
        sent.note([drop], planned, planned * 2 + NOON)
    assert [one.to_truth() for one in sent.all()] == [
        {"country": "BR", "from": "2026-05-29T12:00:02.000Z", "to": "2026-05-29T12:00:05.800Z", "lost_share": 0.9}
    ]
    assert COUNTRY_CODES[drop.country] == "BR"
