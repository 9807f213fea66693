"""The customers of a day out of those of an earlier day: what came since is added, what left the 365 days is taken off.

Exact for count and money, which are sums; only a sum that was clipped at MONEY_MAX cannot be moved on. The last purchase only ever leaves
the window as a customer's last one, so who still has purchases keeps it: no list of purchases is needed, and an earlier day of
`gold/customer_rfm` is all the state there is.

Spark finds the changes in silver. They are few, and adding them to all customers is a pass over four columns and no shuffle: DuckDB does
that in this process, in a fraction of what rows cost in a JVM (docs/adr/0013).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from lakehouse.contracts.base import MONEY_MAX
from lakehouse.transforms.rfm import MEASURES, SCORES, Cuts, columns, in_window, recency_days, window
from lakehouse.transforms.state import State

MEMORY_GB = 2
"""For all customers; 10 million take a quarter of it. What is beyond goes to a temporary file."""


def changes(transactions: DataFrame, state: State, as_of_date: date) -> DataFrame:
    """One row per customer with transactions that count on `as_of_date` and did not in `state`, or the other way round.

    Columns: `user_id`, `more_frequency` and `more_monetary` (USD), both signed, and `new_recency_days` of the last one that is new, null without one.
    `transactions` has `user_id`, `timestamp`, `total_amount` and `batch_id`. `as_of_date` is not before the state's.
    """
    sign = F.when(_is_new(state, as_of_date), 1).otherwise(-1)
    return (
        transactions.where(_is_new(state, as_of_date) | _is_gone(state, as_of_date))
        .groupBy("user_id")
        .agg(
            F.sum(sign).alias("more_frequency"),
            F.sum(sign * F.col("total_amount")).alias("more_monetary"),
            F.min(F.when(sign == 1, recency_days(as_of_date))).alias("new_recency_days"),
        )
    )


@contextmanager
def moved(kept: pads.Dataset | pa.Table, changes: pa.Table, days: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the table `customers`: those in the earlier day's rows `kept` after the `changes`, `days` days later.

    Its columns are `user_id`, the measures, and `is_clipped`: true where a change was made to a sum that had been clipped, so is wrong.
    Who has no purchase left is gone.
    """
    with (
        tempfile.TemporaryDirectory(prefix="globalmart-rfm-") as spill,
        duckdb.connect(config={"memory_limit": f"{MEMORY_GB}GB", "temp_directory": spill}) as duck,
    ):
        duck.register("kept", kept)
        duck.register("changes", changes)
        duck.execute(
            f"""
            CREATE TABLE customers AS
            FROM (
                SELECT user_id,
                       least(recency_days + {days}, new_recency_days) AS recency_days,
                       coalesce(frequency, 0) + coalesce(more_frequency, 0) AS frequency,
                       least(coalesce(monetary, 0) + coalesce(more_monetary, 0), {MONEY_MAX})::DECIMAL(18,2) AS monetary,
                       changes.user_id IS NOT NULL AND kept.monetary = {MONEY_MAX} AS is_clipped
                FROM kept FULL JOIN changes USING (user_id))
            WHERE frequency <> 0
            """  # noqa: S608
        )
        yield duck


def is_clipped(duck: duckdb.DuckDBPyConnection) -> bool:
    """Whether any sum of `moved` is wrong."""
    return bool(_row(duck, "SELECT bool_or(is_clipped) FROM customers")[0])


def cut_points(duck: duckdb.DuckDBPyConnection) -> Cuts:
    """The cut points of the customers of `moved`, by the rule of `lakehouse.transforms.rfm.cuts`."""
    least = [f"min(value) FILTER ({SCORES} * so_far > {score} * total)" for score in range(1, SCORES)]
    days, times, money = (
        _row(
            duck,
            f"""
            SELECT {", ".join(least)}
            FROM (SELECT value, sum(n) OVER (ORDER BY value) AS so_far, sum(n) OVER () AS total
                  FROM (SELECT {value} AS value, count(*) AS n FROM customers GROUP BY ALL))
            """,  # noqa: S608
        )
        for value in (f"-{MEASURES['r']}", MEASURES["f"], MEASURES["m"])
    )
    if days[0] is None:
        return Cuts((), (), ())
    return Cuts(tuple(-value for value in days), times, money)


def scored(duck: duckdb.DuckDBPyConnection, cuts: Cuts, as_of_date: date) -> pa.RecordBatchReader:
    """The rows of `gold/customer_rfm` for the customers of `moved`, columns in its order; to be read while `duck` is open."""
    return duck.sql(f"SELECT {', '.join(columns(cuts, as_of_date))} FROM customers").to_arrow_reader()  # noqa: S608


def _row(duck: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = duck.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return row


def _is_new(state: State, as_of_date: date) -> Column:
    came_later = F.col("batch_id") > state.last_batch
    return in_window(as_of_date) & (came_later | (F.col("timestamp") >= F.lit(window(state.as_of_date)[1])))


def _is_gone(state: State, as_of_date: date) -> Column:
    start, end = (F.lit(window(day)[0]) for day in (state.as_of_date, as_of_date))
    return (F.col("timestamp") >= start) & (F.col("timestamp") < end) & (F.col("batch_id") <= state.last_batch)
