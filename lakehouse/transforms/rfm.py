"""RFM: how recently, how often and for how much each customer bought, as scores from 1 to 5 and a named segment.

Source of the segments: Putler, "RFM Analysis for Successful Customer Segmentation" (https://www.putler.com/rfm-analysis/),
which places eleven named segments by recency and by frequency and money together. Its ranges overlap; `SEGMENTS` gives each of the
25 cells to one of the segments whose published range holds it.

Transactions, or an earlier day by `lakehouse.transforms.rfm_increment`, give the `customers`, these the `cut_points`, both the rows (`scored`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from lakehouse.days import midnight
from lakehouse.marts import base
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
V = TypeVar("V", int, Decimal)

MEASURES = {"r": "recency_days", "f": "frequency", "m": "monetary"}

_EPOCH = date(1970, 1, 1)
_DAY_MICROS = 86_400_000_000
# Sums of decimal(8,2) are sums of whole numbers to Spark; of decimal(18,2) they are objects, and three times as slow.
_PART = 1_000_000
_MOST_PARTS = 1_000_000_000  # below, a sum of both fits decimal(18,2) with no further look at it
_STEP = 10  # USD: a step has a thousand values at most


@dataclass(frozen=True)
class Cuts:
    """Per measure the worst value that scores above 1, 2, 3 and 4: days (the most), transactions, USD. Empty where there is no customer."""

    r: tuple[int, ...]
    f: tuple[int, ...]
    m: tuple[Decimal, ...]


def window(as_of_date: date) -> tuple[datetime, datetime]:
    """The 365 UTC days that end with `as_of_date`: first instant in, first instant out."""
    end = midnight(as_of_date + timedelta(days=1))
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
    return scored(found, cut_points(found), as_of_date)


def customers(transactions: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer with a purchase in the window: `user_id`, `recency_days`, `frequency`, `monetary` (USD, MONEY_MAX at most).

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
    usual = F.sum("rest").cast("decimal(20,2)") + (F.sum("parts") * _PART).cast("decimal(20,2)")
    large = F.sum("rest") + F.sum("parts").cast("decimal(20,0)") * _PART
    monetary = F.when(F.sum("parts") < _MOST_PARTS, _money(usual)).otherwise(base.money(large))
    return (
        orders.repartition("user_id")
        .groupBy("user_id")
        .agg(
            F.min("recency_days").alias("recency_days"),
            F.count(F.lit(1)).alias("frequency"),
            monetary.alias("monetary"),
        )
    )


def cut_points(customers: DataFrame) -> Cuts:
    """The cut points of `customers`.

    Runs two queries. Values are counted, not sorted: a year has 365 days of last purchases and few frequencies. Sums of money are many, so they
    are first counted in steps of 10 USD, and then one by one only in the steps in which the share of customers passes that of a score.
    """
    step = F.expr(f"bigint(monetary) div {_STEP}")
    keyed = customers.select((-F.col("recency_days")).alias("r"), F.col("frequency").alias("f"), step.alias("m"))
    grouped = keyed.groupingSets([[F.col(name)] for name in MEASURES], *MEASURES).count()
    counts: dict[str, dict[int, int]] = {name: {} for name in MEASURES}
    for row in grouped.collect():
        name = next(name for name in MEASURES if row[name] is not None)
        counts[name][row[name]] = row["count"]
    cut_steps = sorted(set(cuts(counts["m"])))
    money = {Decimal(one * _STEP): n for one, n in counts["m"].items() if one not in cut_steps}
    if cut_steps:
        close = customers.where(step.isin(cut_steps)).groupBy("monetary").count()
        money |= {row["monetary"]: row["count"] for row in close.collect()}
    return Cuts(tuple(-value for value in cuts(counts["r"])), cuts(counts["f"]), cuts(money))


def cuts(counts: Mapping[V, int]) -> tuple[V, ...]:
    """The least values that score above 1, 2, 3 and 4, by the number of customers at each value; none where there are no customers.

    A value scores above k where 5 x (customers at or below it) > k x (all customers).
    """
    total, so_far, found = sum(counts.values()), 0, list[V]()
    for value in sorted(counts):
        so_far += counts[value]
        while len(found) < SCORES - 1 and so_far * SCORES > total * (len(found) + 1):
            found.append(value)
    return tuple(found)


def scored(customers: DataFrame, cuts: Cuts, as_of_date: date) -> DataFrame:
    """The rows of `gold/customer_rfm` for `customers`, columns in its order."""
    return customers.selectExpr(*columns(cuts, as_of_date))


def columns(cuts: Cuts, as_of_date: date) -> tuple[str, ...]:
    """The columns of `gold/customer_rfm` in its order, in SQL that Spark and DuckDB both know, of rows with the measures."""
    cells = [name for score in range(1, SCORES + 1) for name in SEGMENTS[score]]
    cell = f"(r_score - 1) * {SCORES} + ((f_score + m_score + 1) >> 1)"
    made = {
        "as_of_date": f"DATE '{as_of_date}'",
        "r_score": _score(f"recency_days <= {cut}" for cut in cuts.r),
        "f_score": _score(f"frequency >= {cut}" for cut in cuts.f),
        "m_score": _score(f"monetary >= CAST({cut:f} AS DECIMAL(18,2))" for cut in cuts.m),
        "segment": f"CASE {cell} {' '.join(f'WHEN {n} THEN {name!r}' for n, name in enumerate(cells, 1))} END",
    }
    return tuple(f"{made[name]} AS {name}" if name in made else name for name in CUSTOMER_RFM.schema.names)


def _score(reached: Iterable[str]) -> str:
    """1, and one more for each cut point that the customer reaches."""
    return " + ".join(["1", *(f"CAST({one} AS INT)" for one in reached)])


def _money(amount: Column) -> Column:
    return amount.cast("decimal(18,2)")
