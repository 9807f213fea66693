"""Records of a run as rows of silver, without Kafka and Spark: for scoring detectors against what the run knows of itself.

For good records that are the first of their kind, and only the columns that detectors read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ingestion.hashing import key64
from ingestion.vocabulary import CATEGORIES
from ingestion.world import PRODUCT_COUNT, World, product_ids
from lakehouse.tables import MONEY, PRODUCT_VIEWS, PRODUCTS, TIME, TRANSACTIONS, Table

_VISIT = ("event_id", "user_id", "session_id", "country", "timestamp")
_ORDER = (*_VISIT, "products", "total_amount", "payment_method", "topic", "partition", "offset", "event_hash")


def orders(values: list[bytes]) -> pa.Table:
    """Rows of `silver/transactions`, in this order; offsets count from 0."""
    documents = [orjson.loads(value) for value in values]
    lines = [line for document in documents for line in document["products"]]
    ends = np.cumsum([0, *(len(document["products"]) for document in documents)])
    products = pa.StructArray.from_arrays(
        [
            pa.array([line["product_id"] for line in lines], pa.string()),
            pa.array([line["quantity"] for line in lines], pa.int32()),
            _money([line["price"] for line in lines]),
        ],
        fields=list(TRANSACTIONS.schema.field("products").type.value_type),
    )
    columns = _visit(documents) | {
        "products": pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()), products, type=TRANSACTIONS.schema.field("products").type
        ),
        "total_amount": _money([document["total_amount"] for document in documents]),
        "payment_method": pa.array([document["payment_method"] for document in documents], pa.string()),
        "topic": pa.array(["transactions"] * len(documents), pa.string()),
        "partition": pa.array(np.zeros(len(documents)), pa.int32()),
        "offset": pa.array(np.arange(len(documents)), pa.int64()),
        "event_hash": pa.array([key64(document["event_id"]) >> 1 for document in documents], pa.int64()),
    }
    return _rows(TRANSACTIONS, columns, _ORDER)


def views(values: list[bytes]) -> pa.Table:
    """Rows of `silver/product_views`, in this order."""
    return _rows(PRODUCT_VIEWS, _visit([orjson.loads(value) for value in values]), _VISIT)


def catalogue(world: World, at_ms: int) -> pa.Table:
    """Rows of `silver/products`: the whole catalogue, said at `at_ms`."""
    products = np.arange(PRODUCT_COUNT)
    names = np.array([name for name, _ in CATEGORIES], dtype=object)
    columns = {
        "product_id": pa.array(product_ids(products), pa.string()),
        "category": pa.array(names[world.product_category(products)], pa.string()),
        "price": _money((world.product_cents(products) / 100).tolist()),
        "timestamp": pa.array(np.full(len(products), at_ms * 1000), TIME),
        "offset": pa.array(products, pa.int64()),
    }
    return _rows(PRODUCTS, columns, tuple(columns))


def _visit(documents: list[dict[str, Any]]) -> dict[str, pa.Array]:
    columns = {
        name: pa.array([document[name] for document in documents], pa.string())
        for name in _VISIT
        if name != "timestamp"
    }
    return columns | {"timestamp": pa.array([document["timestamp"] for document in documents], pa.string()).cast(TIME)}


def _money(amounts: list[float]) -> pa.Array:
    """Amounts that have two decimals, exactly."""
    cents = np.round(np.array(amounts, dtype=np.float64) * 100).astype(np.int64)
    halves = np.stack([cents, cents >> 63], axis=1)  # a decimal is its unscaled number in 128 bits
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(np.ascontiguousarray(halves))])


def _rows(table: Table, columns: dict[str, pa.Array], names: tuple[str, ...]) -> pa.Table:
    return pa.table([columns[name] for name in names], schema=pa.schema([table.schema.field(name) for name in names]))
