"""A small lake as the stream would leave it, for tests of batch runs: some orders a day, and a ledger that says how far it is."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from ledger_rows import append, commit, entry

from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING, PRODUCTS, TABLES, TRANSACTION_ITEMS, TRANSACTIONS, USERS, Table

PRICE = Decimal("19.99")
_CUSTOMERS = ("alice", "bob", "carol")


def row(table: Table, at: datetime, **values: Any) -> dict[str, Any]:
    """A row of `table`: `values`, and of each other column that is never null something of its type."""
    return {
        column.name: values.get(column.name, None if column.nullable else _some(column.type, at))
        for column in table.columns
    }


def _some(kind: pa.DataType, at: datetime) -> Any:
    if pa.types.is_timestamp(kind):
        return at
    if pa.types.is_date(kind):
        return at.date()
    if pa.types.is_string(kind):
        return "x"
    if pa.types.is_boolean(kind):
        return False
    if pa.types.is_list(kind):
        return []
    return Decimal(0) if pa.types.is_decimal(kind) else 0


def _known(event_type: str, number: int) -> dict[str, Any]:
    return {"event_id": f"{event_type}-{number}", "event_type": event_type, "schema_version": 1}


def fill(settings: Settings, first: date, days: int, empty: date | None = None) -> None:
    """All streaming tables; each day but `empty` has an order of each of three customers, customer n at n o'clock, one line of n units."""
    began = datetime.combine(first, time(), UTC) - timedelta(days=1)
    rows: dict[str, list[dict[str, Any]]] = {
        USERS.path: [
            row(USERS, began, **_known("user", n), user_id=name, offset=n, country="DE")
            for n, name in enumerate(_CUSTOMERS)
        ],
        PRODUCTS.path: [
            row(
                PRODUCTS,
                began,
                **_known("product", 0),
                product_id="p1",
                category="books",
                price=PRICE,
                inventory=1_000_000,
            )
        ],
        TRANSACTIONS.path: [],
        TRANSACTION_ITEMS.path: [],
    }
    number = 0
    for day in (first + timedelta(days=n) for n in range(days)):
        for hour, name in enumerate(_CUSTOMERS if day != empty else (), start=1):
            number += 1
            at = datetime.combine(day, time(hour), UTC)
            order = {
                "transaction_id": f"t{number}", "event_id": f"e{number}", "event_type": "transaction", "schema_version": 1,
                "topic": "transactions", "offset": number, "user_id": name, "country": "DE", "payment_method": "paypal",
                "session_id": f"s{number}",
            }  # fmt: skip
            line = {"product_id": "p1", "quantity": hour, "price": PRICE}
            total = PRICE * hour
            rows[TRANSACTIONS.path].append(row(TRANSACTIONS, at, **order, products=[line], total_amount=total))
            rows[TRANSACTION_ITEMS.path].append(
                row(TRANSACTION_ITEMS, at, **order, **line, line_number=1, category="books", line_amount=total)
            )
    for table in TABLES:
        if table.owner == "streaming" and table is not LEDGER_STREAMING:
            append(settings, table, rows.get(table.path, []))


def reach(settings: Settings, watermark: str, batch_id: int = 1) -> None:
    """A ledger entry: the watermark is there, and the tables are as they are now."""
    tables = [table for table in TABLES if table.owner == "streaming" and table is not LEDGER_STREAMING]
    commit(settings, entry(batch_id, watermark, {t.path: int(open_table(settings, t).version()) for t in tables}))


def content(settings: Settings, table: Table) -> list[tuple[Any, ...]]:
    """All rows, sorted."""
    rows = open_table(settings, table).to_pyarrow_table(columns=table.schema.names).to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=repr)
