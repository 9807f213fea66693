"""Sessions in memory: the events of a batch as sessions of one event each, rows of `gold/sessions`, and the way back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse import tables as t
from lakehouse.contracts.base import COUNTRIES
from lakehouse.live import columns as c
from lakehouse.live.base import Batch
from lakehouse.live.columns import Flags, Ints, Texts
from lakehouse.live.positions import entry_columns, kinds, packed, packed_entries
from lakehouse.live.state import Columns, Layout, Lists, Rows

COUNTS = ("cart_count", "view_count", "order_count")
_SOURCES = (t.CART_EVENTS, t.PRODUCT_VIEWS, t.TRANSACTIONS)  # in the order of COUNTS
_SCHEMA = t.SESSIONS.schema
_COUNTRIES = pa.array(COUNTRIES)

LAYOUT: Layout = {
    "user_id": object,
    "started_at": np.int64,
    "ended_at": np.int64,
    "entry": np.int64,  # position of the earliest event
    "country": np.int8,  # place in COUNTRIES
    "entry_product_id": object,
    **dict.fromkeys(COUNTS, np.int64),
    "revenue": np.int64,
    "is_open": np.bool_,
    "after": np.int64,  # for lakehouse.live.chains
}
LISTS: dict[str, Layout] = {"products": {"product_id": object}}


def of_events(batch: Batch) -> tuple[Rows, Ints, Texts]:
    """(the batch's events as sessions of one event each, number of each one's customer, the customers)."""
    found = [batch.of(table) for table in _SOURCES]
    carts, views, orders = found
    order_lengths, lines = c.list_parts(orders["products"])
    lengths = np.concatenate([np.ones(len(carts) + len(views), dtype=np.int64), order_lengths])
    products = c.texts(c.joined(carts["product_id"], views["product_id"], lines.field("product_id")))
    owner, names = c.coded(c.joined(*(rows["user_id"] for rows in found)))
    at = np.concatenate([c.ints(rows["timestamp"]) for rows in found])
    number = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    revenue = np.zeros(len(at), dtype=np.int64)
    revenue[len(at) - len(orders) :] = c.cents(orders["total_amount"])
    columns: Columns = {
        "user_id": names[owner],
        "started_at": at,
        "ended_at": at,
        "entry": np.concatenate([packed(rows["topic"], rows["partition"], rows["offset"]) for rows in found]),
        "country": c.places(c.joined(*(rows["country"] for rows in found)), _COUNTRIES),
        "entry_product_id": products[c.offsets(lengths)[:-1]],
        **{name: (number == place).astype(np.int64) for place, name in enumerate(COUNTS)},
        "revenue": revenue,
        **_bookkeeping(len(at)),
    }
    return Rows(columns, {"products": Lists(lengths, {"product_id": products})}), owner, names


def of_table(rows: pa.Table) -> Rows:
    """Rows of `gold/sessions` as a view holds them."""
    users, names = c.coded(rows["user_id"])
    lengths, products = c.list_parts(rows["product_ids"])
    columns: Columns = {
        "user_id": names[users],
        "started_at": c.ints(rows["started_at"]),
        "ended_at": c.ints(rows["ended_at"]),
        "entry": packed_entries(rows),
        "country": c.places(rows["country"], _COUNTRIES),
        "entry_product_id": c.texts(rows["entry_product_id"]),
        **{name: c.ints(rows[name]) for name in COUNTS},
        "revenue": c.cents(rows["revenue"]),
        **_bookkeeping(len(rows)),
        "is_open": rows["is_open"].to_numpy(),
    }
    return Rows(columns, {"products": Lists(lengths, {"product_id": c.texts(products)})})


def _bookkeeping(count: int) -> Columns:
    return {"is_open": np.zeros(count, dtype=bool), "after": np.full(count, -1, dtype=np.int64)}


def to_table(rows: Rows, is_retracted: Flags, batch: Batch) -> pa.Table:
    """Snapshots for `gold/sessions`."""
    products = rows.lists["products"]
    columns = {
        "started_date": c.dates(rows["started_at"]),
        "user_id": pa.array(rows["user_id"], pa.string()),
        "started_at": c.times(rows["started_at"]),
        "ended_at": c.times(rows["ended_at"]),
        "duration_seconds": (rows["ended_at"] - rows["started_at"]) / 1e6,
        "country": pc.take(_COUNTRIES, pa.array(rows["country"])),
        **{name: rows[name] for name in COUNTS},
        "revenue": c.money(rows["revenue"]),
        "product_count": products.lengths,
        "product_ids": c.lists(
            products.lengths,
            pa.array(products.entries["product_id"], pa.string()),
            _SCHEMA.field("product_ids").type,
        ),
        "entry_kind": kinds(rows["entry"]),
        "entry_product_id": pa.array(rows["entry_product_id"], pa.string()),
        **entry_columns(rows["entry"]),
        "is_converted": rows["order_count"] > 0,
        "is_open": rows["is_open"],
        **c.snapshot_columns(len(rows), batch.batch_id, batch.started_at),
        "is_retracted": is_retracted,
    }
    return pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)
