"""The facts that `lakehouse.star` makes of a live lake, in memory and as of one entry of the ledger, and the stream's tables beside them."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from lakehouse import star
from lakehouse import tables as t
from lakehouse.live.base import Lake

_SOURCES = {table.path: table for one in star.DIMENSIONS for table in one.sources}


def beside_the_stream(lake: Lake, spark: SparkSession) -> duckdb.DuckDBPyConnection:
    """A database with the fact tables, all days of them, and with `sales_by_minute`, `sessions` and `inventory_levels`, once read.

    The quarter of a million products that nobody bought are left out of both.
    """
    streams = {path: lake.read(table, table.schema.names) for path, table in _SOURCES.items()}
    items, changes = streams[t.TRANSACTION_ITEMS.path], streams[t.INVENTORY_EVENTS.path]
    moved = pc.unique(pa.chunked_array([*items["product_id"].chunks, *changes["product_id"].chunks]))
    products = streams[t.PRODUCTS.path]
    streams[t.PRODUCTS.path] = products.filter(pc.is_in(products["product_id"], moved))
    levels = lake.current(t.INVENTORY_LEVELS)
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.register(t.SALES_BY_MINUTE.name, lake.read(t.SALES_BY_MINUTE, t.SALES_BY_MINUTE.schema.names))
    con.register(t.SESSIONS.name, lake.current(t.SESSIONS))
    con.register(t.INVENTORY_LEVELS.name, levels.filter(pc.is_in(levels["product_id"], moved)))
    for name, rows in _facts(spark, streams).items():
        con.register(name, rows)
    return con


def _facts(spark: SparkSession, streams: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """By name of the fact table its rows, of all days on which anything happened."""
    frames = {path: spark.createDataFrame(rows) for path, rows in streams.items()}
    made = {one.member.dimension.path: one.rows(frames).persist() for one in star.DIMENSIONS}
    try:
        days = _days(streams)
        return {fact.table.name: fact.rows(frames | made, days).toArrow() for fact in star.FACTS}
    finally:
        for frame in made.values():
            frame.unpersist()


def _days(streams: dict[str, pa.Table]) -> list[date]:
    time_of = {path: time for fact in star.FACTS for path, time in fact.time_of.items()}
    spans = [pc.min_max(streams[path][time]).as_py() for path, time in time_of.items() if len(streams[path])]
    first, last = min(span["min"] for span in spans).date(), max(span["max"] for span in spans).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
