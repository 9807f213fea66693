"""What each customer will be worth in the next 90 days: purchases expected (BG/NBD) times spend expected of each (Gamma-Gamma).

A purchase is a day (UTC) on which the customer bought: orders of one day, of one second even, are one visit to the till, and the models
suppose purchases apart from each other. Value is revenue, not profit, and not discounted: 90 days are too short for that to matter.
Sources: `lakehouse.marts.purchase_model` and `lakehouse.marts.spend_model`. The latter's paper leaves the first purchase out; here the spend
of all purchases counts, so that a customer who bought once has a value too. How near the model would have come to the last 90 days is a
weekly check in Dagster, `back_test` (`lakehouse.marts.lifetime_back_test`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyspark.sql.functions as F
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame

from lakehouse.marts import purchase_model, spend_model
from lakehouse.marts.base import money
from lakehouse.marts.purchase_model import Histories, PurchaseModel
from lakehouse.marts.spend_model import Spending, SpendModel
from lakehouse.tables import CUSTOMER_LIFETIME_VALUE
from lakehouse.transforms.state import Since

HORIZON_DAYS = 90
# Mean spends within 1% of each other are fitted as one: their logarithm, of which the likelihood is a function, is off by 0.005 at most.
_SPEND_STEP = 0.01
_HISTORY = ("frequency", "recency_days", "age_days")


@dataclass(frozen=True)
class LifetimeModel:
    """Both fitted models."""

    purchases: PurchaseModel
    spend: SpendModel


def customer_lifetime_value(lines: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer with a purchase by the end of `as_of_date`, columns as in `gold/customer_lifetime_value`.

    Of `lines`, which must be all of the shop's, it takes `sales_date`, `user_id` and `line_amount`. It runs two small queries to fit the
    models; who keeps `purchase_history` in Spark's cache calls `fit` and `lifetime_value` instead.
    """
    history = purchase_history(lines, as_of_date)
    return lifetime_value(history, fit(history), as_of_date)


def purchase_history(lines: DataFrame, as_of_date: date) -> DataFrame:
    """One row per customer: `user_id`, `frequency`, `recency_days`, `age_days`, `monetary` as in `gold/customer_lifetime_value`."""
    by_then = lines.where(F.col("sales_date") <= F.lit(as_of_date))
    # one shuffle, by customer, serves both groupings
    days = by_then.repartition("user_id").groupBy("user_id", "sales_date").agg(F.sum("line_amount").alias("amount"))
    first, last = F.min("sales_date"), F.max("sales_date")
    return days.groupBy("user_id").agg(
        (F.count(F.lit(1)) - 1).cast("int").alias("frequency"),
        F.date_diff(last, first).alias("recency_days"),
        F.date_diff(F.lit(as_of_date), first).alias("age_days"),
        money(F.sum("amount") / F.count(F.lit(1))).alias("monetary"),
    )


def moved_history(since: Since, as_of_date: date) -> DataFrame:
    """The same rows as `purchase_history`, out of an earlier day of the mart: only who has other lines since then is counted again."""
    others = since.rows.join(F.broadcast(since.customers), "user_id", "left_anti")
    older = F.col("age_days") + (as_of_date - since.as_of_date).days
    kept = others.select("user_id", "frequency", "recency_days", older.cast("int").alias("age_days"), "monetary")
    return kept.unionByName(purchase_history(since.now, as_of_date))


def fit(history: DataFrame) -> LifetimeModel:
    """Both models of the customers in `history` (see `purchase_history`), from counts of equal customers."""
    # in order, so that sums of doubles are the same in each run
    equal = _sorted(history.groupBy(*_HISTORY).agg(F.count(F.lit(1)).alias("customers")), *_HISTORY)
    step = F.floor(F.log(F.col("monetary").cast("double")) / _SPEND_STEP).alias("step")
    spends = history.where("monetary > 0").groupBy("frequency", step).agg(F.count(F.lit(1)).alias("customers"))
    ordered = _sorted(spends, "frequency", "step")
    mean_spend = np.exp((_numbers(ordered, "step") + 0.5) * _SPEND_STEP)
    spending = Spending(_numbers(ordered, "frequency") + 1, mean_spend, _numbers(ordered, "customers"))
    return LifetimeModel(purchase_model.fit(_histories(equal)), spend_model.fit(spending))


def lifetime_value(
    history: DataFrame, model: LifetimeModel, as_of_date: date, horizon_days: int = HORIZON_DAYS
) -> DataFrame:
    """The rows of `gold/customer_lifetime_value` for the customers in `history`, over `horizon_days` days."""
    equal = history.select(*_HISTORY, F.lit(1).alias("customers")).distinct().toArrow()
    histories = _histories(equal)
    alive = purchase_model.p_alive(model.purchases, histories)
    purchases = purchase_model.expected_purchases(model.purchases, histories, horizon_days)
    predictions = (
        equal.select(_HISTORY).append_column("p_alive", [alive]).append_column("predicted_purchases", [purchases])
    )
    predicted = F.broadcast(history.sparkSession.createDataFrame(predictions))
    order_value = _order_value(model.spend)
    return (
        history.join(predicted, [*_HISTORY])
        .withColumn("as_of_date", F.lit(as_of_date))
        .withColumn("predicted_order_value", money(order_value))
        .withColumn("predicted_value", money(F.col("predicted_purchases") * order_value))
        .select(*CUSTOMER_LIFETIME_VALUE.schema.names)
    )


def _order_value(model: SpendModel) -> Column:
    """Mean of what the population and what the customer spends, weighted by how much is known of the customer (equation 5 of the note)."""
    known = model.p * (F.col("frequency") + 1)
    own, common = F.col("monetary").cast("double"), model.population_mean * (model.q - 1)
    return (known * own + common) / (known + model.q - 1)


def _sorted(rows: DataFrame, *keys: str) -> pa.Table:
    return rows.toArrow().sort_by([(key, "ascending") for key in keys])


def _numbers(rows: pa.Table, name: str) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = rows[name].to_numpy().astype(np.int64)
    return numbers


def _histories(equal: pa.Table) -> Histories:
    return Histories(*(_numbers(equal, name) for name in (*_HISTORY, "customers")))
