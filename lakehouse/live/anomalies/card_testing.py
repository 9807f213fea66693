"""`card_testing`: many small payments by card of one customer in a short time, to find out which stolen cards work."""

from __future__ import annotations

import numpy as np

from lakehouse.findings import Finding
from lakehouse.live.anomalies.facts import Orders
from lakehouse.live.anomalies.purchase_burst import KEPT, QUIET
from lakehouse.live.anomalies.rules import CARD_TESTING, CARD_TESTING_ORDERS, PURCHASE_MINUTES, SMALL_CENTS, score
from lakehouse.live.anomalies.saying import MINUTE, Saying
from lakehouse.live.anomalies.windows import WindowCounts
from lakehouse.live.columns import Ints
from lakehouse.live.price_book import dollars


class CardTesting:
    """Small payments by card, by customer and minute."""

    def __init__(self) -> None:
        self._counts = WindowCounts(MINUTE, PURCHASE_MINUTES, CARD_TESTING_ORDERS)

    def add(self, orders: Orders, since: int) -> tuple[Ints, Ints]:
        """Count payments; (row, count) of those that fill a window. `since` is the watermark before them."""
        places = np.flatnonzero((orders.amount <= SMALL_CENTS) & orders.is_by_card)
        reached = self._counts.add(orders.user[places], orders.at[places], since - KEPT)
        return places[reached.rows], reached.counts

    def judge(self, orders: Orders, since: int, saying: Saying) -> list[Finding]:
        """Count the batch's payments; `since` is the watermark before it."""
        found = []
        for row, count in zip(*(column.tolist() for column in self.add(orders, since)), strict=True):
            values = {
                "count": str(count),
                "largest": dollars(SMALL_CENTS),
                "minutes": str(PURCHASE_MINUTES),
                "threshold": str(CARD_TESTING_ORDERS),
            }
            evidence = {
                "count": count,
                "largest_amount": dollars(SMALL_CENTS),
                "minutes": PURCHASE_MINUTES,
                "threshold": CARD_TESTING_ORDERS,
            }
            found += saying.once(CARD_TESTING, orders, row, QUIET, score(CARD_TESTING_ORDERS, count), values, evidence)
        return found
