"""Orders for tests of RFM by increment: as rows of silver/transactions, and what Polars makes of them in full."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa

from infra.bench.warehouse_peer import rfm
from lakehouse.tables import TRANSACTIONS

Order = tuple[int, str, str, str]  # micro-batch, customer, moment (UTC), USD
USED = ("batch_id", "user_id", "timestamp", "total_amount")


def silver(orders: list[Order]) -> pa.Table:
    """Rows with all columns that are declared; those that RFM does not read hold what their type allows."""
    count = len(orders)
    batches, users, moments, amounts = zip(*orders, strict=True) if orders else ((), (), (), ())
    values: dict[str, list[Any]] = {
        "batch_id": list(batches),
        "user_id": list(users),
        "timestamp": [datetime.fromisoformat(f"{moment}+00:00") for moment in moments],
        "total_amount": [Decimal(amount) for amount in amounts],
        "products": [[]] * count,
    }
    for name in ("kafka_at", "ingested_at"):
        values[name] = values["timestamp"]
    filled = {pa.string(): "x", pa.bool_(): False, pa.int32(): 1, pa.int64(): 1}
    schema = TRANSACTIONS.schema
    return pa.table(
        [pa.array(values.get(f.name) or [filled.get(f.type)] * count, f.type) for f in schema], schema=schema
    )


def in_full(orders: list[Order], day: date) -> list[tuple[Any, ...]]:
    """The rows of `gold/customer_rfm` by customer, all orders counted anew, by Polars."""
    frame = pl.from_arrow(silver(orders).select(list(USED)))
    assert isinstance(frame, pl.DataFrame)
    return sorted(rfm(frame.lazy(), day).rows())
