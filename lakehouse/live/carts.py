"""Carts as they happen: what is in each, what it is worth, and whether it was bought or left. `cart_status` says what a status means.

A cart is all cart events and transactions with its `cart_id`. What is in it is, by product, units put in less units taken
out, never less than none, at the price and in the category of the product's latest change there: so the order of arrival does not matter.
A cart gets a snapshot with each batch that brings an event of it, and when it is abandoned.

In memory are the open carts and those with an event within GLOBALMART_LIVE_HORIZON_HOURS behind the watermark, fewer where
there are more than GLOBALMART_LIVE_STATE_LIMIT; of all others 16 bytes that say on which day to look it up in the lake.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.live import cart_rows
from lakehouse.live import columns as c
from lakehouse.live.base import Batch, Lake, Output, newest
from lakehouse.live.cart_status import STATUSES, standing
from lakehouse.live.columns import Flags, Ints, Texts
from lakehouse.live.day_index import DayIndex
from lakehouse.live.horizon import Horizon
from lakehouse.live.state import Lists, Rows, Slots
from lakehouse.settings import Settings
from lakehouse.tables import CARTS, Table

_MINUTE = 60_000_000
_UNKNOWN = -1


def join(pieces: Rows, owner: Ints, patience: int) -> Rows:
    """One cart for each number in `owner`, out of pieces, which are carts and events; of equals later pieces count."""
    order = np.lexsort((pieces["entry"], pieces["opened_at"], owner))
    starts = c.group_starts(owner[order])
    columns = {name: values[order[starts]] for name, values in pieces.columns.items()}
    if len(starts):
        columns["last_activity_at"] = np.maximum.reduceat(pieces["last_activity_at"][order], starts)
        columns["purchased_at"] = np.minimum.reduceat(pieces["purchased_at"][order], starts)
    items = _joined_items(pieces.lists["items"], owner, len(starts))
    return Rows(columns, {"items": items, "spans": _joined_spans(pieces.lists["spans"], owner, len(starts), patience)})


def _joined_items(items: Lists, owner: Ints, count: int) -> Lists:
    """Units summed by cart and product; price and category as of the latest change, of several at a time the highest price."""
    cart, entries = np.repeat(owner, items.lengths), items.entries
    codes, names = c.coded_objects(entries["product_id"])
    product = c.ranks(names)[codes]
    order = np.lexsort((entries["price"], entries["priced_at"], product, cart))
    starts = c.group_starts(cart[order], product[order])
    last = order[np.append(starts[1:], len(order))[: len(starts)] - 1]
    joined = {name: values[last] for name, values in entries.items()}
    joined["quantity"] = c.sums(entries["quantity"][order], starts)
    return Lists(np.bincount(cart[last], minlength=count), joined)


def _joined_spans(spans: Lists, owner: Ints, count: int, patience: int) -> Lists:
    """Spans of changes, joined where no more than `patience` lies between two."""
    cart = np.repeat(owner, spans.lengths)
    order = np.lexsort((spans.entries["from_at"], cart))
    cart, begin, end = cart[order], spans.entries["from_at"][order], spans.entries["to_at"][order]
    starts = np.flatnonzero(c.run_begins(cart, begin, end, patience))
    ends = np.maximum.reduceat(end, starts) if len(starts) else end
    return Lists(np.bincount(cart[starts], minlength=count), {"from_at": begin[starts], "to_at": ends})


class CartsView:
    """Keeps `gold/carts`: a snapshot of each cart that a batch changed or that was abandoned meanwhile."""

    tables: tuple[Table, ...] = (CARTS,)

    def __init__(self, settings: Settings) -> None:
        self._patience = int(settings.cart_abandon_minutes * _MINUTE)
        self._settings = settings
        self._clear()

    def _clear(self) -> None:
        self._slots = Slots(cart_rows.LAYOUT, cart_rows.LISTS)
        self._by_id: dict[str, int] = {}
        self._elsewhere = DayIndex()
        self._horizon = Horizon(self._settings, self._patience)

    def __len__(self) -> int:
        """Carts in memory."""
        return len(self._slots)

    def load(self, lake: Lake) -> None:
        self._clear()
        self._lake = lake
        self._horizon.follow(lake.watermark)
        ended = lake.read(CARTS, ["last_activity_at"], *self._horizon.since_floor("last_activity_at"))[
            "last_activity_at"
        ]
        self._horizon.make_room(c.ints(ended), lake.watermark)
        recent, files = self._horizon.since_floor("last_activity_at")
        held = cart_rows.of_table(newest(lake.read(CARTS, CARTS.schema.names, recent, files), CARTS))
        self._by_id = dict(zip(held["cart_id"].tolist(), self._slots.add(held).tolist(), strict=True))
        older = lake.read(CARTS, ["cart_id", "opened_date"], ~recent)
        self._elsewhere.add(older["cart_id"].to_pylist(), c.ints(older["opened_date"].cast(pa.int32())))

    def apply(self, batch: Batch) -> Output:
        events, owner, names = cart_rows.of_events(batch)
        slots = np.fromiter((self._by_id.get(name, _UNKNOWN) for name in names), dtype=np.int64, count=len(names))
        known = np.flatnonzero(slots != _UNKNOWN)
        held = self._slots.take(slots[known])
        names[known] = held["cart_id"]  # one object for each id, however many batches bring it
        events.columns["cart_id"] = names[owner]
        recalled, recalled_owner = self._recall(names, np.flatnonzero(slots == _UNKNOWN), batch.batch_id)
        pieces = Rows.concat([held, recalled, events])
        changed = join(pieces, np.concatenate([known, recalled_owner, owner]), self._patience)
        changed.columns["is_open"] = self._is_open(changed, batch)
        self._slots.remove(slots[known])
        self._by_id |= zip(names.tolist(), self._slots.add(changed).tolist(), strict=True)

        rows = Rows.concat([changed, self._abandon(batch)])
        self._horizon.follow(batch.watermark)
        self._let_go(self._horizon.leaving(self._slots, "last_activity_at", len(changed)))
        return Output({CARTS.path: cart_rows.to_table(rows, batch, self._patience)})

    def _recall(self, names: Texts, unknown: Ints, batch_id: int) -> tuple[Rows, Ints]:
        """(carts that only the lake has, their places in `names`), of those at `unknown`."""
        place, days = self._elsewhere.find(names[unknown].tolist())
        rows = CARTS.schema.empty_table()
        if len(place):
            ids = names[unknown[c.distinct(place)]]
            dates = pa.array(c.distinct(days).astype(np.int32)).cast(pa.date32())
            wanted = pc.field("opened_date").isin(dates) & pc.field("cart_id").isin(pa.array(ids, pa.string()))
            rows = self._lake.so_far(CARTS, batch_id, wanted, [("opened_date", "in", dates.to_pylist())])
        found = cart_rows.of_table(rows)
        places = dict(zip(names[unknown].tolist(), unknown.tolist(), strict=True))
        return found, np.array([places[cart_id] for cart_id in found["cart_id"]], dtype=np.int64)

    def _is_open(self, rows: Rows, batch: Batch) -> Flags:
        status, _ = standing(rows, batch.watermark, self._patience)
        return np.asarray(status == STATUSES.index("open"))

    def _abandon(self, batch: Batch) -> Rows:
        """The open carts that the watermark has left behind; they are open no more."""
        slots = np.flatnonzero(self._slots.column("is_open") & self._slots.held())
        if batch.watermark is not None:
            before = c.micros_of(batch.watermark) - self._patience
            slots = slots[self._slots.column("last_activity_at")[slots] < before]
        else:
            slots = slots[:0]
        self._slots.column("is_open")[slots] = False
        return self._slots.take(slots)

    def _let_go(self, slots: Ints) -> None:
        gone = self._slots.column("cart_id")[slots].tolist()
        self._elsewhere.add(gone, self._slots.column("opened_at")[slots] // c.DAY)
        self._slots.remove(slots)
        for cart_id in gone:
            del self._by_id[cart_id]
