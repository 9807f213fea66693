"""`lakehouse.transforms.rfm`: whole expected rows for each awkward case, and an independent computation in DuckDB."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.tables import CUSTOMER_RFM, MONEY, TIME
from lakehouse.transforms.rfm import SEGMENTS, cuts, rfm

DAY = date(2026, 3, 14)
SCHEMA = pa.schema([("user_id", pa.string()), ("timestamp", TIME), ("total_amount", MONEY)])

Order = tuple[str, str, str]


def scored(spark: SparkSession, orders: Iterable[Order], day: date = DAY) -> list[tuple[Any, ...]]:
    """The transform's rows without `as_of_date`, by user; orders are (user, time, USD)."""
    rows = [(u, datetime.fromisoformat(t), Decimal(amount)) for u, t, amount in orders]
    table = pa.Table.from_arrays(
        [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), SCHEMA.types, strict=True)]
        if rows
        else [pa.array([], kind) for kind in SCHEMA.types],
        schema=SCHEMA,
    )
    result = sorted(tuple(row) for row in rfm(spark.createDataFrame(table), day).collect())
    assert all(row[0] == day for row in result)
    return [row[1:] for row in result]


def test_five_customers_take_the_five_scores_and_orders_outside_the_365_days_do_not_count(spark: SparkSession) -> None:
    orders = [
        ("u1", "2025-03-14T23:59:59.999Z", "99.99"),  # one millisecond too early
        ("u1", "2025-03-15T00:00:00.000Z", "10.00"),  # first instant of the window
        ("u2", "2026-01-01T12:00:00.000Z", "15.00"),  # two orders in the same millisecond
        ("u2", "2026-01-01T12:00:00.000Z", "15.01"),
        *[("u3", f"2026-02-{day}T08:00:00.000Z", "20.00") for day in (10, 11, 12)],
        *[("u4", "2026-03-13T23:59:59.999Z", "25.00")] * 4,
        *[("u5", "2026-03-14T23:59:59.999Z", "200.00")] * 5,  # last instant of the window
        ("u5", "2026-03-15T00:00:00.000Z", "99.99"),  # the next day
        ("u6", "2025-03-14T23:59:59.999Z", "99.99"),  # nothing inside: no row
    ]
    assert scored(spark, orders) == [
        ("u1", 364, 1, Decimal("10.00"), 1, 1, 1, "lost"),
        ("u2", 72, 2, Decimal("30.01"), 2, 2, 2, "about_to_sleep"),
        ("u3", 30, 3, Decimal("60.00"), 3, 3, 3, "need_attention"),
        ("u4", 1, 4, Decimal("100.00"), 4, 4, 4, "champions"),
        ("u5", 0, 5, Decimal("1000.00"), 5, 5, 5, "champions"),
    ]


def test_equal_customers_share_the_score_of_their_whole_group(spark: SparkSession) -> None:
    orders = [
        *[(user, "2026-03-10T10:00:00.000Z", "5.00") for user in ("a", "b", "c")],
        *[("d", "2026-03-11T10:00:00.000Z", "5.00")] * 2,
        *[("e", "2026-03-12T10:00:00.000Z", "5.00")] * 3,
    ]
    assert scored(spark, orders) == [
        *[(user, 4, 1, Decimal("5.00"), 3, 3, 3, "need_attention") for user in ("a", "b", "c")],
        ("d", 3, 2, Decimal("10.00"), 4, 4, 4, "champions"),
        ("e", 2, 3, Decimal("15.00"), 5, 5, 5, "champions"),
    ]


def test_three_customers_are_scored_by_share_and_not_by_rank(spark: SparkSession) -> None:
    orders = [
        ("a", "2026-03-01T00:00:00.000Z", "3.00"),
        ("b", "2026-03-02T00:00:00.000Z", "2.00"),
        ("c", "2026-03-03T00:00:00.000Z", "1.00"),
    ]
    assert scored(spark, orders) == [
        ("a", 13, 1, Decimal("3.00"), 2, 5, 5, "at_risk"),
        ("b", 12, 1, Decimal("2.00"), 4, 5, 4, "champions"),
        ("c", 11, 1, Decimal("1.00"), 5, 5, 2, "champions"),
    ]


def test_a_single_purchase_of_the_only_customer_is_the_best(spark: SparkSession) -> None:
    orders = [("only", "2026-03-14T00:00:00.000Z", "0.00")]
    assert scored(spark, orders) == [("only", 0, 1, Decimal("0.00"), 5, 5, 5, "champions")]


def test_the_window_of_a_day_after_a_leap_day_is_365_days_long(spark: SparkSession) -> None:
    orders = [("in", "2023-03-02T00:00:00.000Z", "1.00"), ("out", "2023-03-01T23:59:59.999Z", "1.00")]
    assert scored(spark, orders, date(2024, 2, 29)) == [("in", 364, 1, Decimal("1.00"), 5, 5, 5, "champions")]


def test_a_day_without_purchases_has_no_rows(spark: SparkSession) -> None:
    assert scored(spark, []) == []


@given(st.dictionaries(st.integers(-400, 400), st.integers(1, 50), min_size=1, max_size=40))
def test_a_score_is_one_and_the_cut_points_reached_whatever_the_counts(counts: dict[int, int]) -> None:
    found, total = cuts(counts), sum(counts.values())
    assert len(found) == 4
    for value in counts:
        at_or_below = sum(n for other, n in counts.items() if other <= value)
        assert 1 + sum(value >= cut for cut in found) == -(-5 * at_or_below // total)


def test_without_customers_there_is_no_cut_point() -> None:
    assert cuts({}) == ()


def test_columns_and_types_are_those_of_the_declared_table(spark: SparkSession) -> None:
    frame = rfm(spark.createDataFrame(pa.Table.from_pylist([], schema=SCHEMA)), DAY)
    assert dict(frame.dtypes) == {
        "as_of_date": "date",
        "user_id": "string",
        "recency_days": "int",
        "frequency": "bigint",
        "monetary": "decimal(18,2)",
        "r_score": "int",
        "f_score": "int",
        "m_score": "int",
        "segment": "string",
    }
    assert frame.columns == [column.name for column in CUSTOMER_RFM.columns]


def test_the_segment_table_has_25_cells_and_eleven_names() -> None:
    cells = {(r, v + 1): name for r, row in SEGMENTS.items() for v, name in enumerate(row)}
    assert sorted(cells) == [(r, v) for r in range(1, 6) for v in range(1, 6)]
    assert len(set(cells.values())) == 11
    assert cells[5, 5] == "champions"
    assert cells[1, 1] == "lost"


@pytest.mark.parametrize(("seed", "customer_count", "order_count"), [(1, 7, 40), (2, 900, 4_000), (3, 5_000, 5_000)])
def test_random_orders_give_what_duckdb_computes_with_window_functions(
    spark: SparkSession, seed: int, customer_count: int, order_count: int
) -> None:
    rng = random.Random(seed)
    end = datetime(2026, 3, 15, tzinfo=UTC)
    orders = pa.Table.from_pylist(
        [
            {
                "user_id": f"u{int(customer_count * rng.random() ** 2)}",
                "timestamp": end - timedelta(milliseconds=rng.choice((1, 1_000, 3_600_000)) * rng.randint(-50, 9_000)),
                # many equal small sums, and some so large that they fall into another group of neighbours
                "total_amount": Decimal(rng.choice((rng.randint(0, 40), rng.randint(0, 5_000_000)))) / 100,
            }
            for _ in range(order_count)
        ],
        schema=SCHEMA,
    )
    names = [name for score in range(1, 6) for name in SEGMENTS[score]]
    expected = duckdb.sql(
        """
        WITH customers AS (
            SELECT user_id,
                   date_diff('day', max(timestamp AT TIME ZONE 'UTC')::DATE, DATE '2026-03-14') AS recency_days,
                   count(*) AS frequency, sum(total_amount) AS monetary
            FROM orders
            WHERE timestamp AT TIME ZONE 'UTC' >= TIMESTAMP '2025-03-15' AND timestamp AT TIME ZONE 'UTC' < TIMESTAMP '2026-03-15'
            GROUP BY user_id),
        scores AS (
            SELECT *, (5 * count(*) OVER (ORDER BY recency_days DESC) + count(*) OVER () - 1) // count(*) OVER () AS r,
                   (5 * count(*) OVER (ORDER BY frequency) + count(*) OVER () - 1) // count(*) OVER () AS f,
                   (5 * count(*) OVER (ORDER BY monetary) + count(*) OVER () - 1) // count(*) OVER () AS m
            FROM customers)
        SELECT user_id, recency_days, frequency, monetary, r, f, m, (r - 1) * 5 + (f + m + 1) // 2 AS cell
        FROM scores ORDER BY user_id
        """
    ).fetchall()
    actual = sorted(tuple(row)[1:] for row in rfm(spark.createDataFrame(orders), DAY).collect())
    assert actual == [(*row[:7], names[row[7] - 1]) for row in expected]
    assert len(actual) > 3
