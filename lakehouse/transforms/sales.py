"""Sales: order lines with their category, and the partial sums by minute. Pure, Arrow to Arrow.

Definitions, used by every reader: revenue of a line is quantity x price; revenue of an order is its `total_amount`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.catalogue import Catalogue
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
    grouped = _with_minute(items).group_by(["minute", "country", "category"], use_threads=False)
    sums = grouped.aggregate([("quantity", "sum"), ("quantity", "count"), ("line_amount", "sum")])
    return _named(sums, {"quantity_sum": "unit_count", "quantity_count": "line_count", "line_amount_sum": "revenue"})


def orders_by_minute(transactions: pa.Table) -> pa.Table:
    """Transactions to partial sums by minute, country and payment method (no `batch_id`, no `known_at`)."""
    grouped = _with_minute(transactions).group_by(["minute", "country", "payment_method"], use_threads=False)
    sums = grouped.aggregate([("transaction_id", "count"), ("total_amount", "sum")])
    return _named(sums, {"transaction_id_count": "order_count", "total_amount_sum": "revenue"})


def _with_minute(rows: pa.Table) -> pa.Table:
    return rows.append_column("minute", pc.floor_temporal(rows["timestamp"], unit="minute"))


def _named(table: pa.Table, names: dict[str, str]) -> pa.Table:
    renamed = table.rename_columns([names.get(name, name) for name in table.column_names])
    position = renamed.column_names.index("revenue")
    return renamed.set_column(position, "revenue", renamed["revenue"].cast(MONEY))
