"""Sales: order lines with their category, and the partial sums by minute. Pure, Arrow to Arrow.

Definitions, used by every reader: revenue of a line is quantity x price; revenue of an order is its `total_amount`.
"""

from __future__ import annotations

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
    lines = _with_minute(items)
    grouped = lines.group_by(["minute", "country", "category"], use_threads=False)
    sums = grouped.aggregate([("quantity", "sum"), ("quantity", "count"), ("line_amount", "sum")])
    sums = sums.rename_columns(["minute", "country", "category", "unit_count", "line_count", "revenue"])
    if _fits(sums):
        return sums
    ones = pa.array(np.ones(len(lines), np.int64))
    return pa.table(
        {
            **{name: lines[name] for name in ("minute", "country", "category")},
            "unit_count": lines["quantity"].cast(pa.int64()),
            "line_count": ones,
            "revenue": lines["line_amount"],
        }
    )


def orders_by_minute(transactions: pa.Table) -> pa.Table:
    """Transactions to partial sums by minute, country and payment method (no `batch_id`, no `known_at`)."""
    orders = _with_minute(transactions)
    grouped = orders.group_by(["minute", "country", "payment_method"], use_threads=False)
    sums = grouped.aggregate([("transaction_id", "count"), ("total_amount", "sum")])
    sums = sums.rename_columns(["minute", "country", "payment_method", "order_count", "revenue"])
    if _fits(sums):
        return sums
    ones = pa.array(np.ones(len(orders), np.int64))
    keys = {name: orders[name] for name in ("minute", "country", "payment_method")}
    return pa.table({**keys, "order_count": ones, "revenue": orders["total_amount"]})


def _with_minute(rows: pa.Table) -> pa.Table:
    return rows.append_column("minute", pc.floor_temporal(rows["timestamp"], unit="minute"))


def _fits(sums: pa.Table) -> bool:
    """Whether all sums are still money. Where orders of absurd amounts add up beyond it, each is a partial sum of its own."""
    highest = pc.max(sums["revenue"]).as_py()
    return highest is None or highest <= MONEY_MAX
