"""RFM: how recently, how often and for how much each customer bought, as scores from 1 to 5 and a named segment.

Source of the segments: Putler, "RFM Analysis for Successful Customer Segmentation" (https://www.putler.com/rfm-analysis/),
which places eleven named segments by recency and by frequency and money together. Its ranges overlap; `SEGMENTS` gives each of the
25 cells to one of the segments whose published range holds it.

Transactions, or an earlier day by `lakehouse.transforms.rfm_increment`, give the `customers`, these the `cut_points`, both the rows (`scored`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.tables import CUSTOMER_RFM

WINDOW_DAYS = 365
SCORES = 5

# r_score -> segment by the value score, 1 to 5 (mean of f_score and m_score, half a point rounded up)
SEGMENTS: dict[int, tuple[str, str, str, str, str]] = {
    5: ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    4: ("promising", "potential_loyalists", "loyal_customers", "champions", "champions"),
    3: ("promising", "need_attention", "need_attention", "loyal_customers", "loyal_customers"),
    2: ("about_to_sleep", "about_to_sleep", "at_risk", "at_risk", "at_risk"),
    1: ("lost", "hibernating", "at_risk", "cannot_lose_them", "cannot_lose_them"),
}
MEASURES = {"r": "recency_days", "f": "frequency", "m": "monetary"}

_EPOCH = date(1970, 1, 1)
_DAY_MICROS = 86_400_000_000
# Sums of decimal(8,2) are sums of whole numbers to Spark; of decimal(18,2) they are objects, and three times as slow.
_PART = 1_000_000
_STEP = 10  # USD: a step has a thousand values at most


def window(as_of_date: date) -> tuple[datetime, datetime]:
    """The 365 UTC days that end with `as_of_date`: first instant in, first instant out."""
    end = datetime.combine(as_of_date + timedelta(days=1), time(), tzinfo=UTC)
    return end - timedelta(days=WINDOW_DAYS), end


def in_window(as_of_date: date) -> Column:
    """True for rows whose `timestamp` lies in the window of `as_of_date`."""
    start, end = window(as_of_date)
    return (F.col("timestamp") >= F.lit(start)) & (F.col("timestamp") < F.lit(end))


def recency_days(as_of_date: date) -> Column:
    """Days from the UTC day of `timestamp` to `as_of_date`."""
    day = F.expr(f"unix_micros(timestamp) div {_DAY_MICROS}")
    return (F.lit((as_of_date - _EPOCH).days) - day).cast("int")


def rfm(transactions: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer with a purchase in the 365 days up to the end of `as_of_date`, columns as in `gold/customer_rfm`.

    `transactions` has `user_id`, `timestamp` and `total_amount` (USD), one row per transaction. A score is
    ceil(5 x share of customers that are not better), in whole numbers, so customers with equal values have equal scores.
    """
    found = customers(transactions, as_of_date)
    return scored(found, cut_points(found.withColumn("n", F.lit(1))), as_of_date)


def customers(transactions: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer with a purchase in the window: `user_id`, `recency_days`, `frequency`, `monetary` (USD).

    Rows go to their customer's task before anything is added up: most customers buy too seldom for sums per file to make fewer rows.
    """
    parts = F.expr(f"bigint(total_amount) div {_PART}")
    rest = F.when(F.col("total_amount") < _PART, F.col("total_amount")).otherwise(
        F.col("total_amount") - _money(parts * _PART)
    )
    orders = transactions.where(in_window(as_of_date)).select(
        "user_id",
        recency_days(as_of_date).alias("recency_days"),
        parts.alias("parts"),
        rest.cast("decimal(8,2)").alias("rest"),
    )
    money = F.sum("rest").cast("decimal(20,2)") + (F.sum("parts") * _PART).cast("decimal(20,2)")
    return (
        orders.repartition("user_id")
        .groupBy("user_id")
        .agg(
            F.min("recency_days").alias("recency_days"),
            F.count(F.lit(1)).alias("frequency"),
            _money(money).alias("monetary"),
        )
    )


def cut_points(customers: DataFrame) -> DataFrame:
    """One row: `r_1`..`r_4` (days), `f_1`.., `m_1`.. (USD): the worst value of each measure whose score is above 1, 2, 3 and 4.

    A value scores above k where 5 x (customers not better) > k x (all customers). `customers` has the measures and `n`, how many customers a
    row stands for; below 0 it takes away. Values are counted, not sorted: a year has 365 days of last purchases and few frequencies. Sums of
    money are many, so they are first counted in steps of 10 USD and then only in the four steps that hold a cut point.
    """
    return (
        _least(_so_far(_counted(customers, F.col("recency_days")), -F.col("value")), "r", F.max)
        .crossJoin(_least(_so_far(_counted(customers, F.col("frequency")), F.col("value")), "f", F.min))
        .crossJoin(_least(_money_so_far(customers), "m", F.min))
    )


def scored(customers: DataFrame, cuts: DataFrame, as_of_date: date) -> DataFrame:
    """The rows of `gold/customer_rfm` for `customers`, scored by the one row of `cuts`."""
    r, f, m = F.col("r_score"), F.col("f_score"), F.col("m_score")
    value = F.shiftright(f + m + 1, 1)
    names = F.array(*[F.lit(name) for score in range(1, SCORES + 1) for name in SEGMENTS[score]])
    return (
        customers.crossJoin(F.broadcast(cuts))
        .select("*", *[_score(measure).alias(f"{measure}_score") for measure in MEASURES])
        .withColumn("as_of_date", F.lit(as_of_date))
        .withColumn("segment", F.element_at(names, (r - 1) * SCORES + value))
        .select(*[column.name for column in CUSTOMER_RFM.columns])
    )


def _counted(customers: DataFrame, value: Column) -> DataFrame:
    return customers.groupBy(value.alias("value")).agg(F.sum("n").alias("n"))


def _so_far(counts: DataFrame, merit: Column) -> DataFrame:
    """`counts` with `so_far`, the customers at a value or at worse ones, and `total`, all customers. One task does it: values are few."""
    so_far = F.sum("n").over(Window.orderBy(merit))
    return counts.select("*", so_far.alias("so_far"), F.sum("n").over(Window.partitionBy()).alias("total"))


def _money_so_far(customers: DataFrame) -> DataFrame:
    """`_so_far` of the sums of money that may be cut points: those in the steps in which the share of customers passes one of a score."""
    step = F.expr(f"bigint(monetary) div {_STEP}")
    below = F.col("so_far") - F.col("n")
    holds_cut = [_is_above(k, F.col("so_far")) & ~_is_above(k, below) for k in range(1, SCORES)]
    steps = _so_far(_counted(customers, step), F.col("value")).where(reduce(Column.__or__, holds_cut))
    counts = (
        customers.withColumn("step", step)
        .join(F.broadcast(steps.select(F.col("value").alias("step"), below.alias("below"), "total")), "step")
        .groupBy("step", "below", "total", F.col("monetary").alias("value"))
        .agg(F.sum("n").alias("n"))
    )
    so_far = F.col("below") + F.sum("n").over(Window.partitionBy("step").orderBy("value"))
    return counts.select("value", so_far.alias("so_far"), "total")


def _is_above(k: int, so_far: Column) -> Column:
    """True for a value up to which there are `so_far` customers where it scores above k."""
    return so_far * SCORES > F.col("total") * k


def _least(counts: DataFrame, measure: str, worst: Callable[[Column], Column]) -> DataFrame:
    """One row: the worst value above each score."""
    return counts.agg(
        *[
            worst(F.when(_is_above(k, F.col("so_far")), F.col("value"))).alias(f"{measure}_{k}")
            for k in range(1, SCORES)
        ]
    )


def _score(measure: str) -> Column:
    """1, and one more for each cut point that the customer reaches."""
    score, value = F.lit(1), F.col(MEASURES[measure])
    for k in range(1, SCORES):
        cut = F.col(f"{measure}_{k}")
        score = score + (value <= cut if measure == "r" else value >= cut).cast("int")
    return score


def _money(amount: Column) -> Column:
    return amount.cast("decimal(18,2)")
