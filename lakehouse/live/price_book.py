"""Prices through time: what the catalogue said of a product at an event's time, and the median price of each category now."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.tables import MONEY


class Listing(NamedTuple):
    """One record of a product. Of two with the same time the later offset holds: a product keeps to one partition."""

    at: datetime
    offset: int
    cents: int
    category: str


class PriceBook:
    """Adding the same records again changes nothing; the order of adding does not matter."""

    def __init__(self) -> None:
        self._first: dict[str, Listing] = {}
        self._history: dict[str, list[Listing]] = {}
        self._by_category: dict[str, dict[str, int]] = {}
        self._medians: dict[str, int] = {}

    def add(self, products: pa.Table) -> None:
        """Rows of `silver/products`: `product_id`, `timestamp`, `offset`, `price`, `category`."""
        columns = (products["timestamp"], products["offset"], cents(products["price"]), products["category"])
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        for product_id, listing in zip(products["product_id"].to_pylist(), map(Listing._make, rows), strict=True):
            first = self._first.setdefault(product_id, listing)
            if first is listing:
                self._list(product_id, listing, None)
            elif first != listing:
                history = self._history.setdefault(product_id, [first])
                if listing not in history:
                    newest = history[-1]
                    insort(history, listing)
                    self._list(product_id, history[-1], newest)

    def listing(self, product_id: str, at: datetime) -> Listing | None:
        """What was said last up to `at`; before the first record, the first; None for an unknown product."""
        history = self._history.get(product_id)
        if history is None:
            return self._first.get(product_id)
        return history[max(bisect_right(history, at, key=lambda listing: listing.at) - 1, 0)]

    def usual_cents(self, category: str) -> int | None:
        """Lower median of the category's prices now, in cents."""
        median = self._medians.get(category)
        prices = self._by_category.get(category)
        if median is None and prices:
            median = self._medians[category] = lower_median(prices.values())
        return median

    def _list(self, product_id: str, new: Listing, old: Listing | None) -> None:
        """Count the product in its category as it is now."""
        if old is not None and old.category != new.category:
            self._by_category[old.category].pop(product_id, None)
            self._medians.pop(old.category, None)
        self._by_category.setdefault(new.category, {})[product_id] = new.cents
        self._medians.pop(new.category, None)


def lower_median(values: Iterable[int]) -> int:
    """The middle of `values`, of two the lower one. There must be one."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def cents(money: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """decimal(18,2) in USD to whole cents."""
    return pc.multiply(money, pa.scalar(Decimal(100))).cast(pa.int64())


def dollars(amount: int) -> str:
    """Cents, none below zero, as decimal text with two places: 1999 is `19.99`."""
    return f"{amount // 100}.{amount % 100:02d}"


def current_listings(products: pa.Table) -> pa.Table:
    """Rows of `silver/products` (with `name`) to the catalogue as it is now, one row a product.

    Columns `product_id`, `name`, `category`, `price`, `usual_price` (lower median of the category), money decimal(18,2).
    """
    ordered = products.sort_by([("timestamp", "ascending"), ("offset", "ascending")])
    numbered = ordered.append_column("_row", pa.array(range(len(ordered)), pa.int64()))
    newest = numbered.group_by("product_id", use_threads=False).aggregate([("_row", "max")])
    now = ordered.take(newest["_row_max"])
    prices: dict[str, list[int]] = {}
    categories = now["category"].to_pylist()
    for category, price in zip(categories, cents(now["price"]).to_pylist(), strict=True):
        prices.setdefault(category, []).append(price)
    medians = {category: lower_median(values) for category, values in prices.items()}
    usual = pa.array([medians[category] for category in categories], pa.int64())
    usual_price = pc.multiply(usual.cast(pa.decimal128(19, 0)), pa.scalar(Decimal("0.01"))).cast(MONEY)
    return now.select(["product_id", "name", "category", "price"]).append_column("usual_price", usual_price)
