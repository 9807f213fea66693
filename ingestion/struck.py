"""The record that a fault strikes, and how its body is changed within the contract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import orjson

from ingestion.events import CART_EVENT, INVENTORY_EVENT, PRODUCT_VIEW, TRANSACTION, USER
from ingestion.labels import Label
from ingestion.records import EVENT_ID_PLACE, Records
from ingestion.violations import Document


@dataclass
class Struck:
    """One ordinary record that a fault strikes."""

    records: Records
    place: int
    arrival_ms: int

    @property
    def kind(self) -> int:
        return self.records.kinds[self.place]

    @property
    def value(self) -> bytes:
        value = self.records.values[self.place]
        assert value is not None  # noqa: S101  an ordinary record has a value
        return value

    @value.setter
    def value(self, value: bytes) -> None:
        self.records.values[self.place] = value

    @property
    def event_id(self) -> str:
        return self.value[EVENT_ID_PLACE].decode()

    @property
    def at_ms(self) -> int:
        return int(np.datetime64(str(self.document()["timestamp"])[:-1], "ms").astype(np.int64))

    def document(self) -> Document:
        document: Document = orjson.loads(self.value)
        return document

    def original(self) -> Label:
        return Label(None, "silver", (), self.event_id, None, self.at_ms)


def change_body(kind: int, document: Document) -> None:
    """Another body for the same id, still within the contract."""
    if kind == TRANSACTION:
        document["payment_method"] = "paypal" if document["payment_method"] != "paypal" else "gift_card"
    elif kind == PRODUCT_VIEW:
        document["device"] = "tablet" if document["device"] != "tablet" else "mobile"
    elif kind == CART_EVENT:
        document["quantity"] += 1
    elif kind == INVENTORY_EVENT:
        document["change"] += 1
    elif kind == USER:
        document["age"] += 1
    else:
        document["inventory"] += 1
