"""Events into records: the JSON bytes, key and partition of each, as the contracts fix them. Templates, for speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from ingestion.events import (
    ACTIONS,
    CART_EVENT,
    INVENTORY_EVENT,
    NO_CART,
    PRODUCT,
    PRODUCT_VIEW,
    REASONS,
    TRANSACTION,
    USER,
    Events,
)
from ingestion.hashing import Ints, digit_chars, key64, partitions, slices, uuid_texts
from ingestion.topics import INPUT_NAMES
from ingestion.vocabulary import CATEGORIES, COUNTRY_CODES, DEVICES, PAYMENT_METHODS
from ingestion.world import PRODUCT_COUNT, World, product_ids, user_ids

EVENT_TYPES = ("transaction", "product_view", "cart_event", "inventory_event", "user", "product")
_DEVICE_NAMES = tuple(name for name, _ in DEVICES)
_PAYMENT_NAMES = tuple(name for name, _ in PAYMENT_METHODS)
_CATEGORY_NAMES = tuple(name for name, _ in CATEGORIES)
# Where the event id stands in every record made here; what needs the id takes it from the bytes.
EVENT_ID_PLACE = slice(13, 49)


@dataclass
class Records:
    """Records in order of sending, in lists of equal length. `kinds` index ingestion.topics.INPUT_NAMES."""

    kinds: list[int]
    partitions: list[int]
    keys: list[bytes]
    values: list[bytes | None]

    def __len__(self) -> int:
        return len(self.values)


def time_texts(at: Ints) -> list[str]:
    """RFC 3339 with milliseconds and Z for each time (ms since 1970, UTC)."""
    days, in_day = np.divmod(at, 86_400_000)
    known, place = np.unique(days, return_inverse=True)
    dates = np.datetime_as_string(known.astype("datetime64[D]")).astype("S10").view(np.uint8).reshape(len(known), 10)
    chars = np.empty((len(at), 24), dtype=np.uint8)
    chars[:, :10] = dates[place]
    chars[:] = np.where(np.arange(24) >= 10, np.frombuffer(b"          T00:00:00.000Z", dtype=np.uint8), chars)
    for column, unit, base in ((11, 36_000_000, 3), (12, 3_600_000, 10), (14, 600_000, 6), (15, 60_000, 10)):
        chars[:, column] += (in_day // unit % base).astype(np.uint8)
    for column, unit, base in ((17, 10_000, 6), (18, 1_000, 10), (20, 100, 10), (21, 10, 10), (22, 1, 10)):
        chars[:, column] += (in_day // unit % base).astype(np.uint8)
    return slices(chars)


def money_text(cents: int) -> str:
    """`1234` cents as `12.34`."""
    return f"{cents // 100}.{cents % 100:02d}"


class Formatter:
    """Formats the events of one run. `run_key` makes all ids of the run its own; `partition_counts` is by topic name."""

    def __init__(self, world: World, run_key: int, partition_counts: Mapping[str, int]) -> None:
        self._world = world
        self._event_keys = [key64(run_key, "event", kind) for kind in EVENT_TYPES]
        self._session_key = key64(run_key, "session")
        self._cart_key = key64(run_key, "cart")
        self._transaction_key = key64(run_key, "transaction")
        self._partition_counts = np.array([partition_counts[name] for name in INPUT_NAMES])
        self._cents = world.product_cents(np.arange(PRODUCT_COUNT))
        self._prices = [money_text(cents) for cents in self._cents.tolist()]

    def format(self, events: Events) -> Records:
        """The records of `events`, in their order."""
        about_product = np.isin(events.kind, (INVENTORY_EVENT, PRODUCT))
        chars = digit_chars("U", np.where(about_product, events.product, events.user), 7)
        chars[about_product, 0] = ord("P")
        values: list[bytes | None] = [None] * len(events)
        makers = {
            TRANSACTION: self._transactions,
            PRODUCT_VIEW: self._views,
            CART_EVENT: self._cart_events,
            INVENTORY_EVENT: self._inventory_events,
            USER: self._users,
            PRODUCT: self._products,
        }
        for kind, maker in makers.items():
            where = np.flatnonzero(events.kind == kind)
            if len(where):
                texts = maker(events.pick(where), self._heads(kind, events, where))
                for place, value in zip(where.tolist(), "\n".join(texts).encode().split(b"\n"), strict=True):
                    values[place] = value
        return Records(
            kinds=events.kind.tolist(),
            partitions=partitions(chars, self._partition_counts[events.kind]).tolist(),
            keys=chars.view("S8")[:, 0].tolist(),
            values=values,
        )

    def _heads(self, kind: int, events: Events, where: npt.NDArray[np.int64]) -> list[str]:
        ids = uuid_texts(self._event_keys[kind], events.number[where])
        name = EVENT_TYPES[kind]
        return [
            f'{{"event_id":"{event_id}","event_type":"{name}","schema_version":1,"timestamp":"{at}",'
            for event_id, at in zip(ids, time_texts(events.at[where]), strict=True)
        ]

    def _visit(self, events: Events) -> list[str]:
        columns = zip(
            user_ids(events.user), uuid_texts(self._session_key, events.session), events.country.tolist(), strict=True
        )
        return [
            f'"user_id":"{user}","session_id":"{session}","country":"{COUNTRY_CODES[country]}",'
            for user, session, country in columns
        ]

    def _views(self, events: Events, heads: list[str]) -> list[str]:
        columns = zip(heads, self._visit(events), product_ids(events.product), events.code.tolist(), strict=True)
        return [
            f'{head}{visit}"product_id":"{product}","device":"{_DEVICE_NAMES[device]}"}}'
            for head, visit, product, device in columns
        ]

    def _cart_events(self, events: Events, heads: list[str]) -> list[str]:
        prices = self._prices
        columns = zip(
            heads,
            self._visit(events),
            uuid_texts(self._cart_key, events.cart),
            events.code.tolist(),
            events.product.tolist(),
            product_ids(events.product),
            events.quantity.tolist(),
            strict=True,
        )
        return [
            f'{head}{visit}"cart_id":"{cart}","action":"{ACTIONS[action]}","product_id":"{product_id}",'
            f'"quantity":{quantity},"price":{prices[product]}}}'
            for head, visit, cart, action, product, product_id, quantity in columns
        ]

    def _transactions(self, events: Events, heads: list[str]) -> list[str]:
        totals = (events.lines_quantity * self._cents[events.lines_product]).sum(axis=1)
        ids = uuid_texts(self._transaction_key, events.number)
        carts = uuid_texts(self._cart_key, events.cart)
        prices = self._prices
        texts = []
        for row, (head, visit) in enumerate(zip(heads, self._visit(events), strict=True)):
            lines = ",".join(
                f'{{"product_id":"P{product:07d}","quantity":{quantity},"price":{prices[product]}}}'
                for product, quantity in zip(
                    events.lines_product[row].tolist(), events.lines_quantity[row].tolist(), strict=True
                )
                if quantity
            )
            cart = "" if events.cart[row] == NO_CART else f'"cart_id":"{carts[row]}",'
            texts.append(
                f'{head}{visit}"transaction_id":"{ids[row]}",{cart}"products":[{lines}],'
                f'"total_amount":{money_text(int(totals[row]))},"payment_method":"{_PAYMENT_NAMES[events.code[row]]}"}}'
            )
        return texts

    def _inventory_events(self, events: Events, heads: list[str]) -> list[str]:
        columns = zip(heads, product_ids(events.product), events.quantity.tolist(), events.code.tolist(), strict=True)
        return [
            f'{head}"product_id":"{product}","change":{change},"reason":"{REASONS[reason]}"}}'
            for head, product, change, reason in columns
        ]

    def _users(self, events: Events, heads: list[str]) -> list[str]:
        world, users = self._world, events.user
        wanted, counts = world.user_categories(users).tolist(), world.user_category_count(users).tolist()
        columns = zip(
            heads,
            user_ids(users),
            world.user_emails(users),
            world.user_age(users).tolist(),
            world.user_country(users).tolist(),
            time_texts(world.user_registered_ms(users, events.at)),
            wanted,
            counts,
            strict=True,
        )
        return [
            f'{head}"user_id":"{user}","email":"{email}","age":{age},"country":"{COUNTRY_CODES[country]}",'
            f'"registration_date":"{registered}",'
            f'"preferences":{orjson.dumps([_CATEGORY_NAMES[c] for c in categories[:count]]).decode()}}}'
            for head, user, email, age, country, registered, categories, count in columns
        ]

    def _products(self, events: Events, heads: list[str]) -> list[str]:
        world, products = self._world, events.product
        columns = zip(
            heads,
            product_ids(products),
            world.product_names(products),
            world.product_category(products).tolist(),
            products.tolist(),
            world.product_stock(products).tolist(),
            world.product_rating(products).tolist(),
            strict=True,
        )
        return [
            f'{head}"product_id":"{product_id}","name":{orjson.dumps(name).decode()},'
            f'"category":"{_CATEGORY_NAMES[category]}","price":{self._prices[product]},"inventory":{stock},"ratings":{rating}}}'
            for head, product_id, name, category, product, stock, rating in columns
        ]
