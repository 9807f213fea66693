"""How each product did in the last 28 days: sales, price, conversion, place in its category, and what was lost for want of stock.

Four whole weeks, so that two periods have the same weekdays.

**Conversion** counts visits (customer and `session_id`), and of a rate only those that took both steps, so that it never exceeds 1: the
item-level rates of Google Analytics 4 (https://support.google.com/analytics/answer/9143382), for visits in place of users.

**Lost sales** are an estimate: on a day out of stock the product would have sold what it sold on an average day in stock, of which what it
did sell that day is taken off. What demand is seen only up to the stock is from W. E. Wecker, "Predicting Demand from Sales Data in the
Presence of Stockouts", Management Science 24 (1978); the mean of the days in stock is the plainest answer to it. It supposes that demand is
the same on all days and that nobody bought another product instead, so it tends to be too high.
"""

from __future__ import annotations

from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.catalogue import UNKNOWN_CATEGORY
from lakehouse.days import midnight
from lakehouse.marts.base import catalogue, happened, money, share, sold, with_catalogue
from lakehouse.tables import PRODUCT_PERFORMANCE

PERIOD_DAYS = 28
_STEPS = ("view", "cart", "order")


def product_performance(
    lines: DataFrame,
    product_views: DataFrame,
    cart_events: DataFrame,
    transactions: DataFrame,
    products: DataFrame,
    inventory_daily: DataFrame,
    as_of_date: date,
) -> DataFrame:
    """One row per product, columns as in `gold/product_performance`.

    `lines` are rows of fact_sales, `inventory_daily` has a row per product and day, the rest are rows of silver. Each may hold any days:
    the mart takes the 56 up to `as_of_date`, and of `products` all records by then. A line of a product without a record counts at the
    price paid where a list price is asked for.
    """
    first = as_of_date - timedelta(days=PERIOD_DAYS - 1)
    versions = catalogue(products.where(F.col("timestamp") < F.lit(midnight(as_of_date + timedelta(days=1)))))
    newest = versions.where("valid_to IS NULL").select("product_id", "category", F.col("price").alias("newest_price"))
    rows = (
        newest.join(_sales(lines.where(sold(first, as_of_date)), versions), "product_id", "full")
        .join(_previous(lines, first), "product_id", "full")
        .join(_visits(product_views, cart_events, transactions, happened(first, as_of_date)), "product_id", "full")
        .join(_stock(inventory_daily.where(F.col("date").between(first, as_of_date))), "product_id", "left")
        .fillna(UNKNOWN_CATEGORY, ["category"])
        .withColumn("revenue_rank", _rank("unit_count", "revenue"))
        .withColumn("previous_revenue_rank", _rank("previous_unit_count", "previous_revenue"))
    )
    return rows.select(*_columns(as_of_date))


def _sales(lines: DataFrame, versions: DataFrame) -> DataFrame:
    """Per product: units, orders, revenue, and the same units at list price."""
    list_price = F.coalesce("list_price", "price").cast("decimal(28,2)")
    return (
        with_catalogue(lines, versions)
        .groupBy("product_id")
        .agg(
            F.sum("quantity").alias("unit_count"),
            F.count_distinct("transaction_id").alias("order_count"),
            money(F.sum("line_amount")).alias("revenue"),
            money(F.sum(F.col("quantity") * list_price)).alias("list_revenue"),
        )
    )


def _previous(lines: DataFrame, first: date) -> DataFrame:
    """Per product: units and revenue of the period before the one that begins with `first`."""
    rows = lines.where(sold(first - timedelta(days=PERIOD_DAYS), first - timedelta(days=1)))
    units, revenue = F.sum("quantity"), money(F.sum("line_amount"))
    return rows.groupBy("product_id").agg(units.alias("previous_unit_count"), revenue.alias("previous_revenue"))


def _visits(product_views: DataFrame, cart_events: DataFrame, transactions: DataFrame, in_period: Column) -> DataFrame:
    """Per product: visits with each step, and with each two of them.

    A visit is told apart by the 64-bit hash of customer and `session_id`, a fifth of what both take on their way through a shuffle: with
    a thousand visits to each of a million products, that any two of one product share one has a chance of 1 in 37 million.
    """
    visit = F.xxhash64("user_id", "session_id").alias("visit")
    bought = transactions.where(in_period).select(visit, F.explode("products.product_id").alias("product_id"))
    steps = {
        "view": product_views.where(in_period).select(visit, "product_id"),
        "cart": cart_events.where(in_period & (F.col("action") == "add")).select(visit, "product_id"),
        "order": bought,
    }
    view, cart, order = (
        rows.select("*", *[F.lit(name == step).alias(name) for name in _STEPS]) for step, rows in steps.items()
    )
    # one shuffle, by product, serves both groupings
    every = view.unionByName(cart).unionByName(order).repartition("product_id")
    visits = every.groupBy("product_id", "visit").agg(*[F.max(name).alias(name) for name in _STEPS])
    pairs = (("view", "cart"), ("cart", "order"), ("view", "order"))
    return visits.groupBy("product_id").agg(
        *[F.count_if(name).alias(f"{name}_session_count") for name in _STEPS],
        *[F.count_if(F.col(a) & F.col(b)).alias(f"{a}_and_{b}") for a, b in pairs],
    )


def _stock(days: DataFrame) -> DataFrame:
    """Per product: days out of stock, and units not sold on them."""
    out = F.col("is_stock_out")
    per_day = F.avg(F.when(~out, F.col("sold")))
    # sorted, so that the sum of doubles is the same in each run
    sold_when_out = F.array_sort(F.collect_list(F.when(out, F.col("sold"))))
    grouped = days.groupBy("product_id").agg(
        F.count_if(out).cast("int").alias("stock_out_days"), per_day.alias("per_day"), sold_when_out.alias("when_out")
    )
    missed = F.transform("when_out", lambda units: F.greatest(F.col("per_day") - units, F.lit(0.0)))
    total = F.aggregate(missed, F.lit(0.0), lambda so_far, units: so_far + units)
    return grouped.select(
        "product_id", "stock_out_days", F.when(F.col("per_day").isNotNull(), total).alias("lost_units_estimate")
    )


def _rank(units: str, revenue: str) -> Column:
    """Place by revenue among the products of the category that sold; null for one that did not."""
    is_sold = F.coalesce(F.col(units) > 0, F.lit(False))
    return F.when(is_sold, F.rank().over(Window.partitionBy("category", is_sold).orderBy(F.desc(revenue))))


def _columns(as_of_date: date) -> list[Column]:
    known = {
        "as_of_date": F.lit(as_of_date),
        "price_realised": money(F.col("revenue") / F.col("unit_count")),
        "price_realisation": share(F.col("revenue"), F.col("list_revenue")),
        "view_to_cart_rate": share(F.col("view_and_cart"), F.col("view_session_count")),
        "cart_to_order_rate": share(F.col("cart_and_order"), F.col("cart_session_count")),
        "view_to_order_rate": share(F.col("view_and_order"), F.col("view_session_count")),
        "rank_movement": F.col("previous_revenue_rank") - F.col("revenue_rank"),
        "lost_revenue_estimate": money(F.col("lost_units_estimate") * F.col("newest_price").cast("double")),
        **{name: F.coalesce(name, money(F.lit(0))) for name in ("revenue", "list_revenue")},
        **{name: F.coalesce(name, F.lit(0)) for name in ("unit_count", "order_count", "stock_out_days")},
        **{name: F.coalesce(name, F.lit(0)) for name in (f"{step}_session_count" for step in _STEPS)},
    }
    return [known.get(name, F.col(name)).alias(name) for name in PRODUCT_PERFORMANCE.schema.names]
