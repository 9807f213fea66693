"""Each detector fires at its threshold and not below, nor at what is like it and ordinary; the words and evidence are whole."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from shop import after, batch, order, view

from lakehouse.findings import finding_id
from lakehouse.live.anomalies.view import AnomaliesView

MINUTE = 60.0
HOUR = 3_600.0


def found(*batches, kind=None):
    """(kind, event or country) of what is found in the batches, one after the other."""
    anomalies = AnomaliesView()
    anomalies.apply(batch(0, with_products=True))
    said = [one for each in batches for one in anomalies.apply(each).findings]
    return [(one.kind, one.event_id or one.country) for one in said if kind in (None, one.kind)]


# ---- purchases ----------------------------------------------------------------------------------------------------


def test_the_fifth_purchase_within_three_minutes_is_a_burst_told_once():
    orders = [order(n, 20.0 * n) for n in range(8)]
    assert found(*(batch(n + 1, [one]) for n, one in enumerate(orders))) == [("purchase_burst", "o4")]


@pytest.mark.parametrize("gap", [20.0, 50.0])
def test_four_purchases_or_five_that_take_longer_are_none(gap):
    count = 4 if gap == 20.0 else 5
    assert found(batch(1, [order(n, gap * n) for n in range(count)])) == []


def test_a_flash_sale_is_no_burst_for_it_is_many_customers():
    assert found(batch(1, [order(n, 0.1 * n, user_id=f"u{n // 3}") for n in range(300)])) == []


def test_purchases_count_in_whatever_order_they_come():
    times = [80.0, 0.0, 60.0, 20.0, 40.0]
    batches = [batch(n + 1, [order(n, at)], watermark=-600.0) for n, at in enumerate(times)]
    assert found(*batches) == [("purchase_burst", "o4")]


def test_a_later_burst_of_the_same_customer_is_told_again():
    bursts = [[order(10 * hour + n, HOUR * hour + n) for n in range(5)] for hour in range(2)]
    assert found(*(batch(n + 1, burst) for n, burst in enumerate(bursts))) == [
        ("purchase_burst", "o4"),
        ("purchase_burst", "o14"),
    ]


def test_five_small_payments_by_card_are_a_test_of_cards_and_no_burst():
    assert found(batch(1, [order(n, 10.0 * n, ("pen", 5)) for n in range(5)])) == [("card_testing", "o4")]


@pytest.mark.parametrize("changes", [{"payment_method": "paypal"}, {"total_amount": Decimal("10.01")}])
def test_payments_without_a_card_or_above_ten_dollars_are_no_test_of_cards(changes):
    assert found(batch(1, [order(n, 10.0 * n, ("pen", 5), **changes) for n in range(5)]), kind="card_testing") == []


# ---- travel -------------------------------------------------------------------------------------------------------


def test_two_countries_nearer_in_time_than_a_flight_are_impossible():
    here, there = order(1, 0.0), order(2, 38 * MINUTE, country="GB")
    assert found(batch(1, [here, there])) == [("impossible_travel", "o2")]
    assert found(batch(1, [here]), batch(2, [there])) == [("impossible_travel", "o2")]


def test_a_traveller_had_the_time_of_a_flight():
    assert found(batch(1, [order(1, 0.0), order(2, 40 * MINUTE, country="GB")])) == []
    assert found(batch(1, [order(1)]), batch(2, [order(2, 40 * MINUTE, country="GB")])) == []


def test_a_view_tells_where_a_customer_is_but_only_orders_are_told_of():
    assert found(batch(1, [], [view(1)]), batch(2, [order(2, 60.0, country="BR")])) == [("impossible_travel", "o2")]
    assert found(batch(1, [], [view(1), view(2, 60.0, country="BR")])) == []


def test_the_way_back_is_not_told_again():
    jump = [order(1, 0.0), order(2, 60.0, country="BR"), order(3, 120.0), order(4, HOUR)]
    assert found(batch(1, jump[:2]), batch(2, jump[2:])) == [("impossible_travel", "o2")]


def test_a_late_order_is_compared_with_what_was_seen_after_it():
    assert found(batch(1, [order(1, HOUR)]), batch(2, [order(2, 0.0, country="IN")])) == [("impossible_travel", "o2")]


def test_two_customers_may_be_in_two_countries():
    assert found(batch(1, [order(1), order(2, 1.0, country="IN", user_id="bob")])) == []


# ---- views --------------------------------------------------------------------------------------------------------


def test_twenty_five_views_within_two_half_minutes_are_a_bot():
    views = [view(n, 1.5 * n) for n in range(60)]
    assert found(*(batch(n + 1, [], views[5 * n : 5 * n + 5]) for n in range(12))) == [("view_bot", "v24")]


def test_a_quick_person_is_no_bot():
    assert found(batch(1, [], [view(n, 2.6 * n) for n in range(200)])) == []


# ---- amounts ------------------------------------------------------------------------------------------------------


def test_an_order_a_hundred_times_the_usual_is_an_outlier():
    orders = [order(1, 0.0, ("drill", 50), ("saw", 50)), order(2, HOUR, ("drill", 50), ("saw", 50), ("pen", 59))]
    assert found(batch(1, orders), kind="amount_outlier") == []
    assert found(batch(1, [order(1, 0.0, ("pen", 200))]), kind="amount_outlier") == [("amount_outlier", "o1")]


def bulk(number, units, hours):
    return batch(number, [order(number, HOUR * hours, ("pen", units))], seconds=HOUR * hours)


def test_what_is_usual_for_a_customer_is_no_outlier():
    usual = [bulk(n, 55, n) for n in range(1, 5)]
    assert found(*usual, bulk(6, 110, 10), kind="amount_outlier") == []
    assert found(bulk(6, 110, 10), kind="amount_outlier") == [("amount_outlier", "o6")]


def test_what_was_usual_a_quarter_of_a_year_ago_is_forgotten():
    usual = [bulk(n, 55, n) for n in range(1, 5)]
    assert found(*usual, bulk(6, 110, 24 * 91), kind="amount_outlier") == [("amount_outlier", "o6")]


def test_a_customer_of_small_orders_stands_out_sooner():
    small = [bulk(n, 1, n) for n in range(1, 4)]
    assert found(*small, bulk(6, 55, 10), kind="amount_outlier") == [("amount_outlier", "o6")]
    assert found(*small[:2], bulk(6, 55, 10), kind="amount_outlier") == []


def test_price_and_quantity_are_told_too():
    orders = [order(1, 0.0, ("drill", 1, "19.00")), order(2, HOUR, ("pen", 60))]
    assert found(batch(1, orders)) == [("price_mismatch", "o1"), ("quantity_burst", "o2")]


# ---- regions ------------------------------------------------------------------------------------------------------


def traffic(minute, **factors):
    """A minute of views: 60 from each country, changed by factors."""
    views = []
    for country in ("US", "GB", "DE", "IN", "BR"):
        for n in range(round(60 * factors.get(country, 1.0))):
            views.append(view(n, 60.0 * minute + n, user_id=f"{country}{minute}.{n}", country=country))
    return batch(minute + 1, [], views, seconds=60.0 * minute + 60)


def test_a_country_that_falls_to_a_fifth_is_told_once_and_others_are_not():
    minutes = [traffic(n, BR=0.2 if 30 <= n < 40 else 1.0) for n in range(45)]
    assert found(*minutes) == [("regional_drop", "BR")]


def test_a_fall_of_all_countries_or_to_two_thirds_is_no_regional_drop():
    everywhere = dict.fromkeys(("US", "GB", "DE", "IN", "BR"), 0.2)
    assert found(*(traffic(n, **(everywhere if 30 <= n < 40 else {})) for n in range(45))) == []
    assert found(*(traffic(n, BR=0.67 if 30 <= n < 40 else 1.0) for n in range(45))) == []


def test_a_backlog_in_one_batch_tells_the_same_drop():
    minutes = [traffic(n, BR=0.2 if 30 <= n < 40 else 1.0) for n in range(45)]
    views = [one for each in minutes for one in each.rows["silver/product_views"].to_pylist()]
    assert found(batch(1, [], views)) == [("regional_drop", "BR")]


def test_late_views_before_the_first_traffic_make_no_country_drop():
    lost = batch(1, [], [view(n, -HOUR * n - 600) for n in range(60)])
    assert found(lost, *(traffic(n) for n in range(20))) == []


# ---- words --------------------------------------------------------------------------------------------------------


def test_a_finding_is_whole():
    anomalies = AnomaliesView()
    anomalies.apply(batch(0, with_products=True))
    orders = [order(1, 0.0), order(2, 90 * MINUTE, country="IN")]
    [finding] = anomalies.apply(batch(1, orders, seconds=91 * MINUTE)).findings
    assert asdict(finding) == {
        "finding_id": finding_id("impossible_travel", "o2"),
        "kind": "impossible_travel",
        "severity": "critical",
        "fingerprint": "impossible_travel|ada",
        "title": "ada was in two countries at once",
        "detail": "Customer ada bought in IN 90 minutes from being in DE, 6121 km away; a flight takes 367 minutes.",
        "event_at": after(90 * MINUTE),
        "detected_at": datetime(2026, 5, 29, 13, 31, tzinfo=UTC),
        "score": 0.877,
        "verdict": "raised",
        "lane": "durable",
        "is_anomaly": True,
        "event_id": "o2",
        "user_id": "ada",
        "product_id": None,
        "country": "IN",
        "evidence": {
            "km": 6121,
            "minutes": 90,
            "most_km_per_hour": 1000,
            "needed_minutes": 367,
            "other_at": "2026-05-29T12:00:00.000+00:00",
            "other_country": "DE",
        },
    }


def test_a_drop_is_told_with_its_figures():
    anomalies = AnomaliesView()
    said = [anomalies.apply(traffic(n, BR=0.2 if n >= 30 else 1.0)).findings for n in range(34)]
    [drop] = [one for each in said for one in each]
    assert (drop.title, drop.detail, drop.event_at, drop.country, drop.event_id, drop.evidence) == (
        "Far fewer views from BR",
        "BR had 36 views in 3 minutes; by the other countries and the hour before 180 were due.",
        after(30 * MINUTE),
        "BR",
        None,
        {"expected": 180, "minutes": 3, "seen": 36, "what": "views"},
    )
