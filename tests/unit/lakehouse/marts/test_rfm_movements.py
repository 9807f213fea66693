"""`lakehouse.marts.rfm_movements`: who stayed, moved, came and went, and the same counts by DuckDB."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from mart_data import rows_of, same
from pyspark.sql import SparkSession

from lakehouse.marts.rfm_movements import rfm_movements
from lakehouse.tables import RFM_MOVEMENTS

DAY = date(2024, 3, 30)
YESTERDAY, MONTH_AGO = date(2024, 3, 29), date(2024, 2, 29)
SCHEMA = pa.schema([("as_of_date", pa.date32()), ("user_id", pa.string()), ("segment", pa.string())])


def moved(spark: SparkSession, *rows: tuple[date, str, str]) -> list[tuple[Any, ...]]:
    table = pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)
    found = rows_of(rfm_movements(spark.createDataFrame(table), DAY), RFM_MOVEMENTS)
    assert all(row["as_of_date"] == DAY for row in found)
    return [tuple(row.values())[1:] for row in found]


def test_staying_moving_coming_and_going_are_counted_against_yesterday_and_thirty_days_ago(spark: SparkSession) -> None:
    rows = moved(
        spark,
        (DAY, "stays", "champions"),
        (YESTERDAY, "stays", "champions"),
        (MONTH_AGO, "stays", "promising"),
        (DAY, "falls", "at_risk"),
        (YESTERDAY, "falls", "champions"),
        (DAY, "new", "new_customers"),
        (MONTH_AGO, "gone", "lost"),  # neither yesterday nor today
        (YESTERDAY, "left", "lost"),
        (date(2024, 3, 28), "other day", "lost"),
    )
    assert rows == [
        (1, "champions", "at_risk", 1),
        (1, "champions", "champions", 1),
        (1, "lost", "none", 1),
        (1, "none", "new_customers", 1),
        (30, "lost", "none", 1),
        (30, "none", "at_risk", 1),
        (30, "none", "new_customers", 1),
        (30, "promising", "champions", 1),
    ]


def test_a_day_that_is_not_there_is_not_compared(spark: SparkSession) -> None:
    assert moved(spark, (DAY, "a", "lost"), (MONTH_AGO, "a", "lost")) == [(30, "lost", "lost", 1)]
    assert moved(spark, (YESTERDAY, "a", "lost"), (MONTH_AGO, "a", "lost")) == []
    assert moved(spark) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_random_customers_give_the_full_joins_of_duckdb(spark: SparkSession, seed: int) -> None:
    rng = random.Random(seed)
    customers = pa.Table.from_pylist(
        [
            {"as_of_date": DAY - timedelta(days=n), "user_id": f"u{u}", "segment": rng.choice("abc")}
            for n in (0, 1, 2, 30)
            for u in range(300)
            if rng.random() < 0.7
        ],
        schema=SCHEMA,
    )
    expected = duckdb.sql(
        """
        WITH aged AS (SELECT *, date_diff('day', as_of_date, DATE '2024-03-30') AS back FROM customers),
        pairs AS (
            SELECT 1 AS back, o.segment AS o, n.segment AS n
            FROM (FROM aged WHERE back = 1) o FULL JOIN (FROM aged WHERE back = 0) n USING (user_id)
            UNION ALL
            SELECT 30, o.segment, n.segment
            FROM (FROM aged WHERE back = 30) o FULL JOIN (FROM aged WHERE back = 0) n USING (user_id))
        SELECT DATE '2024-03-30' AS as_of_date, back AS days_back, coalesce(o, 'none') AS from_segment,
               coalesce(n, 'none') AS to_segment, count(*) AS customer_count
        FROM pairs GROUP BY ALL ORDER BY ALL
        """
    )
    actual = rows_of(rfm_movements(spark.createDataFrame(customers), DAY), RFM_MOVEMENTS)
    same(actual, expected.to_arrow_table().to_pylist())
    assert sum(row["customer_count"] for row in actual if row["days_back"] == 1) > 200
