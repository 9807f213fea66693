"""RFM: how recently, how often and for how much each customer bought, as scores from 1 to 5 and a named segment.

Source of the segments: Putler, "RFM Analysis for Successful Customer Segmentation" (https://www.putler.com/rfm-analysis/),
which places eleven named segments by recency and by frequency and money together. Its ranges overlap; `SEGMENTS` gives each of the
25 cells to one of the segments whose published range holds it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

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

_EPOCH = date(1970, 1, 1)
_DAY_MICROS = 86_400_000_000
# Distinct values are summed up in groups of 1,024 neighbours, so that no task ever sorts more than that many.
_GROUP_BITS = 10
_MEASURES = ("r", "f", "m")


def window(as_of_date: date) -> tuple[datetime, datetime]:
    """The 365 UTC days that end with `as_of_date`: first instant in, first instant out."""
    end = datetime.combine(as_of_date + timedelta(days=1), time(), tzinfo=UTC)
    return end - timedelta(days=WINDOW_DAYS), end


def in_window(as_of_date: date) -> Column:
    """True for rows whose `timestamp` lies in the window of `as_of_date`."""
    start, end = window(as_of_date)
    return (F.col("timestamp") >= F.lit(start)) & (F.col("timestamp") < F.lit(end))


def rfm(transactions: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer with a purchase in the 365 days up to the end of `as_of_date`, columns as in `gold/customer_rfm`.

    `transactions` has `user_id`, `timestamp` and `total_amount` (USD), one row per transaction. A score is
    ceil(5 x share of customers that are not better), in whole numbers, so customers with equal values have equal scores.
    """
    customers = _customers(transactions, as_of_date)
    cuts = F.broadcast(_cuts(customers))
    r, f, m = F.col("r_score"), F.col("f_score"), F.col("m_score")
    value = F.shiftright(f + m + 1, 1)
    names = F.array(*[F.lit(name) for score in range(1, SCORES + 1) for name in SEGMENTS[score]])
    return (
        customers.crossJoin(cuts)
        .select("*", *[_score(measure).alias(f"{measure}_score") for measure in _MEASURES])
        .withColumn("as_of_date", F.lit(as_of_date))
        .withColumn("segment", F.element_at(names, (r - 1) * SCORES + value))
        .select(*[column.name for column in CUSTOMER_RFM.columns])
    )


def _customers(transactions: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer: the three measures, and each as a whole number that grows with merit (`r`, `f`, `m`)."""
    last_day = F.expr(f"unix_micros(max(timestamp)) div {_DAY_MICROS}")
    money = F.sum("total_amount").cast("decimal(18,2)")
    return (
        transactions.where(in_window(as_of_date))
        .groupBy("user_id")
        .agg(
            (F.lit((as_of_date - _EPOCH).days) - last_day).cast("int").alias("recency_days"),
            F.count(F.lit(1)).alias("frequency"),
            money.alias("monetary"),
        )
        .select(
            "*",
            (-F.col("recency_days")).cast("long").alias("r"),
            F.col("frequency").alias("f"),
            (F.col("monetary") * 100).cast("long").alias("m"),
        )
    )


def _cuts(customers: DataFrame) -> DataFrame:
    """One row: `r_1`..`r_4`, `f_1`.., `m_1`..: the least value of each measure whose score is above 1, 2, 3 and 4.

    A value scores above k where 5 x (customers at or below it) > k x (all customers).
    """
    pair = [F.struct(F.lit(name).alias("measure"), F.col(name).alias("value")) for name in _MEASURES]
    counts = (
        customers.select(F.explode(F.array(*pair)).alias("pair"))
        .groupBy("pair.measure", "pair.value")
        .agg(F.count(F.lit(1)).alias("n"))
        .withColumn("bucket", F.shiftright("value", _GROUP_BITS))
    )
    measure = Window.partitionBy("measure")
    so_far = measure.orderBy("bucket").rowsBetween(Window.unboundedPreceding, -1)
    buckets = (
        counts.groupBy("measure", "bucket")
        .agg(F.sum("n").alias("n"))
        .select(
            "measure",
            "bucket",
            F.coalesce(F.sum("n").over(so_far), F.lit(0)).alias("below"),
            F.sum("n").over(measure).alias("total"),
        )
    )
    in_bucket = Window.partitionBy("measure", "bucket").orderBy("value")
    ranked = counts.join(buckets, ["measure", "bucket"]).withColumn(
        "at_or_below", F.col("below") + F.sum("n").over(in_bucket)
    )
    return ranked.agg(
        *[
            F.min(
                F.when(
                    (F.col("measure") == name) & (F.col("at_or_below") * SCORES > F.col("total") * k),
                    F.col("value"),
                )
            ).alias(f"{name}_{k}")
            for name in _MEASURES
            for k in range(1, SCORES)
        ]
    )


def _score(measure: str) -> Column:
    score = F.lit(1)
    for k in range(1, SCORES):
        score = score + (F.col(measure) >= F.col(f"{measure}_{k}")).cast("int")
    return score
