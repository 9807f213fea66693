"""Facts of the star: sales, sessions and daily stock, each row with the keys of the dimension versions valid at its time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.days import midnight
from lakehouse.tables import FACT_INVENTORY_DAILY, FACT_SALES, FACT_SESSIONS, SESSIONS, Table
from lakehouse.transforms.scd2 import PRODUCT, USER, with_key

# The instant whose dimension versions count, per fact table
SALES_AT, SESSIONS_AT = "timestamp", "started_at"
INVENTORY_AT = "timestamp_micros(unix_micros(CAST(date + 1 AS timestamp)) - 1)"  # the day's last microsecond

_MOVED = ("initial_stock", "received", "sold")


def of_days(rows: DataFrame, time_column: str, days: Collection[date]) -> DataFrame:
    """Rows whose time is in one of `days`; their bounds as well, so that whole files can be left out."""
    is_between = (F.col(time_column) >= F.lit(midnight(min(days)))) & (
        F.col(time_column) < F.lit(midnight(max(days) + timedelta(days=1)))
    )
    return rows.where(is_between & F.to_date(time_column).isin(list(days)))


def sales(items: DataFrame, users: DataFrame, products: DataFrame) -> DataFrame:
    """Rows of `silver/transaction_items` to rows of `gold/fact_sales`, one per line.

    `users` and `products` are rows of `dim_user` and `dim_product`. The category stays the one that silver resolved.
    """
    lines = items.withColumn("sales_date", F.to_date("timestamp"))
    keyed = with_key(lines, users, USER, F.expr(SALES_AT))
    return _as_declared(with_key(keyed, products, PRODUCT, F.expr(SALES_AT)), FACT_SALES)


def sessions(snapshots: DataFrame, users: DataFrame) -> DataFrame:
    """Rows of `gold/sessions` to rows of `gold/fact_sessions`: one per session that is closed and not retracted."""
    return _as_declared(with_key(closed(snapshots), users, USER, F.expr(SESSIONS_AT)), FACT_SESSIONS)


def newest(snapshots: DataFrame, table: Table) -> DataFrame:
    """Of each key of a table of snapshots the row with the highest `batch_id`, left out where it is retracted."""
    values = [name for name in snapshots.columns if name not in table.key]
    rows = snapshots.groupBy(*table.key).agg(F.max_by(F.struct(*values), "batch_id").alias("row"))
    return rows.select(*table.key, "row.*").where("NOT is_retracted")


def closed(snapshots: DataFrame) -> DataFrame:
    """Rows of `gold/sessions` once read: one per session that is closed and not retracted."""
    return newest(snapshots, SESSIONS).where("NOT is_open")


def inventory_daily(
    items: DataFrame, inventory_events: DataFrame, products: DataFrame, versions: DataFrame, days: Collection[date]
) -> DataFrame:
    """Rows of `gold/fact_inventory_daily` of these `days`, out of the three silver tables and rows of `dim_product`; see `stock_days`."""
    rows = stock_days(items, inventory_events, products, days)
    return _as_declared(with_key(rows, versions, PRODUCT, F.expr(INVENTORY_AT)), FACT_INVENTORY_DAILY)


def stock_days(items: DataFrame, inventory_events: DataFrame, products: DataFrame, days: Collection[date]) -> DataFrame:
    """What moved and what was left of each product on these `days`: columns as in `gold/fact_inventory_daily`, without the key.

    Level = opening stock + changes - units sold up to that time, by event time, as in `lakehouse.transforms.stock`. Opening stock is
    the `inventory` of the product's record with the lowest position; before that record's time the level counts from 0 and is never
    out of stock. A product has a row where something moved, and where it began the day at 0 or below: so stock-out days can be counted.
    """
    start, end = midnight(min(days)), midnight(max(days) + timedelta(days=1))
    moves = _movements(items, inventory_events, products)
    # Most of all that ever moved is before: each kind is summed up by itself, with one sum and not with all of them
    carried = {
        kind: rows.where(F.col("timestamp") < F.lit(start)).groupBy("product_id").agg(F.sum("units").alias("units"))
        for kind, rows in moves.items()
    }
    is_within = (F.col("timestamp") >= F.lit(start)) & (F.col("timestamp") < F.lit(end))
    before = _side_by_side(carried).groupBy("product_id").agg(*_sums())
    within = _side_by_side({kind: rows.where(is_within) for kind, rows in moves.items()})
    known = _with_empty_days(_levels(before, within, min(days)), max(days))
    return known.where(F.col("date").isin(list(days)))


def _movements(items: DataFrame, inventory_events: DataFrame, products: DataFrame) -> dict[str, DataFrame]:
    """By kind one row per movement: product, event time, units. The opening stock is in a product's first record."""
    first = products.groupBy("product_id").agg(
        F.min_by(F.struct("timestamp", "inventory"), F.struct("partition", "offset")).alias("first")
    )
    return {
        "initial_stock": first.select("product_id", "first.timestamp", F.col("first.inventory").alias("units")),
        "received": inventory_events.select("product_id", "timestamp", F.col("change").alias("units")),
        "sold": items.select("product_id", "timestamp", F.col("quantity").alias("units")),
    }


def _side_by_side(moves: Mapping[str, DataFrame]) -> DataFrame:
    """All rows with their units in the column of their kind, and whether it is the product's first record."""
    rows = [
        of_kind.select(
            *[name for name in of_kind.columns if name != "units"],
            *[(F.col("units") if name == kind else F.lit(0)).cast("bigint").alias(name) for name in _MOVED],
            F.lit(kind == "initial_stock").alias("is_listed"),
        )
        for kind, of_kind in moves.items()
    ]
    return reduce(DataFrame.unionByName, rows)


def _levels(before: DataFrame, within: DataFrame, first_day: date) -> DataFrame:
    """One row per product and day with movement, and one for the day before `first_day`, which carries what was `before`.

    `lowest_level` is the least of the day's levels since the product's first record, null where it had none.
    """
    carried = before.withColumn("timestamp", F.lit(midnight(first_day) - timedelta(microseconds=1)))
    instants = within.groupBy("product_id", "timestamp").agg(*_sums()).unionByName(carried)
    # Rows are whole instants, so what happens at the same time counts together, in whatever order it came.
    until_now = Window.partitionBy("product_id").orderBy("timestamp")
    running = instants.withColumns(
        {
            "level": F.sum(F.col("initial_stock") + F.col("received") - F.col("sold")).over(until_now),
            "was_listed": F.max("is_listed").over(until_now),
        }
    )
    by_day = running.groupBy("product_id", F.to_date("timestamp").alias("date")).agg(
        *[F.sum(name).alias(name) for name in _MOVED],
        F.max_by("level", "timestamp").alias("closing_level"),
        F.max("was_listed").alias("was_listed"),
        F.min(F.when(F.col("was_listed"), F.col("level"))).alias("lowest_level"),
    )
    through_time = Window.partitionBy("product_id").orderBy("date")
    return by_day.withColumns(
        {
            "opening_level": F.coalesce(F.lag("closing_level").over(through_time), F.lit(0)),
            "next_date": F.lead("date").over(through_time),
            "began_out": F.coalesce(F.lag(_is_out("closing_level")).over(through_time), F.lit(False)),
        }
    ).select(
        "*",
        (F.col("began_out") | F.coalesce(F.col("lowest_level") <= 0, F.lit(False))).alias("is_stock_out"),
    )


def _with_empty_days(levels: DataFrame, last_day: date) -> DataFrame:
    """`levels` and a row for each day without movement that a product begins without stock, up to `last_day`."""
    first = F.date_add("date", 1)
    last = F.coalesce(F.date_sub("next_date", 1), F.lit(last_day))
    gaps = levels.where(_is_out("closing_level") & (first <= last))
    empty = gaps.select(
        "product_id",
        F.explode(F.sequence(first, last)).alias("date"),
        F.col("closing_level").alias("opening_level"),
        *[F.lit(0).cast("bigint").alias(name) for name in _MOVED],
        "closing_level",
        F.lit(True).alias("is_stock_out"),
    )
    return levels.select(*empty.columns).unionByName(empty)


def _is_out(level: str) -> Column:
    return F.col("was_listed") & (F.col(level) <= 0)


def _sums() -> list[Column]:
    return [*[F.sum(name).alias(name) for name in _MOVED], F.max("is_listed").alias("is_listed")]


def _as_declared(rows: DataFrame, table: Table) -> DataFrame:
    return rows.select(*[column.name for column in table.columns])
