"""Sessions by the plainest way: all events of a customer in order, cut where the pause is longer than the gap."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from shop_events import KINDS, Event

MOST_MONEY = Decimal("9999999999999999.99")


def sessions(
    events: Iterable[Event], watermark: datetime | None, gap: timedelta = timedelta(minutes=30)
) -> list[dict[str, Any]]:
    """Rows of `gold/sessions` without batch and time of knowing, by customer and start."""
    by_user: dict[str, list[Event]] = {}
    for event in events:
        by_user.setdefault(event.user, []).append(event)
    rows = []
    for _, mine in sorted(by_user.items()):
        mine.sort(key=lambda e: (e.at, e.position))
        cuts = [0, *(n for n, (a, b) in enumerate(pairwise(mine), start=1) if b.at - a.at > gap), len(mine)]
        rows += [_session(mine[a:b], watermark, gap) for a, b in pairwise(cuts)]
    return rows


def _session(events: list[Event], watermark: datetime | None, gap: timedelta) -> dict[str, Any]:
    first, last = events[0], events[-1]
    topics = [event.topic for event in events]
    products = sorted({product for event in events for product, *_ in event.lines})
    return {
        "started_date": first.at.date(),
        "user_id": first.user,
        "started_at": first.at,
        "ended_at": last.at,
        "duration_seconds": (last.at - first.at).total_seconds(),
        "country": first.country,
        "view_count": topics.count("product_views"),
        "cart_count": topics.count("cart_events"),
        "order_count": topics.count("transactions"),
        "revenue": min(sum((e.total for e in events if e.topic == "transactions"), Decimal("0.00")), MOST_MONEY),
        "product_count": min(len(products), 1000),
        "product_ids": products[:1000],
        "entry_kind": KINDS[first.topic],
        "entry_product_id": first.lines[0][0],
        "entry_topic": first.topic,
        "entry_partition": first.partition,
        "entry_offset": first.offset,
        "is_converted": "transactions" in topics,
        "is_open": watermark is None or watermark <= last.at + gap,
    }
