"""Sessions out of whole silver tables, in Spark: what `lakehouse.live.sessions` keeps up to date event by event, computed at once.

Same definition, same columns: all events of a customer by event time, cut where the pause is longer than the gap.
"""

from __future__ import annotations

from datetime import datetime

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.tables import MOST_SESSION_PRODUCTS, SESSIONS

SNAPSHOT_COLUMNS = ("batch_id", "known_at", "is_retracted")
COLUMNS = tuple(name for name in SESSIONS.schema.names if name not in SNAPSHOT_COLUMNS)
_COUNTED = {"view_count": "product_views", "cart_count": "cart_events", "order_count": "transactions"}
_POSITION = ("timestamp", "topic", "partition", "offset")


def sessions(
    product_views: DataFrame,
    cart_events: DataFrame,
    transactions: DataFrame,
    gap_minutes: float,
    watermark: datetime | None,
) -> DataFrame:
    """One row per session, columns as in `gold/sessions` but for what belongs to snapshots (`COLUMNS`).

    Takes rows of the three silver tables. A pause of more than `gap_minutes` ends a session; it is open until `watermark` is past its
    end and the gap, and with no watermark. Give all events of a customer from a pause to a pause: a session cut off is another session.
    """
    gap = int(gap_minutes * 60_000_000)
    events = (
        _events(product_views, F.array("product_id"))
        .unionByName(_events(cart_events, F.array("product_id")))
        .unionByName(_events(transactions, F.col("products.product_id"), F.col("total_amount")))
    )
    in_order = Window.partitionBy("user_id").orderBy(*_POSITION)
    pause = F.unix_micros("timestamp") - F.unix_micros(F.lag("timestamp").over(in_order))
    numbered = events.withColumn("begins", F.coalesce((pause > gap).cast("int"), F.lit(0))).withColumn(
        "number", F.sum("begins").over(in_order)
    )
    return _summed(numbered, gap, watermark).select(*COLUMNS)


def _events(rows: DataFrame, products: Column, revenue: Column | None = None) -> DataFrame:
    amount = (F.lit(0) if revenue is None else revenue).cast("decimal(18,2)")
    return rows.select("user_id", *_POSITION, "country", products.alias("products"), amount.alias("revenue"))


def _summed(numbered: DataFrame, gap: int, watermark: datetime | None) -> DataFrame:
    """One row per customer and number of session."""
    counts = [F.count_if(F.col("topic") == topic).alias(name) for name, topic in _COUNTED.items()]
    first = F.min_by(F.struct("topic", "partition", "offset", "country", "products"), F.struct(*_POSITION))
    summed = numbered.groupBy("user_id", "number").agg(
        F.min("timestamp").alias("started_at"),
        F.max("timestamp").alias("ended_at"),
        first.alias("entry"),
        F.least(F.sum("revenue"), F.lit(MONEY_MAX)).cast("decimal(18,2)").alias("revenue"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_set("products")))).alias("all_products"),
        *counts,
    )
    kinds = F.create_map(*[F.lit(text) for topic in _COUNTED.values() for text in (topic, CONTRACTS[topic].event_type)])
    micros = {name: F.unix_micros(name) for name in ("started_at", "ended_at")}
    is_open = F.lit(True) if watermark is None else F.unix_micros(F.lit(watermark)) <= micros["ended_at"] + gap
    products = F.slice("all_products", 1, MOST_SESSION_PRODUCTS)
    return summed.select(
        "*",
        F.to_date("started_at").alias("started_date"),
        ((micros["ended_at"] - micros["started_at"]) / 1e6).alias("duration_seconds"),
        F.col("entry.country").alias("country"),
        products.alias("product_ids"),
        F.size(products).cast("bigint").alias("product_count"),
        kinds[F.col("entry.topic")].alias("entry_kind"),
        F.col("entry.products")[0].alias("entry_product_id"),
        *[F.col(f"entry.{name}").alias(f"entry_{name}") for name in ("topic", "partition", "offset")],
        (F.col("order_count") > 0).alias("is_converted"),
        is_open.alias("is_open"),
    )
