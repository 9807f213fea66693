"""Carts by the plainest way: all events of a cart in order, looked through one by one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from session_oracle import MOST_MONEY
from shop_events import Event

from lakehouse.catalogue import Catalogue


def carts(
    events: Iterable[Event],
    watermark: datetime | None,
    catalogue: Catalogue,
    patience: timedelta = timedelta(minutes=30),
) -> list[dict[str, Any]]:
    """Rows of `gold/carts` without batch and time of knowing, by cart."""
    by_cart: dict[str, list[Event]] = {}
    for event in events:
        if event.cart is not None and event.topic != "product_views":
            by_cart.setdefault(event.cart, []).append(event)
    return [_cart(by_cart[cart], watermark, catalogue, patience) for cart in sorted(by_cart)]


def _cart(events: list[Event], watermark: datetime | None, catalogue: Catalogue, patience: timedelta) -> dict[str, Any]:
    events.sort(key=lambda e: (e.at, e.position))
    first = events[0]
    changes = [event for event in events if event.topic == "cart_events"]
    purchases = [event.at for event in events if event.topic == "transactions"]
    purchased_at = min(purchases, default=None)

    spans: list[tuple[datetime, datetime]] = []
    for change in changes:
        begin = change.at
        if spans and change.at - spans[-1][1] <= patience:
            begin = spans.pop()[0]
        spans.append((begin, change.at))

    before = [change.at for change in changes if purchased_at is None or change.at <= purchased_at]
    abandoned_at = None
    for left, back in zip(before, [*before[1:], purchased_at or watermark], strict=False):
        # a pause between two changes is certain; the last one only as far as the watermark or the purchase says
        if back is not None and back > left + patience:
            abandoned_at = left + patience
    if purchased_at is not None:
        status = "purchased" if abandoned_at is None else "recovered"
    else:
        is_left = bool(before) and watermark is not None and watermark > before[-1] + patience
        status = "abandoned" if is_left else "open"

    items = []
    for product in sorted({change.lines[0][0] for change in changes}):
        mine = [change for change in changes if change.lines[0][0] == product]
        quantity = sum(change.lines[0][1] * (1 if change.action == "add" else -1) for change in mine)
        last = max(mine, key=lambda change: (change.at, Decimal(change.lines[0][2])))
        items.append(
            {
                "product_id": product,
                "category": catalogue.categories([product], [last.at])[0],
                "quantity": quantity,
                "price": Decimal(last.lines[0][2]),
                "priced_at": last.at,
            }
        )
    inside = [item for item in items if item["quantity"] > 0]
    categories = sorted({item["category"] for item in inside})
    by_category = []
    for category in categories:
        mine_inside = [item for item in inside if item["category"] == category]
        by_category.append(
            {"category": category, "amount": _value(mine_inside), "unit_count": sum(i["quantity"] for i in mine_inside)}
        )
    return {
        "opened_date": first.at.date(),
        "cart_id": first.cart,
        "user_id": first.user,
        "country": first.country,
        "status": status,
        "opened_at": first.at,
        "last_activity_at": events[-1].at,
        "abandoned_at": abandoned_at,
        "purchased_at": purchased_at,
        "recovered_at": purchased_at if status == "recovered" else None,
        "amount": _value(inside),
        "unit_count": sum(item["quantity"] for item in inside),
        "product_count": len(inside),
        "category_amounts": by_category,
        "items": items,
        "active_spans": [{"from_at": begin, "to_at": end} for begin, end in spans],
        "entry_topic": first.topic,
        "entry_partition": first.partition,
        "entry_offset": first.offset,
    }


def _value(items: list[dict[str, Any]]) -> Decimal:
    return min(sum((item["quantity"] * item["price"] for item in items), Decimal("0.00")), MOST_MONEY)
