"""The customers of a day out of those of an earlier day: what came since is added, what left the 365 days is taken off.

Exact for count and money, which are sums; only a sum that was clipped at MONEY_MAX cannot be moved on. The last purchase only ever leaves
the window as a customer's last one, so who still has purchases keeps it: no list of purchases is needed, and an earlier day of
`gold/customer_rfm` is all the state there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from lakehouse.marts.base import money
from lakehouse.transforms.rfm import MEASURES, in_window, recency_days, window


@dataclass(frozen=True)
class State:
    """What an earlier day's rows are made from: all transactions in the window of `as_of_date` up to the micro-batch `last_batch`."""

    as_of_date: date
    last_batch: int


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


def aged(rows: DataFrame, state: State, as_of_date: date) -> DataFrame:
    """The customers in the state's `rows` of `gold/customer_rfm`, their last purchase seen from `as_of_date`."""
    days = (as_of_date - state.as_of_date).days
    return rows.select("user_id", (F.col("recency_days") + days).alias("recency_days"), "frequency", "monetary")


def touched(customers: DataFrame, changes: DataFrame) -> DataFrame:
    """The customers of `changes`: `was`, a struct of the measures in `customers` (null for who is new), and `now`, the same with the changes."""
    was = F.struct(*MEASURES.values()).alias("was")
    found = customers.join(F.broadcast(changes.select("user_id")), "user_id").select("user_id", was)
    recency = F.least("was.recency_days", "new_recency_days")
    frequency = F.coalesce("was.frequency", F.lit(0)) + F.col("more_frequency")
    monetary = money(F.coalesce("was.monetary", F.lit(0)) + F.col("more_monetary"))
    now = F.struct(recency.alias("recency_days"), frequency.alias("frequency"), monetary.alias("monetary"))
    return changes.join(found, "user_id", "left").select("user_id", "was", now.alias("now"))


def customers_now(customers: DataFrame, touched: DataFrame) -> DataFrame:
    """The customers after the changes, columns as `lakehouse.transforms.rfm.customers`; who has no purchase left is gone."""
    untouched = customers.join(F.broadcast(touched.select("user_id")), "user_id", "left_anti")
    return untouched.unionByName(touched.where("now.frequency <> 0").select("user_id", "now.*"))


def counted_now(customers: DataFrame, touched: DataFrame) -> DataFrame:
    """What `lakehouse.transforms.rfm.cut_points` needs of the customers after the changes, without looking for single ones among all:
    all that were there, those touched taken off as they were and put in as they are.
    """
    was = touched.where("was IS NOT NULL").select("was.*", F.lit(-1).alias("n"))
    now = touched.where("now.frequency <> 0").select("now.*", F.lit(1).alias("n"))
    return customers.select(*MEASURES.values(), F.lit(1).alias("n")).unionByName(was).unionByName(now)


def _is_new(state: State, as_of_date: date) -> Column:
    came_later = F.col("batch_id") > state.last_batch
    return in_window(as_of_date) & (came_later | (F.col("timestamp") >= F.lit(window(state.as_of_date)[1])))


def _is_gone(state: State, as_of_date: date) -> Column:
    start, end = (F.lit(window(day)[0]) for day in (state.as_of_date, as_of_date))
    return (F.col("timestamp") >= start) & (F.col("timestamp") < end) & (F.col("batch_id") <= state.last_batch)
