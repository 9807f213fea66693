"""Movements of stock: the product records, sales and inventory events of a batch as one list. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lakehouse.dedup import NO_POSITION, pack_position
from lakehouse.live.base import Batch
from lakehouse.tables import INVENTORY_EVENTS, PRODUCTS, TRANSACTION_ITEMS
from lakehouse.transforms.stock import Int64s, Mask

CHANGE, OPENING, SALE = range(3)
_SOURCES = ((INVENTORY_EVENTS, "change", 1), (PRODUCTS, "inventory", 1), (TRANSACTION_ITEMS, "quantity", -1))


@dataclass(frozen=True)
class Movements:
    """One element per movement. `product` is its place; `units` are signed, negative for sales; `at_us` and `kafka_us` are
    event time and Kafka time in microseconds; `position` is partition and offset packed; `kind` also says the topic.
    """

    product: Int64s
    units: Int64s
    at_us: Int64s
    kafka_us: Int64s
    position: Int64s
    kind: Int64s

    def is_a(self, kind: int) -> Mask:
        return np.equal(self.kind, kind)

    def take(self, rows: Int64s | Mask) -> Movements:
        return Movements(*(values[rows] for values in vars(self).values()))

    def of(self, places: Int64s) -> Movements:
        """The movements of products at `places` (sorted, unique), their place counted within these."""
        if not len(places):
            return self.take(np.empty(0, np.int64))
        within = np.minimum(np.searchsorted(places, self.product), len(places) - 1)
        is_there = places[within] == self.product
        return replace(self.take(is_there), product=within[is_there])

    def with_lowest_openings(self, opened: Int64s) -> Movements:
        """Without the product records that do not set the opening stock. `opened` has, by place, the position of the record
        that did so far; a lower one takes over.
        """
        records = np.flatnonzero(self.is_a(OPENING))
        records = records[np.lexsort((self.position[records], self.product[records]))]
        lowest = records[np.unique(self.product[records], return_index=True)[1]]
        known = opened[self.product[lowest]]
        counts = ~self.is_a(OPENING)
        counts[lowest[(known == NO_POSITION) | (self.position[lowest] < known)]] = True
        return self.take(counts)

    def in_order(self) -> Movements:
        """By product; within a product as they came: by Kafka's time, then topic, partition and offset."""
        return self.take(np.lexsort((self.position, self.kind, self.kafka_us, self.product)))


def movements_of(batch: Batch, place: Callable[[pa.ChunkedArray], Int64s]) -> Movements:
    """All movements of a batch, product records that will not count included; `place` gives the places of product ids."""
    tables = [(kind, batch.of(table), units, sign) for kind, (table, units, sign) in enumerate(_SOURCES)]
    product = place(
        pa.chunked_array([chunk for _, rows, *_ in tables for chunk in rows["product_id"].chunks], pa.string())
    )
    columns = [
        (
            sign * rows[units].to_numpy().astype(np.int64),
            rows["timestamp"].cast(pa.int64()).to_numpy(),
            rows["kafka_at"].cast(pa.int64()).to_numpy(),
            pack_position(0, rows["partition"].to_numpy(), rows["offset"].to_numpy()),
            np.full(len(rows), kind, np.int64),
        )
        for kind, rows, units, sign in tables
    ]
    return Movements(product, *(np.concatenate(parts) for parts in zip(*columns, strict=True)))
