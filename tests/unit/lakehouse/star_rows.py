"""Rows of silver for tests of the star, as plain values: users, products, order lines, changes of stock, sessions; a rebuild's mark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakehouse.ledger import NO_BATCH, LedgerEntry
from lakehouse.tables import (
    INVENTORY_EVENTS,
    LEDGER_STREAMING,
    PRODUCTS,
    SESSIONS,
    TRANSACTION_ITEMS,
    USERS,
    Table,
)

REGISTERED = datetime(2024, 2, 29, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    """`14 09:30` or `14 23:59:59.999` as a time in March 2026 (UTC)."""
    day, clock = text.split()
    return datetime.fromisoformat(f"2026-03-{day}T{clock}+00:00")


def _event(number: int, when: datetime, kind: str) -> dict[str, Any]:
    return {
        "event_id": f"{kind}{number}",
        "event_type": kind,
        "schema_version": 1,
        "timestamp": when,
        **_arrival(number, f"{kind}s"),
        "is_late": False,
        "event_hash": number,
        "event_hash2": number,
        "body_hash": number,
    }


def _arrival(number: int, topic: str) -> dict[str, Any]:
    """What came as `number` came at that second of 1 April, in the micro-batch of that number."""
    came = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(seconds=number)
    where = {"topic": topic, "partition": 0, "offset": number}
    return {**where, "kafka_at": came, "ingested_at": came, "batch_id": number}


def user(number: int, when: str, user_id: str, country: str = "DE") -> dict[str, Any]:
    who = {"user_id": user_id, "email": f"{user_id}@example.org", "age": 40, "country": country}
    return {**_event(number, at(when), "user"), **who, "registration_date": REGISTERED, "preferences": ["Books"]}


def product(number: int, when: str, product_id: str, price: str = "2.00", inventory: int = 10) -> dict[str, Any]:
    what = {"product_id": product_id, "name": product_id.title(), "category": "Tools", "price": Decimal(price)}
    return {**_event(number, at(when), "product"), **what, "inventory": inventory, "ratings": 4.5}


def change(number: int, when: str, product_id: str, units: int, reason: str = "restock") -> dict[str, Any]:
    what = {"product_id": product_id, "change": units, "reason": reason}
    return {**_event(number, at(when), "inventory_event"), **what}


def line(number: int, when: str, user_id: str, product_id: str, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    """The only line of order `number`, at 2.00 a unit."""
    price = Decimal("2.00")
    row = {
        "transaction_id": f"t{number}",
        "line_number": 1,
        "user_id": user_id,
        "timestamp": at(when),
        "country": "DE",
        "payment_method": "paypal",
        "product_id": product_id,
        "category": "Tools",
        "quantity": quantity,
        "price": price,
        "line_amount": price * quantity,
        **_arrival(number, "transactions"),
    }
    return {**row, **changes}


def session(number: int, start: str, end: str, user_id: str, **changes: Any) -> dict[str, Any]:
    """A closed session of one view and one order of 2.00."""
    first, last = at(start), at(end)
    row = {
        "started_date": first.date(),
        "user_id": user_id,
        "started_at": first,
        "ended_at": last,
        "duration_seconds": (last - first).total_seconds(),
        "country": "DE",
        "view_count": 1,
        "cart_count": 0,
        "order_count": 1,
        "revenue": Decimal("2.00"),
        "product_count": 1,
        "product_ids": ["pen"],
        "entry_kind": "product_view",
        "entry_product_id": "pen",
        "entry_topic": "product_views",
        "entry_partition": 0,
        "entry_offset": number,
        "is_converted": True,
        "is_open": False,
        "batch_id": number,
        "known_at": at("31 00:00"),
        "is_retracted": False,
    }
    return {**row, **changes}


def swap_entry(batch_id: int) -> pa.Table:
    """The ledger's entry of a rebuild."""
    when = at("14 00:00")
    counts = {name: 0 for name in LEDGER_STREAMING.schema.names if name.endswith("_count")}
    return LedgerEntry(1, batch_id, NO_BATCH, when, when, {}, {}, {}, counts).to_rows()


def arrow(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=table.schema)


SILVER = {
    "user": USERS,
    "product": PRODUCTS,
    "change": INVENTORY_EVENTS,
    "line": TRANSACTION_ITEMS,
    "session": SESSIONS,
}
