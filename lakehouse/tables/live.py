"""Gold that the streaming service keeps up to the second."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import COUNTRY, KNOWN, MONEY, PAYMENT, STREAM_PROPERTIES, TIME, Table, column

SALES_BY_MINUTE = Table(
    "sales_by_minute",
    "gold",
    "streaming",
    "one partial sum per minute, country, category and micro-batch: add them up",
    (
        column("minute", TIME, "start of the minute of event time (UTC)"),
        COUNTRY,
        column("category", pa.string(), "category name"),
        column("unit_count", pa.int64(), "units sold"),
        column("line_count", pa.int64(), "order lines"),
        column("revenue", MONEY, "sum of line amounts, USD"),
        *KNOWN,
    ),
    ("minute", "country", "category", "batch_id"),
    (),
    STREAM_PROPERTIES,
    "sums",
)
ORDERS_BY_MINUTE = Table(
    "orders_by_minute",
    "gold",
    "streaming",
    "one partial sum per minute, country, payment method and micro-batch: add them up",
    (
        column("minute", TIME, "start of the minute of event time (UTC)"),
        COUNTRY,
        PAYMENT,
        column("order_count", pa.int64(), "transactions"),
        column("revenue", MONEY, "sum of total amounts, USD"),
        *KNOWN,
    ),
    ("minute", "country", "payment_method", "batch_id"),
    (),
    STREAM_PROPERTIES,
    "sums",
)
