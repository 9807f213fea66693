"""`lakehouse.marts.product_performance`: products worked out by hand, and a random shop by DuckDB."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from mart_data import (
    CARTS,
    DAY,
    LEAP_DAY,
    LINES,
    ORDERS,
    PRODUCTS,
    STOCK,
    VIEWS,
    Shop,
    at,
    line,
    rows_of,
    same,
    shop,
    usd,
)
from pyspark.sql import SparkSession

from lakehouse.marts.product_performance import product_performance
from lakehouse.tables import PRODUCT_PERFORMANCE

SCHEMAS = {"lines": LINES, "views": VIEWS, "carts": CARTS, "orders": ORDERS, "products": PRODUCTS, "stock": STOCK}


def performance(spark: SparkSession, day: date = DAY, **given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tables = (pa.Table.from_pylist(given.get(name, []), schema=schema) for name, schema in SCHEMAS.items())
    return rows_of(product_performance(*(spark.createDataFrame(one) for one in tables), day), PRODUCT_PERFORMANCE)


def listed(product: str, price: str, when: str = "2024-01-01T00:00:00", category: str = "Books") -> dict[str, Any]:
    return {"timestamp": at(when), "product_id": product, "category": category, "price": usd(price)}


def event(
    user: str, session: str, product: str, when: str = "2024-03-01T00:00:00", action: str = "add"
) -> dict[str, Any]:
    visit = {"user_id": user, "session_id": session, "timestamp": at(when), "country": "US"}
    return {**visit, "product_id": product, "action": action}


def bought(user: str, session: str, *products: str) -> dict[str, Any]:
    lines = [{"product_id": one, "quantity": 1, "price": usd(1)} for one in products]
    visit = {"user_id": user, "session_id": session, "timestamp": at("2024-03-01T00:00:00"), "country": "US"}
    return {**visit, "transaction_id": f"{user}-{session}", "products": lines}


def stock(product: str, *days: tuple[int, bool]) -> list[dict[str, Any]]:
    """(units sold, is out) on the last days up to `DAY`, newest first."""
    rows = enumerate(days)
    return [
        {"product_id": product, "date": DAY - timedelta(days=n), "sold": units, "is_stock_out": out}
        for n, (units, out) in rows
    ]


def test_every_figure_of_one_product(spark: SparkSession) -> None:
    (row,) = performance(
        spark,
        products=[
            listed("p", "10"),
            listed("p", "8", "2024-03-01T00:00:00"),
            listed("p", "1", "2024-03-15T00:00:00", "Tea"),
        ],
        lines=[
            line("2024-02-16T00:00:00", "t1", "u", "p", "9"),  # first instant of the 28 days, list price 10
            line("2024-02-29T23:59:59.999", "t2", "u", "p", "10", quantity=2),
            line("2024-03-01T00:00:00", "t3", "u", "p", "6"),  # list price 8 from this very moment
            line("2024-03-01T00:00:00", "t3", "u", "p", "6", line_number=2),
            line("2024-03-15T00:00:00", "t4", "u", "p", "99"),
            line("2024-02-15T23:59:59.999", "t5", "u", "p", "3"),  # the period before
            line("2024-01-19T00:00:00", "t6", "u", "p", "4"),
            line("2024-01-18T23:59:59.999", "t7", "u", "p", "99"),
        ],
        views=[
            event("u", "1", "p"),
            event("u", "1", "p"),
            event("v", "1", "p"),
            event("v", "2", "p"),
            event("w", "1", "p"),
        ],
        carts=[event("u", "1", "p"), event("v", "1", "p"), event("v", "2", "p", action="remove"), event("x", "1", "p")],
        orders=[bought("u", "1", "p", "p"), bought("y", "1", "p")],
        stock=stock("p", (1, True), (0, True), (5, True), (2, False), (4, False)),
    )
    assert row == {
        "as_of_date": DAY,
        "product_id": "p",
        "category": "Books",
        "unit_count": 5,
        "order_count": 3,
        "revenue": usd("41"),
        "price_realised": usd("8.20"),
        "list_revenue": usd("46"),
        "price_realisation": 41 / 46,
        "view_session_count": 4,
        "cart_session_count": 3,
        "order_session_count": 2,
        "view_to_cart_rate": 2 / 4,
        "cart_to_order_rate": 1 / 3,
        "view_to_order_rate": 1 / 4,
        "revenue_rank": 1,
        "previous_revenue_rank": 1,
        "rank_movement": 0,
        "stock_out_days": 3,
        "lost_units_estimate": 2.0 + 3.0,  # three a day in stock; one and none and five were sold
        "lost_revenue_estimate": usd("40"),
    }


def test_equal_revenues_share_a_rank_and_what_did_not_sell_has_none(spark: SparkSession) -> None:
    rows = performance(
        spark,
        products=[listed(one, "1") for one in "abcde"] + [listed("z", "1", category="Tea")],
        lines=[
            *[
                line("2024-03-01T00:00:00", f"now {one}", "u", one, amount)
                for one, amount in zip("abcz", "5524", strict=True)
            ],
            *[
                line("2024-02-01T00:00:00", f"then {one}", "u", one, amount)
                for one, amount in zip("acd", "189", strict=True)
            ],
            line("2024-03-01T00:00:00", "free", "u", "e", "0"),
        ],
    )
    names = ("product_id", "revenue_rank", "previous_revenue_rank", "rank_movement")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("a", 1, 3, 2),
        ("b", 1, None, None),
        ("c", 3, 2, -1),
        ("d", None, 1, None),
        ("e", 4, None, None),  # sold for nothing is sold
        ("z", 1, None, None),
    ]


def test_a_product_without_a_record_counts_at_the_price_paid(spark: SparkSession) -> None:
    rows = performance(
        spark,
        lines=[line("2024-03-01T00:00:00", "t", "u", "sold", "7", category="unknown")],
        views=[event("u", "1", "seen")],
        carts=[event("u", "1", "put in")],
        stock=stock("only counted", (1, False)),
    )
    names = ("product_id", "category", "list_revenue", "price_realisation", "price_realised", "lost_revenue_estimate")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("put in", "unknown", usd(0), None, None, None),
        ("seen", "unknown", usd(0), None, None, None),
        ("sold", "unknown", usd(7), 1.0, usd(7), None),
    ]


def test_a_line_before_the_first_record_has_that_records_price(spark: SparkSession) -> None:
    (row,) = performance(
        spark,
        products=[listed("p", "20", "2024-03-10T00:00:00"), listed("p", "30", "2024-03-10T00:00:00")],
        lines=[line("2024-03-01T00:00:00", "t", "u", "p", "15")],
    )
    assert (row["list_revenue"], row["price_realisation"]) == (usd(30), 0.5)


def test_lost_sales_are_none_always_in_stock_and_unknown_never_in_stock(spark: SparkSession) -> None:
    rows = performance(
        spark,
        products=[listed(one, "2") for one in ("always", "never", "uncounted")],
        stock=stock("always", (3, False), (4, False)) + stock("never", (1, True)),
    )
    names = ("product_id", "stock_out_days", "lost_units_estimate", "lost_revenue_estimate")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("always", 0, 0.0, usd(0)),
        ("never", 1, None, None),
        ("uncounted", 0, None, None),
    ]


def test_nothing_gives_nothing(spark: SparkSession) -> None:
    assert performance(spark) == []


@pytest.mark.parametrize("day", [DAY, LEAP_DAY])
def test_a_random_shop_gives_what_duckdb_gives(spark: SparkSession, day: date) -> None:
    data = shop(7, 700)
    actual = rows_of(of_shop(spark, data, day), PRODUCT_PERFORMANCE)
    expected = duckdb_performance(data, day)
    money = ("price_realised", "lost_revenue_estimate")  # DuckDB divides in doubles
    for mine, theirs in zip(actual, expected, strict=True):
        for name in money:
            left, right = mine.pop(name), theirs.pop(name)
            assert (left is None) == (right is None)
            assert left is None or float(left) == pytest.approx(right, abs=0.0051)
    same(actual, expected)
    assert len({row["rank_movement"] for row in actual}) > 1
    assert len({row["list_revenue"] for row in actual}) > 5


def of_shop(spark: SparkSession, data: Shop, day: date) -> Any:
    tables = (data.lines, data.views, data.carts, data.orders, data.products, data.stock)
    return product_performance(*(spark.createDataFrame(one) for one in tables), day)


def duckdb_performance(data: Shop, day: date) -> list[dict[str, Any]]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in SCHEMAS:
        connection.register(name, getattr(data, name))
    first, before = day - timedelta(days=27), day - timedelta(days=55)
    return (
        connection.sql(
            f"""
        WITH period AS (FROM lines WHERE timestamp::DATE BETWEEN '{first}' AND '{day}'),
        known AS (FROM products WHERE timestamp::DATE <= '{day}'),
        newest AS (
            SELECT DISTINCT ON (product_id) product_id, category, price FROM known
            ORDER BY product_id, timestamp DESC, category DESC, price DESC),
        priced AS (
            SELECT l.*, coalesce(
                (SELECT price FROM known k WHERE k.product_id = l.product_id AND k.timestamp <= l.timestamp
                 ORDER BY timestamp DESC, category DESC, price DESC LIMIT 1),
                (SELECT price FROM known k WHERE k.product_id = l.product_id ORDER BY timestamp, category DESC, price DESC LIMIT 1),
                l.price) AS list_price FROM period l),
        sales AS (
            SELECT product_id, sum(quantity)::BIGINT AS units, count(DISTINCT transaction_id) AS orders, sum(line_amount) AS revenue,
                   sum(quantity * list_price) AS list_revenue FROM priced GROUP BY product_id),
        previous AS (
            SELECT product_id, sum(line_amount) AS previous FROM lines
            WHERE timestamp::DATE BETWEEN '{before}' AND DATE '{first}' - 1 GROUP BY product_id),
        v AS (SELECT DISTINCT product_id, user_id, session_id FROM views WHERE timestamp::DATE BETWEEN '{first}' AND '{day}'),
        c AS (
            SELECT DISTINCT product_id, user_id, session_id FROM carts
            WHERE action = 'add' AND timestamp::DATE BETWEEN '{first}' AND '{day}'),
        o AS (
            SELECT DISTINCT p.product_id, user_id, session_id FROM (SELECT *, unnest(products) AS p FROM orders)
            WHERE timestamp::DATE BETWEEN '{first}' AND '{day}'),
        counted AS (FROM stock WHERE date BETWEEN '{first}' AND '{day}'),
        pace AS (SELECT product_id, avg(sold) FILTER (NOT is_stock_out) AS pace FROM counted GROUP BY product_id),
        lost AS (
            SELECT product_id, count_if(is_stock_out)::INT AS days,
                   CASE WHEN any_value(pace) IS NOT NULL
                        THEN coalesce(sum(greatest(pace - sold, 0)) FILTER (is_stock_out), 0) END AS lost
            FROM counted JOIN pace USING (product_id) GROUP BY product_id),
        every AS (FROM (SELECT product_id FROM newest UNION SELECT product_id FROM sales UNION SELECT product_id FROM previous
                        UNION SELECT product_id FROM v UNION SELECT product_id FROM c UNION SELECT product_id FROM o)),
        vc AS (FROM v SEMI JOIN c USING (product_id, user_id, session_id)),
        co AS (FROM c SEMI JOIN o USING (product_id, user_id, session_id)),
        vo AS (FROM v SEMI JOIN o USING (product_id, user_id, session_id)),
        joined AS (
            SELECT *, coalesce(category, 'unknown') AS kind,
                   (SELECT count(*) FROM v WHERE v.product_id = e.product_id) AS nv,
                   (SELECT count(*) FROM c WHERE c.product_id = e.product_id) AS nc,
                   (SELECT count(*) FROM o WHERE o.product_id = e.product_id) AS no,
                   (SELECT count(*) FROM vc WHERE vc.product_id = e.product_id) AS vc,
                   (SELECT count(*) FROM co WHERE co.product_id = e.product_id) AS co,
                   (SELECT count(*) FROM vo WHERE vo.product_id = e.product_id) AS vo
            FROM every e LEFT JOIN newest USING (product_id) LEFT JOIN sales USING (product_id)
            LEFT JOIN previous USING (product_id) LEFT JOIN lost USING (product_id)),
        ranked AS (
            SELECT *,
                   CASE WHEN revenue IS NOT NULL THEN
                       1 + (SELECT count(*) FROM joined b WHERE b.kind = a.kind AND b.revenue > a.revenue) END AS place,
                   CASE WHEN previous IS NOT NULL THEN
                       1 + (SELECT count(*) FROM joined b WHERE b.kind = a.kind AND b.previous > a.previous) END AS place_before
            FROM joined a)
        SELECT DATE '{day}' AS as_of_date, product_id, kind AS category, coalesce(units, 0) AS unit_count,
               coalesce(orders, 0) AS order_count, coalesce(revenue, 0) AS revenue, revenue / units AS price_realised,
               coalesce(list_revenue, 0) AS list_revenue, revenue / nullif(list_revenue, 0) AS price_realisation,
               nv AS view_session_count, nc AS cart_session_count, no AS order_session_count,
               vc / nullif(nv, 0) AS view_to_cart_rate, co / nullif(nc, 0) AS cart_to_order_rate,
               vo / nullif(nv, 0) AS view_to_order_rate, place AS revenue_rank, place_before AS previous_revenue_rank,
               place_before - place AS rank_movement, coalesce(days, 0) AS stock_out_days, lost AS lost_units_estimate,
               lost * price AS lost_revenue_estimate
        FROM ranked ORDER BY product_id
        """
        )
        .to_arrow_table()
        .to_pylist()
    )
