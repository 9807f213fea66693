"""How well `customer_lifetime_value` would have done: fitted to all but the last days, and compared with what happened in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse.marts.base import money, sold
from lakehouse.marts.customer_lifetime_value import HORIZON_DAYS, fit, lifetime_value, purchase_history


@dataclass(frozen=True)
class BackTest:
    """Predicted and actual, over the customers known when the held-out days began. A purchase is a customer's day with one.

    `absolute_error` is the mean of |predicted - actual| purchases of a customer, `naive_error` the same where each customer goes on at its
    own past rate, purchases after the first / days since the first.
    """

    customers: int
    actual_purchases: int
    predicted_purchases: float
    actual_revenue: Decimal
    predicted_revenue: Decimal
    absolute_error: float
    naive_error: float


def back_test(lines: DataFrame, as_of_date: date, held_out_days: int = HORIZON_DAYS) -> BackTest | None:
    """Hold the last `held_out_days` days up to `as_of_date` out; None where nobody had bought before them. `lines` as for the mart."""
    begin = as_of_date - timedelta(days=held_out_days)
    history = purchase_history(lines, begin)
    days = lines.where(sold(begin + timedelta(days=1), as_of_date))
    actual = days.groupBy("user_id").agg(
        F.count_distinct("sales_date").alias("purchases"), F.sum("line_amount").alias("revenue")
    )
    naive = F.coalesce(F.try_divide(F.col("frequency") * held_out_days, F.col("age_days")), F.lit(0.0))
    purchases = F.coalesce("purchases", F.lit(0))
    row = (
        lifetime_value(history, fit(history), begin, held_out_days)
        .join(actual, "user_id", "left")
        .agg(
            F.count(F.lit(1)).alias("customers"),
            F.sum(purchases).alias("actual_purchases"),
            F.sum("predicted_purchases").alias("predicted_purchases"),
            money(F.coalesce(F.sum("revenue"), F.lit(0))).alias("actual_revenue"),
            money(F.sum("predicted_value")).alias("predicted_revenue"),
            F.avg(F.abs(F.col("predicted_purchases") - purchases)).alias("absolute_error"),
            F.avg(F.abs(naive - purchases)).alias("naive_error"),
        )
        .collect()[0]
    )
    return BackTest(**row.asDict()) if row["customers"] else None
