"""Carts in memory: the events of a batch as carts of one event each, rows of `gold/carts`, and the way back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse import tables as t
from lakehouse.contracts.base import COUNTRIES
from lakehouse.live import columns as c
from lakehouse.live.base import Batch
from lakehouse.live.cart_status import STATUSES, standing
from lakehouse.live.columns import Ints, Texts
from lakehouse.live.positions import entry_columns, packed, packed_entries
from lakehouse.live.state import Columns, Layout, Lists, Rows

LAYOUT: Layout = {
    "cart_id": object,
    "user_id": object,
    "country": np.int8,  # place in COUNTRIES
    "entry": np.int64,  # position of the earliest event
    "opened_at": np.int64,
    "last_activity_at": np.int64,
    "purchased_at": np.int64,  # NEVER where it is not
    "is_open": np.bool_,
}
LISTS: dict[str, Layout] = {
    "items": {
        "product_id": object,
        "category": object,
        "quantity": np.int64,  # put in less taken out
        "price": np.int64,
        "priced_at": np.int64,
    },
    "spans": {"from_at": np.int64, "to_at": np.int64},
}
_SCHEMA = t.CARTS.schema
_COUNTRIES, _STATUSES = pa.array(COUNTRIES), pa.array(STATUSES)


def of_events(batch: Batch) -> tuple[Rows, Ints, Texts]:
    """(the batch's changes and purchases as carts of one event each, number of each one's cart, the carts' ids)."""
    changes, orders = batch.of(t.CART_EVENTS), batch.of(t.TRANSACTIONS)
    orders = orders.filter(pc.is_valid(orders["cart_id"]))
    found = [changes, orders]
    owner, names = c.coded(c.joined(*(rows["cart_id"] for rows in found)))
    at = np.concatenate([c.ints(rows["timestamp"]) for rows in found])
    is_change = np.arange(len(at)) < len(changes)
    changed_at = at[is_change]
    products = c.texts(changes["product_id"])
    is_added = pc.equal(changes["action"], "add").to_numpy()
    quantity = c.ints(changes["quantity"])
    categories = batch.catalogue.categories(products.tolist(), c.Times(changed_at))
    items: Columns = {
        "product_id": products,
        "category": c.texts(pa.array(categories, pa.string())),
        "quantity": np.where(is_added, quantity, -quantity),
        "price": c.cents(changes["price"]),
        "priced_at": changed_at,
    }
    columns: Columns = {
        "cart_id": names[owner],
        "user_id": c.texts(c.joined(*(rows["user_id"] for rows in found)), intern=False),
        "country": c.places(c.joined(*(rows["country"] for rows in found)), _COUNTRIES),
        "entry": np.concatenate([packed(rows["topic"], rows["partition"], rows["offset"]) for rows in found]),
        "opened_at": at,
        "last_activity_at": at,
        "purchased_at": np.where(is_change, c.NEVER, at),
        "is_open": np.zeros(len(at), dtype=bool),
    }
    one_each = is_change.astype(np.int64)
    spans: Columns = {"from_at": changed_at, "to_at": changed_at}
    return Rows(columns, {"items": Lists(one_each, items), "spans": Lists(one_each, spans)}), owner, names


def of_table(rows: pa.Table) -> Rows:
    """Rows of `gold/carts` as a view holds them."""
    cart, names = c.coded(rows["cart_id"])
    item_counts, items = c.list_parts(rows["items"])
    span_counts, spans = c.list_parts(rows["active_spans"])
    columns: Columns = {
        "cart_id": names[cart],
        "user_id": c.texts(rows["user_id"], intern=False),
        "country": c.places(rows["country"], _COUNTRIES),
        "entry": packed_entries(rows),
        "opened_at": c.ints(rows["opened_at"]),
        "last_activity_at": c.ints(rows["last_activity_at"]),
        "purchased_at": c.ints(pc.fill_null(rows["purchased_at"].cast(pa.int64()), c.NEVER)),
        "is_open": pc.equal(rows["status"], "open").to_numpy(),
    }
    kept: Columns = {
        "product_id": c.texts(items.field("product_id")),
        "category": c.texts(items.field("category")),
        "quantity": c.ints(items.field("quantity")),
        "price": c.cents(items.field("price")),
        "priced_at": c.ints(items.field("priced_at")),
    }
    times: Columns = {name: c.ints(spans.field(name)) for name in ("from_at", "to_at")}
    return Rows(columns, {"items": Lists(item_counts, kept), "spans": Lists(span_counts, times)})


def to_table(rows: Rows, batch: Batch, patience: int) -> pa.Table:
    """Snapshots for `gold/carts`; `patience` (µs) is the time after which a cart is abandoned."""
    items, spans = rows.lists["items"], rows.lists["spans"]
    status, abandoned_at = standing(rows, batch.watermark, patience)
    held = np.maximum(items.entries["quantity"], 0)
    values = c.capped_product(held, items.entries["price"])
    is_recovered = status == STATUSES.index("recovered")
    columns = {
        "opened_date": c.dates(rows["opened_at"]),
        "cart_id": pa.array(rows["cart_id"], pa.string()),
        "user_id": pa.array(rows["user_id"], pa.string()),
        "country": pc.take(_COUNTRIES, pa.array(rows["country"])),
        "status": pc.take(_STATUSES, pa.array(status)),
        "opened_at": c.times(rows["opened_at"]),
        "last_activity_at": c.times(rows["last_activity_at"]),
        "abandoned_at": c.times(abandoned_at),
        "purchased_at": c.times(rows["purchased_at"]),
        "recovered_at": c.times(np.where(is_recovered, rows["purchased_at"], c.NEVER)),
        "amount": c.money(c.list_sums(values, items.lengths, c.capped_sums)),
        "unit_count": c.list_sums(held, items.lengths, c.sums),
        "product_count": c.list_sums((held > 0).astype(np.int64), items.lengths, c.sums),
        "category_amounts": _by_category(items, held, values),
        "items": _structs(
            "items",
            items.lengths,
            pa.array(items.entries["product_id"], pa.string()),
            pa.array(items.entries["category"], pa.string()),
            pa.array(items.entries["quantity"]),
            c.money(items.entries["price"]),
            c.times(items.entries["priced_at"]),
        ),
        "active_spans": _structs("active_spans", spans.lengths, *(c.times(times) for times in spans.entries.values())),
        **entry_columns(rows["entry"]),
        **c.snapshot_columns(len(rows), batch.batch_id, batch.started_at),
        "is_retracted": np.zeros(len(rows), dtype=bool),
    }
    return pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _by_category(items: Lists, held: Ints, values: Ints) -> pa.Array:
    """Value and units by category of each cart, of the products that are in it."""
    inside = held > 0
    cart = items.owners()[inside]
    codes, names = c.coded_objects(items.entries["category"][inside])
    rank = c.ranks(names)[codes]
    order = np.lexsort((rank, cart))
    cart, rank = cart[order], rank[order]
    starts = c.group_starts(cart, rank)
    return _structs(
        "category_amounts",
        np.bincount(cart[starts], minlength=len(items.lengths)),
        pa.array(names[codes[order][starts]], pa.string()),
        c.money(c.capped_sums(values[inside][order], starts)),
        pa.array(c.sums(held[inside][order], starts)),
    )


def _structs(name: str, lengths: Ints, *fields: pa.Array) -> pa.Array:
    kind = _SCHEMA.field(name).type
    return c.lists(lengths, pa.StructArray.from_arrays(list(fields), fields=list(kind.value_type)), kind)
