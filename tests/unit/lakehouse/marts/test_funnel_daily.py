"""`lakehouse.marts.funnel_daily`: a day worked out by hand, and random days together by DuckDB."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
from mart_data import (
    CARTS,
    DAY,
    EMPTY_DAY,
    LEAP_DAY,
    LINES,
    PRODUCTS,
    SESSIONS,
    VIEWS,
    Shop,
    at,
    frame,
    line,
    rows_of,
    same,
    shop,
    usd,
)
from pyspark.sql import SparkSession

from lakehouse.marts.funnel_daily import funnel_daily
from lakehouse.tables import FUNNEL_DAILY

COUNTS = ("session_count", "view_session_count", "cart_session_count", "order_session_count")


def session(
    user: str, start: str, end: str, country: str, counts: tuple[int, int, int], is_open: bool = False
) -> dict[str, Any]:
    names = ("view_count", "cart_count", "order_count")
    row = {"started_date": at(start).date(), "user_id": user, "started_at": at(start), "ended_at": at(end)}
    return {**row, "country": country, **dict(zip(names, counts, strict=True)), "is_open": is_open}


def event(user: str, when: str, product: str, action: str = "add") -> dict[str, Any]:
    return {
        "user_id": user,
        "timestamp": at(when),
        "session_id": "s",
        "country": "US",
        "product_id": product,
        "action": action,
    }


def test_a_session_counts_with_its_start_country_and_in_each_category_it_touched(spark: SparkSession) -> None:
    sessions = [
        session("over midnight", "2024-02-29T23:59:59.999", "2024-03-01T00:20:00", "US", (1, 1, 1)),
        session("looks", "2024-02-29T00:00:00", "2024-02-29T00:00:00", "US", (1, 0, 0)),
        session("buys at once", "2024-02-29T12:00:00", "2024-02-29T12:00:00", "DE", (0, 0, 1)),
        session("open", "2024-02-29T12:00:00", "2024-02-29T12:00:00", "DE", (1, 0, 0), is_open=True),
        session("next day", "2024-03-01T00:00:00", "2024-03-01T00:00:00", "US", (1, 0, 0)),
    ]
    views = [
        event("over midnight", "2024-02-29T23:59:59.999", "tea"),
        event("looks", "2024-02-29T00:00:00", "not listed"),
        event("open", "2024-02-29T12:00:00", "tea"),
        event("next day", "2024-03-01T00:00:00", "tea"),
    ]
    lines = [
        line("2024-03-01T00:20:00", "t1", "over midnight", "lamp", "1", category="Lamps"),
        line("2024-02-29T12:00:00", "t2", "buys at once", "tea", "1", category="Tea"),
        line("2024-03-01T09:00:00", "t3", "over midnight", "lamp", "1", category="Books"),  # another session's
    ]
    products = [
        {"timestamp": at("2024-03-01T00:00:00"), "product_id": "tea", "category": "Tea", "price": usd(1)},
        {"timestamp": at("2024-03-01T00:10:00"), "product_id": "tea", "category": "Books", "price": usd(1)},
        {"timestamp": at("2024-01-01T00:00:00"), "product_id": "lamp", "category": "Lamps", "price": usd(1)},
    ]
    carts = [event("over midnight", "2024-03-01T00:10:00", "tea", "remove")]  # just when its category changes
    result = funnel_daily(
        frame(spark, SESSIONS, sessions),
        frame(spark, VIEWS, views),
        frame(spark, CARTS, carts),
        frame(spark, LINES, lines),
        frame(spark, PRODUCTS, products),
        [LEAP_DAY],
    )
    found = rows_of(result, FUNNEL_DAILY)
    assert {row["date"] for row in found} == {LEAP_DAY}
    assert [tuple(row.values())[1:] for row in found] == [
        ("DE", "Tea", 1, 0, 0, 1, None, None, 1.0),
        ("DE", "all", 1, 0, 0, 1, None, None, 1.0),
        ("US", "Books", 1, 0, 1, 0, None, 0.0, 0.0),
        ("US", "Lamps", 1, 0, 0, 1, None, None, 1.0),
        ("US", "Tea", 1, 1, 0, 0, 0.0, None, 0.0),
        ("US", "all", 2, 2, 1, 1, 0.5, 1.0, 0.5),
        ("US", "unknown", 1, 1, 0, 0, 0.0, None, 0.0),
        ("all", "Books", 1, 0, 1, 0, None, 0.0, 0.0),
        ("all", "Lamps", 1, 0, 0, 1, None, None, 1.0),
        ("all", "Tea", 2, 1, 0, 1, 0.0, None, 0.5),
        ("all", "all", 3, 2, 1, 2, 0.5, 1.0, 2 / 3),
        ("all", "unknown", 1, 1, 0, 0, 0.0, None, 0.0),
    ]


def test_a_day_without_sessions_has_no_rows(spark: SparkSession) -> None:
    assert of_shop(spark, shop(3, 300), EMPTY_DAY) == []


def test_random_days_made_together_give_what_duckdb_gives(spark: SparkSession) -> None:
    days = [LEAP_DAY - timedelta(days=1), LEAP_DAY, DAY]
    asked = ", ".join(f"DATE '{day}'" for day in days)
    data = shop(4, 1_500, days=20, users=200)
    sessions, views, carts, lines, products = data.sessions, data.views, data.carts, data.lines, data.products  # noqa: F841
    expected = duckdb.sql(
        f"""
        WITH chosen AS (FROM sessions WHERE started_date IN ({asked}) AND NOT is_open),
        looked AS (SELECT user_id, timestamp, product_id, 1 AS step FROM views
                   UNION ALL SELECT user_id, timestamp, product_id, 2 FROM carts),
        touched AS (
            SELECT user_id, timestamp, step, coalesce(
                (SELECT max(category) FROM products p WHERE p.product_id = l.product_id AND p.timestamp =
                    (SELECT coalesce(max(q.timestamp) FILTER (q.timestamp <= l.timestamp), min(q.timestamp))
                     FROM products q WHERE q.product_id = l.product_id)), 'unknown') AS category
            FROM looked l
            UNION ALL SELECT user_id, timestamp, 3, category FROM lines),
        steps AS (
            SELECT started_date, s.user_id, started_at, s.country, category, bool_or(step = 1) AS v, bool_or(step = 2) AS c, bool_or(step = 3) AS o
            FROM chosen s JOIN touched t ON t.user_id = s.user_id AND t.timestamp BETWEEN started_at AND ended_at GROUP BY ALL
            UNION ALL
            SELECT started_date, user_id, started_at, country, 'all', view_count > 0, cart_count > 0, order_count > 0 FROM chosen)
        SELECT started_date AS date, coalesce(country, 'all') AS country, category, count(*) AS session_count,
               count_if(v) AS view_session_count, count_if(c) AS cart_session_count, count_if(o) AS order_session_count,
               count_if(v AND c) / nullif(count_if(v), 0) AS view_to_cart_rate,
               count_if(c AND o) / nullif(count_if(c), 0) AS cart_to_order_rate, count_if(o) / count(*) AS conversion_rate
        FROM steps GROUP BY GROUPING SETS ((started_date, country, category), (started_date, category)) ORDER BY ALL
        """
    )
    actual = of_shop(spark, data, *days)
    same(actual, expected.to_arrow_table().to_pylist())
    for day in days:
        of_day = [row["session_count"] for row in actual if row["date"] == day]
        assert len(of_day) > 10
        assert max(of_day) > 30


def of_shop(spark: SparkSession, data: Shop, *days: date) -> list[dict[str, Any]]:
    tables = (data.sessions, data.views, data.carts, data.lines, data.products)
    return rows_of(funnel_daily(*(spark.createDataFrame(table) for table in tables), days), FUNNEL_DAILY)
