"""`purchase_burst`: many purchases of one customer in a short time. Small ones are left to `card_testing`."""

from __future__ import annotations

import numpy as np

from lakehouse.findings import Finding
from lakehouse.live.anomalies.facts import Orders
from lakehouse.live.anomalies.rules import (
    PURCHASE_BURST,
    PURCHASE_BURST_ORDERS,
    PURCHASE_MINUTES,
    SMALL_CENTS,
    score,
)
from lakehouse.live.anomalies.saying import MINUTE, Saying
from lakehouse.live.anomalies.windows import WindowCounts
from lakehouse.live.columns import Ints

KEPT = 120 * MINUTE
"""How far behind the watermark purchases count: the partitions of a backlog do not come on alike."""
QUIET = 30 * MINUTE


class PurchaseBurst:
    """Purchases by customer and minute."""

    def __init__(self) -> None:
        self._counts = WindowCounts(MINUTE, PURCHASE_MINUTES, PURCHASE_BURST_ORDERS)

    def add(self, orders: Orders, since: int) -> tuple[Ints, Ints]:
        """Count orders; (row, count) of those that fill a window. `since` is the watermark before them."""
        places = np.flatnonzero(orders.amount > SMALL_CENTS)
        reached = self._counts.add(orders.user[places], orders.at[places], since - KEPT)
        return places[reached.rows], reached.counts

    def judge(self, orders: Orders, since: int, saying: Saying) -> list[Finding]:
        """Count the batch's orders; `since` is the watermark before it."""
        found = []
        for row, count in zip(*(column.tolist() for column in self.add(orders, since)), strict=True):
            values = {"count": str(count), "minutes": str(PURCHASE_MINUTES), "threshold": str(PURCHASE_BURST_ORDERS)}
            evidence = {"count": count, "minutes": PURCHASE_MINUTES, "threshold": PURCHASE_BURST_ORDERS}
            found += saying.once(
                PURCHASE_BURST, orders, row, QUIET, score(PURCHASE_BURST_ORDERS, count), values, evidence
            )
        return found
