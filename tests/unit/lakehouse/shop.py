"""Orders, views and products for tests of detectors: rows of silver with only the columns that these read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakehouse.catalogue import Catalogue
from lakehouse.live.base import Batch
from lakehouse.tables import PRODUCT_VIEWS, PRODUCTS, TRANSACTIONS, Table

NOON = datetime(2026, 5, 29, 12, tzinfo=UTC)
SHELF = {"drill": ("Tools", "20.00"), "saw": ("Tools", "20.00"), "pen": ("Stationery", "2.00")}


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def order(
    number: int, seconds: float = 0.0, *lines: tuple[str, int] | tuple[str, int, str], **changes: Any
) -> dict[str, Any]:
    """An order of (product, units) at the shelf's price, or (product, units, price); one drill where no line is given."""
    products = [
        {"product_id": line[0], "quantity": line[1], "price": Decimal(line[2] if len(line) > 2 else SHELF[line[0]][1])}
        for line in lines or (("drill", 1),)
    ]
    return {
        "event_id": f"o{number}",
        "user_id": "ada",
        "country": "DE",
        "timestamp": after(seconds),
        "products": products,
        "total_amount": sum((line["price"] * line["quantity"] for line in products), Decimal(0)),
        "payment_method": "credit_card",
        "topic": "transactions",
        "partition": 0,
        "offset": number,
        "event_hash": number,
        "ingested_at": after(seconds),
        "batch_id": 1,
        **changes,
    }


def view(number: int, seconds: float = 0.0, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"v{number}",
        "user_id": "ada",
        "session_id": "s1",
        "country": "DE",
        "timestamp": after(seconds),
        **changes,
    }


def products() -> list[dict[str, Any]]:
    return [
        {
            "product_id": name,
            "category": category,
            "price": Decimal(price),
            "timestamp": after(-86_400),
            "offset": number,
        }
        for number, (name, (category, price)) in enumerate(SHELF.items())
    ]


def rows(table: Table, records: list[dict[str, Any]], *columns: str) -> pa.Table:
    """Records as rows of `table`, only their own columns."""
    names = columns or tuple(records[0])
    return pa.Table.from_pylist(records, schema=pa.schema([table.schema.field(name) for name in names]))


def batch(
    number: int,
    orders: list[dict[str, Any]] = (),  # type: ignore[assignment]
    views: list[dict[str, Any]] = (),  # type: ignore[assignment]
    seconds: float = 0.0,
    with_products: bool = False,
    watermark: float | None = None,
) -> Batch:
    """A micro-batch that begins `seconds` after noon."""
    made = {
        TRANSACTIONS.path: rows(TRANSACTIONS, list(orders), *order(0)),
        PRODUCT_VIEWS.path: rows(PRODUCT_VIEWS, list(views), *view(0)),
    }
    if with_products:
        made[PRODUCTS.path] = rows(PRODUCTS, products())
    return Batch(number, after(seconds), made, None if watermark is None else after(watermark), Catalogue())
