"""`amount_outlier`, the customer's side: what is usual for the customer is no outlier, and for some customers less is one already."""

from __future__ import annotations

from collections.abc import Iterable
from math import log

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.findings import Finding
from lakehouse.live.anomalies.facts import Orders
from lakehouse.live.anomalies.keyed import ABSENT, KeyedTable
from lakehouse.live.anomalies.rules import (
    AMOUNT_OUTLIER,
    AMOUNT_OUTLIER_FACTOR,
    CUSTOMER_SCALES,
    KEPT_DAYS,
    KEPT_ORDERS,
    LESSER_FACTOR,
    LESSER_ORDERS,
    PRIOR_ORDERS,
    PRIOR_SCALE,
    score,
)
from lakehouse.live.anomalies.saying import Saying
from lakehouse.live.columns import DAY, Ints
from lakehouse.live.price_book import PriceBook, dollars

_MAD_TO_SCALE = 1.4826  # makes the median absolute deviation of a normal distribution its standard deviation
_NO_DAY = -1

Floats = NDArray[np.float64]


class CustomerAmounts:
    """The last KEPT_ORDERS amounts of each customer, in the order in which they came. About 80 bytes a customer.

    An amount is kept as the 16-bit logarithm of its cents, good to a hundredth; and with the day it came in, as what came
    longer ago than KEPT_DAYS no longer counts.
    """

    def __init__(self) -> None:
        self._table = KeyedTable(
            {
                "amount": (np.float16, KEPT_ORDERS, 0),
                "day": (np.int16, KEPT_ORDERS, _NO_DAY),
                "count": (np.int32, 1, 0),
            }
        )

    def add(self, users: Ints, amounts: Ints, days: Ints) -> None:
        """Orders in the order in which they came: hash of the customer, cents, day since 1970 on which it came in."""
        if not len(users):
            return
        order = np.argsort(users, kind="stable")
        begins = np.flatnonzero(np.diff(users[order], prepend=users[order[0]] - 1))
        sizes = np.diff(begins, append=len(order))
        turn = np.arange(len(order)) - np.repeat(begins, sizes)
        is_kept = np.repeat(sizes, sizes) - turn <= KEPT_ORDERS
        slots = self._table.place(users[order])
        count = self._table.column("count")
        place = (count[slots] + turn) % KEPT_ORDERS
        kept = order[is_kept]
        self._table.column("amount")[slots[is_kept], place[is_kept]] = np.log(np.maximum(amounts[kept], 1))
        self._table.column("day")[slots[is_kept], place[is_kept]] = days[kept]
        count[slots[begins]] += sizes.astype(np.int32)

    def usual(self, users: Ints, today: int) -> tuple[Ints, Floats, Floats]:
        """(number of kept orders, median and scaled MAD of their logarithms) of each customer; 0 where there is none."""
        slots = self._table.find(users)
        days = self._table.column("day")[slots]
        is_known = (slots != ABSENT)[:, None] & (days != _NO_DAY) & (days >= today - KEPT_DAYS)
        amounts = np.where(is_known, self._table.column("amount")[slots].astype(np.float64), np.nan)
        has_any = is_known.any(axis=1)
        median = np.zeros(len(users))
        scale = np.zeros(len(users))
        median[has_any] = np.nanmedian(amounts[has_any], axis=1)
        scale[has_any] = _MAD_TO_SCALE * np.nanmedian(np.abs(amounts[has_any] - median[has_any, None]), axis=1)
        return is_known.sum(axis=1), median, scale


class AmountOutlier:
    """Orders against what their customers usually pay, beside what is usual in the categories."""

    def __init__(self, book: PriceBook) -> None:
        self.customers = CustomerAmounts()
        self._book = book

    def judge(self, orders: Orders, stateless: Iterable[Finding], today: int, saying: Saying) -> list[Finding]:
        """`stateless`, the findings by the categories alone, without those that are usual for their customers; and the lesser
        outliers. Then take the orders in. `today` is the day (since 1970) of the batch."""
        kept = [one for one in stateless if one.kind != AMOUNT_OUTLIER.kind or not self._is_usual(one, orders, today)]
        kept += self._lesser(orders, today, saying)
        by_time = np.lexsort((orders.rows["event_hash"].to_numpy(), orders.at)) if len(orders) else np.empty(0, int)
        self.customers.add(orders.user[by_time], orders.amount[by_time], np.full(len(by_time), today))
        return kept

    def _is_usual(self, finding: Finding, orders: Orders, today: int) -> bool:
        row = orders.row_of(str(finding.event_id))
        usual = round(float(finding.evidence["usual_amount"]) * 100)
        return self._scales(orders, row, usual, today)[1] <= CUSTOMER_SCALES

    def _scales(self, orders: Orders, row: int, usual: int, today: int) -> tuple[int, float, float]:
        """(kept orders of the customer, how many scales the order lies above the customer's usual, that usual in cents)."""
        count, median, scale = (float(one[0]) for one in self.customers.usual(orders.user[row : row + 1], today))
        weight = count / (count + PRIOR_ORDERS)
        centre = weight * median + (1 - weight) * log(usual)
        spread = max(weight * scale + (1 - weight) * PRIOR_SCALE, PRIOR_SCALE)
        return int(count), (log(max(int(orders.amount[row]), 1)) - centre) / spread, float(np.exp(median))

    def _lesser(self, orders: Orders, today: int, saying: Saying) -> list[Finding]:
        count, median, _ = self.customers.usual(orders.user, today)
        # What is not even e times the customer's median cannot be beyond; this spares most orders the look at their lines.
        is_far = np.log(np.maximum(orders.amount, 1)) - median > 1
        found = []
        for row in np.flatnonzero((count >= LESSER_ORDERS) & is_far).tolist():
            usual = self._usual_amount(orders, row)
            if usual and LESSER_FACTOR * usual <= orders.amount[row] < AMOUNT_OUTLIER_FACTOR * usual:
                kept, scales, own = self._scales(orders, row, usual, today)
                if scales > CUSTOMER_SCALES:
                    found.append(_finding(orders, row, usual, kept, scales, own, saying))
        return found

    def _usual_amount(self, orders: Orders, row: int) -> int:
        """Sum of the median prices of the lines' categories, 0 where the catalogue does not know a product."""
        total, at = 0, orders.rows["timestamp"][row].as_py()
        for line in orders.rows["products"][row].as_py():
            listing = self._book.listing(line["product_id"], at)
            usual = None if listing is None else self._book.usual_cents(listing.category)
            if not usual:
                return 0
            total += usual
        return total


def _finding(orders: Orders, row: int, usual: int, kept: int, scales: float, own: float, saying: Saying) -> Finding:
    amount = int(orders.amount[row])
    evidence = {
        "customer_amount": dollars(round(own)),
        "customer_orders": kept,
        "factor": LESSER_FACTOR,
        "scales": round(scales, 1),
        "total_amount": dollars(amount),
        "usual_amount": dollars(usual),
    }
    values = {"total_amount": dollars(amount), "usual_amount": dollars(usual)}
    return saying.about(AMOUNT_OUTLIER, orders, row, score(CUSTOMER_SCALES, scales), values, evidence)


def came_in(rows: pa.Table) -> Ints:
    """Day since 1970 on which rows of silver came in."""
    return np.asarray(rows["ingested_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() // DAY)
