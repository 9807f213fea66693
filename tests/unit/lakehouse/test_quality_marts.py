"""`lakehouse.quality.marts`: sound rows of each mart break no rule, and each kind of broken row breaks its own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from broken_rules import Row, broken
from pyspark.sql import SparkSession

from lakehouse.contracts.base import MONEY_MAX
from lakehouse.tables import (
    BASKET_PAIRS,
    COHORT_RETENTION,
    CUSTOMER_LIFETIME_VALUE,
    CUSTOMER_RFM,
    FUNNEL_DAILY,
    PRODUCT_PERFORMANCE,
    PRODUCTS,
    RFM_MOVEMENTS,
    SALES_TRENDS,
    SESSIONS,
    TRANSACTION_ITEMS,
)

DAY, YESTERDAY = date(2026, 3, 14), date(2026, 3, 13)
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def usd(amount: str | int) -> Decimal:
    return Decimal(amount).quantize(Decimal("0.01"))


def item(order: str, user: str, product: str, units: int, amount: str | int, **other: Any) -> Row:
    row = {
        "line_number": 1,
        "transaction_id": order,
        "user_id": user,
        "product_id": product,
        "quantity": units,
        "timestamp": NOON,
    }
    return {**row, "line_amount": usd(amount), **other}


def product(name: str, **changes: Any) -> Row:
    """Two units for 10 USD, seen in four visits, put into the cart in two, bought in one."""
    sums = {"unit_count": 2, "order_count": 1, "revenue": usd(10), "price_realised": usd(5), "list_revenue": usd(10)}
    steps = {"view_session_count": 4, "cart_session_count": 2, "order_session_count": 1}
    rates = {"price_realisation": 1.0, "view_to_cart_rate": 0.5, "cart_to_order_rate": 0.5, "view_to_order_rate": 0.25}
    row = {"as_of_date": DAY, "product_id": name, "category": "Books", "revenue_rank": 1, "stock_out_days": 0}
    return {**row, **sums, **steps, **rates, **changes}


def test_products(spark: SparkSession) -> None:
    idle = {"unit_count": 0, "revenue": usd(0), "price_realised": None, "revenue_rank": None}
    views = {
        TRANSACTION_ITEMS: [item("t1", "u", "a", 2, 10), item("t2", "u", "b", 2, 10)],
        PRODUCTS: [{"product_id": name} for name in "abcdefgh"],
    }
    sound = [product("a"), product("b", revenue_rank=1), product("z", category="unknown", **idle)]
    assert broken(spark, PRODUCT_PERFORMANCE, sound, views) == {}
    rows = [
        product("a"),
        product("a"),
        product("b", price_realised=usd(6)),
        product("c", view_to_order_rate=1.5),
        product("d", revenue_rank=2),
        product("e", previous_revenue_rank=3, rank_movement=1),
        product("x"),
        product("f", stock_out_days=29),
        product("g", **idle | {"unit_count": -1}),
    ]
    assert broken(spark, PRODUCT_PERFORMANCE, rows, views) == {
        "as_of_date, product_id is unique": 1,
        "price_realised is revenue / units, to the cent": 2,
        "view_to_order_rate is a share": 1,
        "ranks follow revenue within the category": 1,
        "rank_movement is the difference of the ranks": 1,
        "a product with a category is in silver/products": 1,
        "stock_out_days is at least 0 and at most 28": 1,
        "unit_count is at least 0": 1,
        "units and revenue equal silver/transaction_items": 1,
    }


def period(category: str, country: str, units: int, **changes: Any) -> Row:
    """A day on which each unit brought 1 USD."""
    row = {"as_of_date": DAY, "period_type": "day", "period_start": DAY, "period_end": DAY, "is_complete": True}
    series = {"category": category, "country": country, "unit_count": units, "revenue": usd(units)}
    return {**row, **series, "is_forecast": False, **changes}


def to_come(country: str = "all", **changes: Any) -> Row:
    ahead = {"period_start": date(2026, 3, 15), "period_end": date(2026, 3, 15), "is_forecast": True}
    expected = {"revenue_forecast": usd(5), "revenue_forecast_low": usd(4), "revenue_forecast_high": usd(6)}
    return period("all", country, 0, **{"unit_count": None, "revenue": None, **ahead, **expected, **changes})


def test_trends(spark: SparkSession) -> None:
    views = {TRANSACTION_ITEMS: [item("t1", "u", "a", 2, 2), item("t2", "u", "b", 1, 1)]}
    series = [
        period(category, country, units)
        for category, country, units in (
            *[("Tea", "DE", 2), ("Tea", "all", 2), ("Books", "US", 1), ("Books", "all", 1)],
            *[("all", "DE", 2), ("all", "US", 1), ("all", "all", 3)],
        )
    ]
    assert broken(spark, SALES_TRENDS, [*series, to_come()], views) == {}
    rows = [
        *series[:-1],
        period("all", "all", 4, seasonal_index=1.0),
        period("Tea", "GB", -1, period_type="hour"),
        period("Tea", "DE", 0, period_start=date(2026, 3, 15)),
        to_come(revenue_forecast_low=usd("5.5")),
        to_come(country="US", revenue=usd(1)),
        to_come(country="DE", interval_coverage=1.2, revenue_forecast_low=usd(-1)),
    ]
    assert broken(spark, SALES_TRENDS, rows, views) == {
        "period_type is one of its known values": 1,
        "unit_count is at least 0": 1,
        "revenue is at least 0": 1,
        "revenue_forecast_low is at least 0": 1,
        "interval_coverage is a share": 1,
        "a period does not end before it begins": 1,
        "only a forecast is of the future": 1,
        "a forecast has no figures, and a period has no forecast": 1,
        "the interval holds the forecast": 1,
        "unit_count of the parts adds up to that of all": 3,
        "revenue of the parts adds up to that of all": 3,
        "the seasonal shares of a week add up to 1": 1,
        "units and revenue of all days equal silver/transaction_items": 1,
    }


def cohort(country: str, number: int, active: int, amount: int, **changes: Any) -> Row:
    """A month of the life of two customers who came in February, who bought for 10 USD then."""
    row = {"as_of_date": DAY, "cohort_month": date(2026, 2, 1), "country": country, "month_number": number}
    counts = {"customer_count": 2, "active_count": active, "retention_rate": active / 2, "is_complete": number == 0}
    return {**row, **counts, "revenue": usd(amount), "cumulative_revenue": usd(10 + amount * (number > 0)), **changes}


def test_cohorts(spark: SparkSession) -> None:
    views = {TRANSACTION_ITEMS: [item("t1", "u", "a", 1, 6), item("t2", "v", "a", 1, 4), item("t3", "v", "a", 1, 3)]}
    sound = [cohort(country, number, *of) for country in ("DE", "all") for number, of in ((0, (2, 10)), (1, (1, 3)))]
    assert broken(spark, COHORT_RETENTION, sound, views) == {}
    rows = [
        cohort("DE", 0, 1, 10),
        cohort("DE", 1, 1, 3, retention_rate=0.4),
        cohort("all", 0, 2, 10, customer_count=0, retention_rate=None),
        cohort("all", 1, 1, 4, cumulative_revenue=usd(15)),
        cohort("all", 2, 0, 0, cumulative_revenue=usd(14)),
    ]
    assert broken(spark, COHORT_RETENTION, rows, views) == {
        "retention_rate is present": 1,
        "customer_count is at least 1": 1,
        "retention_rate is active / all customers": 2,
        "in its first month all of a cohort are active": 2,
        "no month is in the future": 1,
        "cumulative_revenue is the sum so far": 1,
        "customer_count of the countries adds up to that of all": 2,
        "active_count of the countries adds up to that of all": 2,
        "revenue of the countries adds up to that of all": 2,
        "customers and revenue equal silver/transaction_items": 1,
    }


def customer(name: str, **changes: Any) -> Row:
    """Bought on one day."""
    row = {"as_of_date": DAY, "user_id": name, "frequency": 0, "recency_days": 0, "age_days": 3, "monetary": usd(5)}
    found = {"p_alive": 1.0, "predicted_purchases": 2.0, "predicted_order_value": usd(4), "predicted_value": usd(8)}
    return {**row, **found, **changes}


def test_lifetimes(spark: SparkSession) -> None:
    views = {TRANSACTION_ITEMS: [item("t1", "u", "a", 1, 5), item("t2", "v", "a", 1, 5)]}
    assert broken(spark, CUSTOMER_LIFETIME_VALUE, [customer("u"), customer("v")], views) == {}
    rows = [
        customer("u", p_alive=0.9),
        customer("v", frequency=2, recency_days=1, p_alive=1.5),
        customer("w", age_days=-1),
        customer("x", predicted_value=usd("8.03")),
    ]
    assert broken(spark, CUSTOMER_LIFETIME_VALUE, rows, views) == {
        "age_days is at least 0": 1,
        "p_alive is a share": 1,
        "days with a purchase lie between the first and the last, and those before the day": 2,
        "who bought on one day is alive": 1,
        "predicted_value is purchases x order value, to the cent": 1,
        "customers and their days equal silver/transaction_items": 1,
    }


def test_a_sum_at_the_largest_amount_stands_for_any_above_it_and_for_none_below(spark: SparkSession) -> None:
    most = {"revenue": MONEY_MAX}
    sold = [item("t1", "u", "a", 1, str(MONEY_MAX)), item("t2", "v", "a", 1, str(MONEY_MAX))]
    views = {TRANSACTION_ITEMS: sold, PRODUCTS: [{"product_id": "a"}]}
    whole = product("a", price_realised=usd("5000000000000000.00"), **most)
    assert broken(spark, PRODUCT_PERFORMANCE, [whole], views) == {}
    almost = product("a", price_realised=usd("4999999999999999.99"), revenue=MONEY_MAX - usd("0.01"))
    unequal = {"units and revenue equal silver/transaction_items": 1}
    assert broken(spark, PRODUCT_PERFORMANCE, [almost], views) == unequal
    once = {TRANSACTION_ITEMS: [item("t1", "u", "a", 2, "9999999999999999.98")], PRODUCTS: views[PRODUCTS]}
    assert broken(spark, PRODUCT_PERFORMANCE, [whole], once) == unequal

    parts = [period("Tea", "DE", 1, **most), period("Books", "US", 1, **most)]
    assert broken(spark, SALES_TRENDS, [*parts, period("all", "all", 2, **most)], views) == {}
    less = period("all", "all", 2, revenue=usd(7))
    assert broken(spark, SALES_TRENDS, [*parts, less], views) == {
        "revenue of the parts adds up to that of all": 1,
        "units and revenue of all days equal silver/transaction_items": 1,
    }

    so_far = {"cumulative_revenue": MONEY_MAX}
    months = [
        row
        for country in ("DE", "all")
        for row in (cohort(country, 0, 2, 0, **most, **so_far), cohort(country, 1, 1, 3, **so_far))
    ]
    views = {TRANSACTION_ITEMS: [*sold, item("t3", "v", "a", 1, 3)]}
    assert broken(spark, COHORT_RETENTION, months, views) == {}

    rich = [
        customer("u", predicted_purchases=0.3, predicted_order_value=MONEY_MAX, predicted_value=MONEY_MAX),
        customer("v", predicted_purchases=0.3, predicted_order_value=usd("1234567890123456.78"), predicted_value=usd("370370367037037.03")),
    ]  # fmt: skip
    assert broken(spark, CUSTOMER_LIFETIME_VALUE, rich, views | {TRANSACTION_ITEMS: sold}) == {}


def pair(a: str, b: str, **changes: Any) -> Row:
    counts = {"order_count": 5, "a_order_count": 10, "b_order_count": 5, "all_order_count": 2}
    rates = {"support": 2.5, "confidence_a_to_b": 0.5, "confidence_b_to_a": 1.0, "lift": 0.2}
    return {"as_of_date": DAY, "product_a_id": a, "product_b_id": b, **counts, **rates, **changes}


def test_pairs(spark: SparkSession) -> None:
    orders = [f"t{n}" for n in range(20)]
    views = {TRANSACTION_ITEMS: [item(order, "u", one, 1, 5) for order in orders for one in "ab"]}
    rates = {"all_order_count": 20, "support": 0.25, "lift": 2.0}
    assert broken(spark, BASKET_PAIRS, [pair("a", "b", **rates)], views) == {}
    rows = [pair("b", "a", **rates), pair("a", "c", **rates | {"order_count": 4}), pair("a", "d")]
    assert broken(spark, BASKET_PAIRS, rows, views) == {
        "order_count is at least 5": 1,
        "A is the smaller id": 1,
        "no pair is in more orders than its products, and none in more than all": 1,
        "support, confidence and lift follow from the counts": 1,
        "all_order_count equals silver/transaction_items": 1,
    }


def step(country: str, category: str, sessions: int, orders: int, **changes: Any) -> Row:
    counts = {"session_count": sessions, "view_session_count": sessions, "cart_session_count": 0}
    rates = {"view_to_cart_rate": 0.0, "conversion_rate": orders / sessions if sessions else 0.0}
    row = {"date": DAY, "country": country, "category": category, "order_session_count": orders}
    return {**row, **counts, **rates, **changes}


def test_funnels(spark: SparkSession) -> None:
    views = {SESSIONS: [{"started_date": DAY, "user_id": user, "order_count": int(user == "u")} for user in "uvw"]}
    sound = [step("DE", "all", 1, 1), step("US", "all", 2, 0), step("all", "all", 3, 1)]
    assert broken(spark, FUNNEL_DAILY, sound, views) == {}
    rows = [
        step("DE", "all", 1, 1, conversion_rate=0.5),
        step("US", "all", 2, 0, view_session_count=3),
        step("all", "all", 4, 2, view_to_cart_rate=2.0),
        step("all", "Tea", 0, 0),
    ]
    assert broken(spark, FUNNEL_DAILY, rows, views) == {
        "session_count is at least 1": 1,
        "view_to_cart_rate is a share": 1,
        "no step has more sessions than there are": 1,
        "conversion_rate is sessions with an order / sessions": 2,
        "session_count of the countries adds up to that of all": 2,
        "order_session_count of the countries adds up to that of all": 2,
        "sessions and those with an order equal gold/sessions": 1,
    }


def move(days: int, then: str, now: str, count: int) -> Row:
    return {"as_of_date": DAY, "days_back": days, "from_segment": then, "to_segment": now, "customer_count": count}


def test_movements(spark: SparkSession) -> None:
    scores = [(DAY, "u"), (DAY, "v"), (YESTERDAY, "u")]
    views = {CUSTOMER_RFM: [{"as_of_date": day, "user_id": user} for day, user in scores]}
    sound = [move(1, "lost", "lost", 1), move(1, "none", "champions", 1)]
    assert broken(spark, RFM_MOVEMENTS, sound, views) == {}
    rows = [*sound, move(1, "lost", "none", 1), move(2, "none", "none", 0), move(1, "friends", "lost", 1)]
    assert broken(spark, RFM_MOVEMENTS, rows, views) == {
        "days_back is one of those compared": 1,
        "from_segment is one of its known values": 1,
        "customer_count is at least 1": 1,
        "nobody moves from nowhere to nowhere": 1,
        "customers equal gold/customer_rfm on both days": 2,
    }
