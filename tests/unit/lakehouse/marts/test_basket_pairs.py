"""`lakehouse.marts.basket_pairs`: the figures of a pair worked out by hand, what is left out, and all pairs by a self-join in DuckDB."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from mart_data import DAY, LINES, frame, line, rows_of, same, shop
from pyspark.sql import SparkSession

from lakehouse.marts.basket_pairs import MOST_PRODUCTS, basket_pairs
from lakehouse.tables import BASKET_PAIRS


def order(name: str, *products: str, when: str = "2024-03-14T12:00:00") -> list[dict[str, object]]:
    return [line(when, name, "u", one, "1", line_number=n) for n, one in enumerate(products, 1)]


def test_a_pair_in_five_orders_has_its_support_confidence_and_lift(spark: SparkSession) -> None:
    rows = [
        *order("t1", "b", "a", when="2024-02-16T00:00:00"),  # first instant of the 28 days
        *order("t2", "a", "b", when="2024-03-14T23:59:59.999"),  # last
        *order("t3", "a", "b", "a", "c"),  # twice in one order is once
        *order("t4", "a", "b", "c"),
        *order("t5", "a", "b", "c"),
        *order("t6", "a", "c"),  # a and c: four orders, one too few
        *order("t7", "a"),
        *order("t8", "d"),
        *order("t9", "a", "c", when="2024-02-15T23:59:59.999"),  # the day before
        *order("t10", "a", "c", when="2024-03-15T00:00:00"),  # the day after
    ]
    assert rows_of(basket_pairs(frame(spark, LINES, rows), DAY), BASKET_PAIRS) == [
        {
            "as_of_date": DAY,
            "product_a_id": "a",
            "product_b_id": "b",
            "order_count": 5,
            "a_order_count": 7,
            "b_order_count": 5,
            "all_order_count": 8,
            "support": 5 / 8,
            "confidence_a_to_b": 5 / 7,
            "confidence_b_to_a": 1.0,
            "lift": 5 * 8 / (7 * 5),
        }
    ]


def test_an_order_of_too_many_products_counts_nowhere(spark: SparkSession) -> None:
    many = [f"m{n}" for n in range(MOST_PRODUCTS - 1)]
    rows = [row for n in range(5) for row in order(f"t{n}", "a", "b")]
    rows += [*order("at the limit", "a", *many), *order("above", "a", "b", *many)]
    (found,) = rows_of(basket_pairs(frame(spark, LINES, rows), DAY), BASKET_PAIRS)
    assert (found["order_count"], found["a_order_count"], found["all_order_count"]) == (5, 6, 6)


def test_no_orders_give_no_pairs(spark: SparkSession) -> None:
    assert rows_of(basket_pairs(frame(spark, LINES, []), DAY), BASKET_PAIRS) == []


@pytest.mark.parametrize("day", [DAY, date(2024, 2, 29)])
def test_a_random_shop_gives_what_a_self_join_in_duckdb_gives(spark: SparkSession, day: date) -> None:
    lines = shop(1, 900).lines
    expected = duckdb.sql(
        f"""
        WITH items AS (
            SELECT DISTINCT transaction_id AS o, product_id AS p FROM lines
            WHERE timestamp AT TIME ZONE 'UTC' >= TIMESTAMP '{day}' - INTERVAL 27 DAY
              AND timestamp AT TIME ZONE 'UTC' < TIMESTAMP '{day}' + INTERVAL 1 DAY),
        single AS (SELECT p, count(*) AS n FROM items GROUP BY p),
        total AS (SELECT count(DISTINCT o) AS n FROM items),
        pairs AS (
            SELECT a.p AS a, b.p AS b, count(*) AS n FROM items a JOIN items b ON a.o = b.o AND a.p < b.p GROUP BY ALL HAVING n >= 5)
        SELECT DATE '{day}' AS as_of_date, pairs.a AS product_a_id, pairs.b AS product_b_id, pairs.n AS order_count,
               a.n AS a_order_count, b.n AS b_order_count, total.n AS all_order_count, pairs.n / total.n AS support,
               pairs.n / a.n AS confidence_a_to_b, pairs.n / b.n AS confidence_b_to_a,
               (pairs.n / total.n) / ((a.n / total.n) * (b.n / total.n)) AS lift
        FROM pairs JOIN single a ON a.p = pairs.a JOIN single b ON b.p = pairs.b, total ORDER BY ALL
        """
    )
    actual = rows_of(basket_pairs(spark.createDataFrame(lines), day), BASKET_PAIRS)
    same(actual, expected.to_arrow_table().to_pylist())
    assert len(actual) > 20
