"""The durable word on findings that need no state: the same rules as the real-time lane, with the catalogue as of event time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import floor
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.findings import Finding, finding_id
from lakehouse.live.anomalies.rules import (
    AMOUNT_OUTLIER,
    AMOUNT_OUTLIER_FACTOR,
    PRICE_MISMATCH,
    PRICE_TOLERANCE_PERCENT,
    QUANTITY_BURST,
    QUANTITY_BURST_UNITS,
    Rule,
)
from lakehouse.live.base import Batch, Lake, Output
from lakehouse.live.price_book import PriceBook, cents, dollars
from lakehouse.tables import PRODUCTS, TRANSACTIONS, Table


class Line(NamedTuple):
    """One line of an order. `listed` is the catalogue's price at event time and `usual` the category's median, None where unknown."""

    number: int
    product_id: str
    quantity: int
    price: int
    listed: int | None
    usual: int | None


class Confirm:
    """A view: for each accepted order the findings that need no state, with the verdict `confirmed`.

    What the real-time lane raised and this view does not confirm is retracted by `lakehouse.live.retract`. The same id without a
    word from the real-time lane is as good as raised: that lane may have been away.
    """

    tables: tuple[Table, ...] = ()

    def __init__(self) -> None:
        self.book = PriceBook()

    def load(self, lake: Lake) -> None:
        self.book = PriceBook()
        self.book.add(lake.read(PRODUCTS, ["product_id", "timestamp", "offset", "price", "category"]))

    def apply(self, batch: Batch) -> Output:
        products = batch.of(PRODUCTS)
        if len(products):
            self.book.add(products)
        orders = batch.of(TRANSACTIONS)
        findings = [
            finding
            for order, lines in zip(_orders(orders), self._lines(orders), strict=True)
            for finding in judge(order, lines, batch.started_at)
        ]
        return Output(findings=findings)

    def _lines(self, orders: pa.Table) -> list[list[Line]]:
        """The lines of each order, from flat columns: a struct per line would cost more than the judging."""
        if not len(orders):
            return []
        products = orders["products"].combine_chunks()
        parents = pc.list_parent_indices(products).to_pylist()
        flat = pc.list_flatten(products)
        columns = (flat.field("product_id"), flat.field("quantity"), cents(flat.field("price")))
        times = orders["timestamp"].to_pylist()
        lines: list[list[Line]] = [[] for _ in range(len(orders))]
        rows = zip(parents, *(column.to_pylist() for column in columns), strict=True)
        for parent, product_id, quantity, price in rows:
            order = lines[parent]
            listing = self.book.listing(product_id, times[parent])
            known = (None, None) if listing is None else (listing.cents, self.book.usual_cents(listing.category))
            order.append(Line(len(order) + 1, product_id, quantity, price, *known))
        return lines


class Order(NamedTuple):
    event_id: str
    user_id: str
    country: str
    at: datetime
    total: int
    record: dict[str, Any]


def _orders(rows: pa.Table) -> list[Order]:
    names = ("event_id", "user_id", "country", "timestamp", "topic", "partition", "offset")
    columns = [rows[name].to_pylist() for name in names]
    totals = cents(rows["total_amount"]).to_pylist()
    return [
        Order(event_id, user_id, country, at, total, {"offset": offset, "partition": partition, "topic": topic})
        for event_id, user_id, country, at, topic, partition, offset, total in zip(*columns, totals, strict=True)
    ]


def judge(order: Order, lines: list[Line], detected_at: datetime) -> list[Finding]:
    """The findings about one order, one of a kind at most, in the order of `rules.STATELESS`; as the real-time lane words them."""
    found = []
    odd = [line for line in lines if line.listed is not None and _differs(line.price, line.listed)]
    if odd:
        score, worst = _worst(odd, lambda line: _score(PRICE_TOLERANCE_PERCENT * _listed(line), 100 * _gap(line)))
        values = {
            "product_id": worst.product_id,
            "price": dollars(worst.price),
            "catalogue_price": dollars(_listed(worst)),
        }
        shown = [
            {
                "catalogue_price": dollars(_listed(line)),
                "line_number": line.number,
                "price": dollars(line.price),
                "product_id": line.product_id,
            }
            for line in odd
        ]
        found.append(_finding(PRICE_MISMATCH, order, score, values, {"lines": shown}, detected_at))
    odd = [line for line in lines if line.quantity >= QUANTITY_BURST_UNITS]
    if odd:
        score, worst = _worst(odd, lambda line: _score(QUANTITY_BURST_UNITS, line.quantity))
        values = {
            "product_id": worst.product_id,
            "quantity": str(worst.quantity),
            "threshold": str(QUANTITY_BURST_UNITS),
        }
        shown = [{"line_number": line.number, "product_id": line.product_id, "quantity": line.quantity} for line in odd]
        evidence = {"lines": shown, "threshold": QUANTITY_BURST_UNITS}
        found.append(_finding(QUANTITY_BURST, order, score, values, evidence, detected_at))
    usual = sum(line.usual or 0 for line in lines) if all(line.usual is not None for line in lines) else 0
    if usual and order.total >= AMOUNT_OUTLIER_FACTOR * usual:
        score = _score(AMOUNT_OUTLIER_FACTOR * usual, order.total)
        values = {"total_amount": dollars(order.total), "usual_amount": dollars(usual)}
        evidence = {"factor": AMOUNT_OUTLIER_FACTOR, **values}
        found.append(_finding(AMOUNT_OUTLIER, order, score, values, evidence, detected_at))
    return found


def _listed(line: Line) -> int:
    return line.listed or 0


def _gap(line: Line) -> int:
    return abs(line.price - _listed(line))


def _differs(price: int, listed: int) -> bool:
    return 100 * abs(price - listed) > PRICE_TOLERANCE_PERCENT * listed


def _score(threshold: int, measure: int) -> float:
    return floor((1 - float(threshold) / (2 * float(measure))) * 1000) / 1000


def _worst(odd: list[Line], score_of: Callable[[Line], float]) -> tuple[float, Line]:
    score, _, line = max((score_of(line), -line.number, line) for line in odd)
    return score, line


def _finding(
    rule: Rule, order: Order, score: float, values: dict[str, str], evidence: dict[str, Any], detected_at: datetime
) -> Finding:
    values = {"user_id": order.user_id, **values}
    return Finding(
        finding_id=finding_id(rule.kind, order.event_id),
        kind=rule.kind,
        severity=rule.severity,
        fingerprint=f"{rule.kind}|{values[rule.grouped_by]}",
        title=rule.title.format(**values),
        detail=rule.detail.format(**values),
        event_at=order.at,
        detected_at=detected_at,
        score=score,
        verdict="confirmed",
        is_anomaly=True,
        event_id=order.event_id,
        user_id=order.user_id,
        product_id=values.get("product_id"),
        country=order.country,
        evidence={**evidence, "record": order.record},
    )
