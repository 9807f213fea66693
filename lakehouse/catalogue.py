"""The catalogue as the stream knows it: each product's category through time, a cache of `silver/products`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime

UNKNOWN_CATEGORY = "unknown"


class Catalogue:
    """Categories by product and event time. Adding the same records again changes nothing."""

    def __init__(self) -> None:
        self._current: dict[str, str] = {}
        self._first: dict[str, datetime] = {}
        self._changes: dict[str, list[tuple[datetime, str]]] = {}

    def __len__(self) -> int:
        return len(self._current)

    def add(self, product_ids: Iterable[str], categories: Iterable[str], times: Iterable[datetime]) -> None:
        """Product records in any order; only products whose category ever changed keep a history."""
        for product_id, category, at in zip(product_ids, categories, times, strict=True):
            known = self._current.get(product_id)
            if known is None:
                self._current[product_id] = category
                self._first[product_id] = at
            elif product_id in self._changes or known != category:
                history = self._changes.setdefault(product_id, [(self._first[product_id], known)])
                if (at, category) not in history:
                    history.append((at, category))
                    history.sort()
                self._current[product_id] = history[-1][1]
            else:
                self._first[product_id] = min(self._first[product_id], at)

    def categories(self, product_ids: list[str], times: Sequence[datetime]) -> list[str]:
        """The category of each product at that time; before its first record, the one it began with."""
        current = self._current
        result = [current.get(product_id, UNKNOWN_CATEGORY) for product_id in product_ids]
        if self._changes:
            for row, product_id in enumerate(product_ids):
                history = self._changes.get(product_id)
                if history:
                    at = bisect_right(history, times[row], key=lambda change: change[0])
                    result[row] = history[max(at - 1, 0)][1]
        return result
