"""Sales: order lines with their category, and the partial sums by minute. Pure, Arrow to Arrow.

Definitions, used by every reader: revenue of a line is quantity x price; revenue of an order is its `total_amount`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.catalogue import Catalogue
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.tables import MONEY

_CARRIED = (
    "transaction_id",
    "user_id",
    "timestamp",
    "country",
    "payment_method",
    "topic",
    "partition",
    "offset",
    "kafka_at",
    "ingested_at",
    "batch_id",
)


def order_lines(transactions: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Rows of `silver/transactions` to rows of `silver/transaction_items`: one per line, numbered from 1."""
    products = transactions["products"].combine_chunks()
    parents = pc.list_parent_indices(products)
    lines = pc.list_flatten(products)
    starts = products.offsets.slice(0, len(products))
    first = pc.subtract(starts, starts[0]) if len(products) else starts
    numbers = pc.add(pc.subtract(pa.array(range(len(lines)), pa.int32()), pc.take(first, parents)), 1)
    carried = transactions.select(_CARRIED).take(parents)
    product_id, quantity, price = (lines.field(name) for name in ("product_id", "quantity", "price"))
    categories = catalogue.categories(product_id.to_pylist(), carried["timestamp"].to_pylist() if len(lines) else [])
    amount = pc.multiply(price, quantity.cast(pa.decimal128(10, 0))).cast(MONEY)
    return (
        carried.append_column("line_number", numbers.cast(pa.int32()))
        .append_column("product_id", product_id)
        .append_column("category", pa.array(categories, pa.string()))
        .append_column("quantity", quantity)
        .append_column("price", price)
        .append_column("line_amount", amount)
    )


def sales_by_minute(items: pa.Table) -> pa.Table:
    """Order lines to partial sums by minute, country and category (no `batch_id`, no `known_at`)."""
    measures = {
        "unit_count": items["quantity"].cast(pa.int64()),
        "line_count": np.ones(len(items), np.int64),
        "revenue": items["line_amount"],
    }
    return _summed(items, ["country", "category"], measures)


def orders_by_minute(transactions: pa.Table) -> pa.Table:
    """Transactions to partial sums by minute, country and payment method (no `batch_id`, no `known_at`)."""
    measures = {"order_count": np.ones(len(transactions), np.int64), "revenue": transactions["total_amount"]}
    return _summed(transactions, ["country", "payment_method"], measures)


def _summed(rows: pa.Table, names: list[str], measures: dict[str, Any]) -> pa.Table:
    """`measures` summed by minute and the columns `names`; each row a sum of its own where the sums are no longer money."""
    minute = pc.floor_temporal(rows["timestamp"], unit="minute")
    parts = pa.table({"minute": minute, **{name: rows[name] for name in names}, **measures})
    keys = ["minute", *names]
    grouped = parts.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in measures])
    sums = grouped.rename_columns([*keys, *measures])
    highest = pc.max(sums["revenue"]).as_py()
    return sums if highest is None or highest <= MONEY_MAX else parts
