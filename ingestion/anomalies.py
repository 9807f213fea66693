"""Injected anomalies: orders and views that should be noticed, each valid by its contract, each of one kind. Sizes reach down to
where they can hardly be told from what bulk buyers, flash sales and travellers do.

Labels carry `anomaly:<kind>`; those of one burst share `of_event_id`, the id of its first event.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ingestion.events import PRODUCT_VIEW
from ingestion.labels import Label
from ingestion.records import money_text, time_texts
from ingestion.struck import Struck
from ingestion.travel import KM
from ingestion.violations import Document, encode, raw
from ingestion.vocabulary import CATEGORIES, COUNTRY_CODES
from ingestion.world import PRODUCT_COUNT, World, product_ids

SINGLE_KINDS = ("price_mismatch", "amount_outlier", "quantity_burst", "impossible_travel")
KINDS = (*SINGLE_KINDS, "purchase_burst", *SINGLE_KINDS, "card_testing", *SINGLE_KINDS, "view_bot")
"""The kinds in the order in which they take turns."""
ORDERS_PER_ANOMALY = 2.2
"""Orders that one anomaly labels over all turns, a little more than the mean: bursts have many, bots none."""

_CARDS = ("credit_card", "debit_card", "gift_card")
_PRICE_CHANGE = (0.015, 0.8)  # share of the price
_QUANTITY = (50, 400)
_TIMES_USUAL = (85, 400)  # amount of the order against the median prices of its categories
_MOST_UNITS = 58  # of one product in an order that is odd by its amount alone
_PURCHASES = (4, 12)
_PAYMENTS = (4, 15)
_SPREE_MS = (15_000, 110_000)  # from the first to the last of a burst of orders
_VIEWS = (20, 120)
_VIEW_GAP_MS = (150, 400)
_JET_KM_PER_HOUR = 1_000
_SHARE_OF_FLIGHT = (0.02, 0.99)
_LIVE_JUMP_MS = (5_000, 60_000)  # a live run may be over before a flight would be
_SMALL_CENTS = 600
_NOT_SMALL_CENTS = 1_500


@dataclass(frozen=True)
class Added:
    """A record that an anomaly adds, `delay_ms` after the one that it was made of, which gives it topic, key and partition."""

    delay_ms: int
    of: Struck
    value: bytes
    label: Label


class Anomalies:
    """Makes anomalies out of ordinary orders. `fresh` gives the record of a Struck as another event, with ids of its own.

    `end_ms` is where the run's event time ends; a jump to another country is over by then.
    """

    def __init__(
        self, world: World, rng: np.random.Generator, live: bool, end_ms: int, fresh: Callable[[Struck], Document]
    ) -> None:
        self._world = world
        self._rng = rng
        self._live = live
        self._end_ms = end_ms
        self._fresh = fresh
        self._cents = world.product_cents(np.arange(PRODUCT_COUNT))
        medians = np.array([price for _, price in CATEGORIES]) * 100
        self._factors = self._cents / medians[world.product_category(np.arange(PRODUCT_COUNT))]
        self._cheap = np.flatnonzero(self._cents <= _SMALL_CENTS)
        self._dear = np.flatnonzero(self._cents >= _NOT_SMALL_CENTS)

    def strike(self, kind: str, struck: Struck) -> tuple[Label | None, list[Added]]:
        """The label of the struck order, None where it stays ordinary, and the records to add. Changes the struck order of
        the kinds that are odd in themselves. Nothing happens where the kind finds no record that it needs."""
        made = {
            "impossible_travel": self._travel,
            "purchase_burst": self._purchases,
            "card_testing": self._payments,
            "view_bot": self._views,
        }
        if kind in made:
            return made[kind](struck, Label(f"anomaly:{kind}"))
        document = struck.document()
        change = {"price_mismatch": self._price, "quantity_burst": self._quantity, "amount_outlier": self._amount}
        change[kind](document)
        struck.value = encode(document)
        return Label(f"anomaly:{kind}", "silver", (), struck.event_id, struck.event_id, struck.at_ms), []

    # ---- odd in themselves ----------------------------------------------------------------------------------------

    def _price(self, document: Document) -> None:
        line = document["products"][0]
        cents = round(line["price"] * 100)
        share = self._between(*_PRICE_CHANGE) * (1 if self._rng.random() < 0.4 else -1)
        changed = max(1, round(cents * (1 + share)))
        line["price"] = (changed if changed != cents else cents + 1) / 100
        self._write(document, [(item["product_id"], item["quantity"], item["price"]) for item in document["products"]])

    def _quantity(self, document: Document) -> None:
        document["products"][0]["quantity"] = int(self._between(*_QUANTITY))
        self._write(document, [(item["product_id"], item["quantity"], item["price"]) for item in document["products"]])

    def _amount(self, document: Document) -> None:
        """One to three of the dearest products of their categories, many of each."""
        times = self._between(*_TIMES_USUAL)
        dear = np.flatnonzero(self._factors >= max(2.0, times / _MOST_UNITS))
        chosen = np.unique(self._rng.choice(dear, self._rng.integers(1, 4)))
        lines = []
        for product, name in zip(chosen.tolist(), product_ids(chosen), strict=True):
            lines.append((name, max(1, round(times / self._factors[product])), self._cents[product] / 100))
        document.pop("cart_id", None)
        self._write(document, lines)

    # ---- odd by what else there is --------------------------------------------------------------------------------

    def _travel(self, struck: Struck, label: Label) -> tuple[None, list[Added]]:
        """Another order of the customer from a country that is too far away for the time between."""
        here = COUNTRY_CODES.index(struck.document()["country"])
        there = (here + 1 + int(self._rng.integers(len(COUNTRY_CODES) - 1))) % len(COUNTRY_CODES)
        if self._live:
            delay = self._rng.uniform(*_LIVE_JUMP_MS)
        else:
            flight = KM[here, there] * 3_600_000 / _JET_KM_PER_HOUR
            delay = flight * self._rng.uniform(*_SHARE_OF_FLIGHT)
            delay = min(delay, max(self._end_ms - struck.at_ms, 1_000))
        order = self._order(struck, self._dear, int(delay))
        order["country"] = COUNTRY_CODES[there]
        return None, self._added([(int(delay), order)], label, struck)

    def _purchases(self, struck: Struck, label: Label) -> tuple[Label, list[Added]]:
        count = int(self._rng.integers(_PURCHASES[0], _PURCHASES[1] + 1))
        orders = [(delay, self._order(struck, self._dear, delay)) for delay in self._delays(count)]
        first = replace(label, event_id=struck.event_id, of_event_id=struck.event_id, at_ms=struck.at_ms)
        return first, self._added(orders, first, struck)

    def _payments(self, struck: Struck, label: Label) -> tuple[None, list[Added]]:
        count = int(self._rng.integers(_PAYMENTS[0], _PAYMENTS[1] + 1))
        orders = []
        for delay in self._delays(count + 1):
            order = self._order(struck, self._cheap, delay)
            order["payment_method"] = _CARDS[int(self._rng.integers(len(_CARDS)))]
            orders.append((delay, order))
        return None, self._added(orders, label, struck)

    def _views(self, struck: Struck, label: Label) -> tuple[None, list[Added]]:
        """The session of the nearest ordinary view goes on by a program."""
        kinds = struck.records.kinds
        views = [place for place, kind in enumerate(kinds) if kind == PRODUCT_VIEW]
        if not views:
            return None, []
        place = min(views, key=lambda place: abs(place - struck.place))
        seen = Struck(struck.records, place, struck.arrival_ms)
        count = int(self._between(*_VIEWS))
        gap = self._rng.uniform(*_VIEW_GAP_MS)
        products = product_ids(self._rng.integers(0, PRODUCT_COUNT, count))
        added = []
        for step, product in enumerate(products, start=1):
            view = self._fresh(seen)
            view["product_id"] = product
            view["timestamp"] = time_texts(np.array([seen.at_ms + int(step * gap)]))[0]
            added.append((int(step * gap), view))
        return None, self._added(added, label, seen)

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _between(self, low: float, high: float) -> float:
        """A size, each order of magnitude as likely: small ones are the rule."""
        return math.exp(self._rng.uniform(math.log(low), math.log(high)))

    def _delays(self, count: int) -> list[int]:
        """When the orders of a burst come after its first, which has none here, in ms."""
        span = self._rng.uniform(*_SPREE_MS)
        return [int(share * span) for share in np.sort(self._rng.uniform(0.02, 1, count - 1))]

    def _order(self, struck: Struck, products: np.ndarray[tuple[int], np.dtype[np.int64]], delay_ms: int) -> Document:
        """Another order of the same customer, one unit of one of `products` at its price."""
        order = self._fresh(struck)
        order.pop("cart_id", None)
        order["timestamp"] = time_texts(np.array([struck.at_ms + delay_ms]))[0]
        product = int(self._rng.choice(products))
        self._write(order, [(f"P{product:07d}", 1, self._cents[product] / 100)])
        return order

    @staticmethod
    def _write(document: Document, lines: list[tuple[str, int, float]]) -> None:
        cents = [round(price * 100) for _, _, price in lines]
        document["products"] = [
            {"product_id": product, "quantity": quantity, "price": raw(money_text(price))}
            for (product, quantity, _), price in zip(lines, cents, strict=True)
        ]
        total = sum(quantity * price for (_, quantity, _), price in zip(lines, cents, strict=True))
        document["total_amount"] = raw(money_text(total))

    @staticmethod
    def _added(documents: list[tuple[int, Document]], label: Label, struck: Struck) -> list[Added]:
        first = label.of_event_id or str(documents[0][1]["event_id"])
        return [
            Added(
                delay,
                struck,
                encode(document),
                replace(label, event_id=str(document["event_id"]), of_event_id=first, at_ms=struck.at_ms + delay),
            )
            for delay, document in documents
        ]
