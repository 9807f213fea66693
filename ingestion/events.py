"""The generator's events in columns, before they become records: which columns there are, joining, picking and ordering them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ingestion.hashing import Ints

# Kind of event: index into ingestion.topics.INPUT_NAMES.
TRANSACTION, PRODUCT_VIEW, CART_EVENT, INVENTORY_EVENT, USER, PRODUCT = range(6)

MAX_LINES = 6
NO_CART = -1
ACTIONS = ("add", "remove")
REASONS = ("restock", "correction", "return")


@dataclass
class Events:
    """Columns of equal length, one row an event. Columns that a kind has no use for hold zero.

    at, arrival: ms since 1970 (UTC), event time and place in the order of sending. number: counts the events of its kind
    within the run. cart: number of the cart, NO_CART without one. country: of the visit. quantity: units, or the signed
    change of stock. code: index of the device, action, reason or payment method. lines_*: shape (events, MAX_LINES),
    orders only, quantity 0 where there is no line.
    """

    at: Ints
    arrival: Ints
    kind: Ints
    number: Ints
    user: Ints
    session: Ints
    cart: Ints
    country: Ints
    product: Ints
    quantity: Ints
    code: Ints
    lines_product: npt.NDArray[np.int32]
    lines_quantity: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.at)

    def pick(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Events:
        return Events(*(getattr(self, field.name)[index] for field in fields(self)))

    def ordered(self) -> Events:
        """In order of arrival; equal ones stay as they are, which puts a registration before what follows it."""
        return self.pick(np.argsort(self.arrival, kind="stable"))


def make(kind: int, at: Ints, **columns: npt.NDArray[np.int64]) -> Events:
    """Events of one kind; columns not given are zero (cart: NO_CART), arrival is the event time."""
    size = len(at)
    values: dict[str, Any] = {"at": at, "arrival": at, "kind": np.full(size, kind), **columns}
    values.setdefault("cart", np.full(size, NO_CART))
    for field in fields(Events):
        shape = (size, MAX_LINES) if field.name.startswith("lines") else size
        values.setdefault(field.name, np.zeros(shape, dtype=np.int64))
    return Events(
        **{name: value.astype(np.int32 if name.startswith("lines") else np.int64) for name, value in values.items()}
    )


def join(parts: Sequence[Events]) -> Events:
    if not parts:
        return make(PRODUCT_VIEW, np.empty(0, dtype=np.int64))
    return Events(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events)))
