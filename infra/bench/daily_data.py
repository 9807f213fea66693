"""The streaming tables that a day's run reads, of a whole shop, for the benchmark `daily`: vectorised, cached, each table in commits of days.

Orders are those of `warehouse_data`. Views and changes of carts come in the proportions of `ingestion.sessions`; a visit with an order views and
carts what it buys. Marts look back 28 days at visits, so there are no older ones. In a year each product has four prices, and one customer in
five another address; one in a hundred registers during the year, mostly after the first order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from infra.bench import columns as c
from infra.bench import warehouse_data as orders
from infra.bench.daily_visits import VISIT_DAYS, cart_events, product_views, sessions, visits
from infra.bench.warehouse_data import DAY_MICROS, DAYS, LAST_DAY, WORLD, Size, arrived, commits, day_start
from infra.cache import content_name, make_once
from ingestion.hashing import Ints, digit_chars
from ingestion.vocabulary import CATEGORIES
from ingestion.world import product_chars, user_chars
from lakehouse import tables as t
from lakehouse.contracts.base import COUNTRIES, PAYMENT_METHODS
from lakehouse.maintenance import WRITER

NIGHTS = 2
_FORMAT = 1  # to be raised with every change of what is made
_CONTENT = "content.json"
_REASONS = ("restock", "return")
_DELIVERY = 20  # units delivered for each one of a line that leads to a delivery
_DELIVERED_SHARE, _RETURNED_SHARE = 1 / _DELIVERY, 0.03
_PRICE_DAYS, _ADDRESS_DAYS = 91, 1_825
_LATE_REGISTERED = 100  # one customer in so many
_MOST_AT_ONCE = 1_000_000
_CATEGORIES = tuple(name for name, _ in CATEGORIES)


@dataclass(frozen=True)
class Shop:
    """By path of each table the folder where it lies, and for each night's run the Delta version that it finds, and the rows in it."""

    folders: dict[str, Path]
    versions: tuple[dict[str, int], ...]
    rows: tuple[dict[str, int], ...]


def shop(size: Size, say: Callable[[str], None]) -> Shop:
    """All tables of a shop of this size, made now or before; read it only. The second night has one day more than the first."""
    name = content_name("daily", str(_FORMAT), str(size), str(LAST_DAY))

    def make(folder: Path) -> None:
        say(f"making all else of a shop of {size.customers:,} customers, once")
        content = {}
        for table, parts in _tables(size).items():
            versions, counts = [0] * NIGHTS, [0] * NIGHTS
            for number, (days, rows) in enumerate(parts):
                _write(folder, table, rows)
                for night in _sees(days):
                    versions[night] = number
                    counts[night] += len(rows)
            content[table.path] = (versions, counts)
            say(f"  {table.path}: {counts[-1]:,} rows in {versions[-1] + 1} commits")
        (folder / _CONTENT).write_text(json.dumps(content))

    sales = orders.lake(size, say)
    folder = make_once(name, make, on_wait=lambda: say("another benchmark makes the data: waiting for it"))
    content: dict[str, tuple[list[int], list[int]]] = json.loads((folder / _CONTENT).read_text())
    folders = {path: folder / path for path in content} | {t.TRANSACTIONS.path: sales / t.TRANSACTIONS.path}
    last = len(commits(size)) - 1
    content[t.TRANSACTIONS.path] = ([last - 1, last], [size.daily_orders * days for days in (DAYS - 1, DAYS)])
    versions, counts = (
        tuple({path: both[part][night] for path, both in content.items()} for night in range(NIGHTS)) for part in (0, 1)
    )
    return Shop(folders, versions, counts)


def _sees(days: range) -> range:
    """The nights that see a commit of these days: the last day is there for the last night alone."""
    return range(NIGHTS - 1 if DAYS - 1 in days else 0, NIGHTS)


def _write(folder: Path, table: t.Table, rows: pa.Table) -> None:
    write_deltalake(
        folder / table.path,
        rows,
        mode="append",
        partition_by=list(table.partition_by),
        configuration=table.properties,
        writer_properties=WRITER,
    )


Parts = Iterator[tuple[range, pa.Table]]


def _tables(size: Size) -> dict[t.Table, Parts]:
    """By table the rows of each commit, with its days."""
    return {
        t.TRANSACTION_ITEMS: _by_day(size, items),
        t.INVENTORY_EVENTS: _by_day(size, inventory),
        t.PRODUCTS: _by_day(size, products),
        t.USERS: _users(size),
        t.PRODUCT_VIEWS: _by_day(size, lambda size, day: product_views(visits(size, day)), DAYS - VISIT_DAYS),
        t.CART_EVENTS: _by_day(size, lambda size, day: cart_events(visits(size, day)), DAYS - VISIT_DAYS),
        t.SESSIONS: _by_day(size, lambda size, day: sessions(visits(size, day)), DAYS - VISIT_DAYS),
        t.QUARANTINE: iter([(range(0), t.QUARANTINE.schema.empty_table())]),
        t.DUPLICATES: iter([(range(0), t.DUPLICATES.schema.empty_table())]),
    }


def _by_day(size: Size, rows: Callable[[Size, int], pa.Table], first: int = 0) -> Parts:
    for days in commits(size):
        taken = range(max(days.start, first), days.stop)
        if taken:
            yield taken, pa.concat_tables(rows(size, number) for number in taken)


def items(size: Size, number: int) -> pa.Table:
    """The lines of the orders of day `number`, rows of `silver/transaction_items`."""
    made = orders.orders(size, number)
    order = np.repeat(np.arange(len(made.ids)), np.diff(made.ends))
    rows = {
        "transaction_id": c.text(digit_chars("T", made.ids[order], 9)),
        "line_number": pa.array(np.arange(len(order)) - made.ends[order] + 1, pa.int32()),
        "user_id": c.text(user_chars(made.user[order])),
        "timestamp": c.times(made.at[order]),
        "country": c.named(made.country[order], COUNTRIES),
        "payment_method": c.named(made.payment[order], PAYMENT_METHODS),
        "product_id": c.text(product_chars(made.product)),
        "category": c.named(WORLD.product_category(made.product), _CATEGORIES),
        "quantity": pa.array(made.quantity, pa.int32()),
        "price": c.money(made.cents),
        "line_amount": c.money(made.quantity * made.cents),
    }
    return arrived(t.TRANSACTION_ITEMS, number, made.ids[order], rows)


def inventory(size: Size, number: int) -> pa.Table:
    """What comes in for the lines of day `number`: on average as many units as they sell, in deliveries, and what is sent back."""
    made = orders.orders(size, number)
    lines = np.arange(len(made.product)) + int(made.ids[0]) * 3
    is_delivered, is_returned = (
        c.draw(what, lines) < share for what, share in (("delivered", _DELIVERED_SHARE), ("returned", _RETURNED_SHARE))
    )
    of = np.concatenate([np.flatnonzero(is_delivered), np.flatnonzero(is_returned)])
    reason = np.repeat([0, 1], [is_delivered.sum(), is_returned.sum()])
    ids = lines[of] * len(_REASONS) + reason
    rows = {
        "timestamp": c.times(_moment(number, "inventory", ids)),
        "product_id": c.text(product_chars(made.product[of])),
        "change": pa.array(made.quantity[of] * np.where(reason == 0, _DELIVERY, 1), pa.int32()),
        "reason": c.named(reason, _REASONS),
    }
    return arrived(t.INVENTORY_EVENTS, number, ids, rows)


def products(size: Size, number: int) -> pa.Table:
    """On day 0 the whole catalogue, said the day before; then new prices of one product in 91 a day."""
    every = np.arange(size.products)
    product = every if number == 0 else every[every % _PRICE_DAYS == number % _PRICE_DAYS]
    ids = product + number * size.products
    change = 1.0 if number == 0 else 0.8 + 0.4 * c.draw("price", ids)
    said = np.full(len(ids), day_start(0) - DAY_MICROS) if number == 0 else _moment(number, "product", ids)
    rows = {
        "timestamp": c.times(said),
        "product_id": c.text(product_chars(product)),
        "name": pa.array(WORLD.product_names(product) if len(product) else [], pa.string()),
        "category": c.named(WORLD.product_category(product), _CATEGORIES),
        "price": c.money((WORLD.product_cents(product) * change).astype(np.int64)),
        "inventory": pa.array(WORLD.product_stock(product), pa.int32()),
        "ratings": pa.array(WORLD.product_rating(product), pa.float64()),
    }
    return arrived(t.PRODUCTS, number, ids, rows)


def _users(size: Size) -> Parts:
    """Before the year who is there then, a million in each commit; then those who register or move."""
    for first in range(0, size.customers, _MOST_AT_ONCE):
        rank = np.arange(first, min(first + _MOST_AT_ONCE, size.customers))
        rank = rank[rank % _LATE_REGISTERED != 0]
        yield range(0), users(rank, 0, np.full(len(rank), day_start(0) - DAY_MICROS))
    yield from _by_day(size, _changes, 1)


def _changes(size: Size, number: int) -> pa.Table:
    late = np.arange(0, size.customers, _LATE_REGISTERED)
    new = late[c.code(c.draw("registered", late), DAYS - 1) + 1 == number]
    every = np.arange(number, size.customers, _ADDRESS_DAYS)
    moved = every[every % _LATE_REGISTERED != 0]
    rank = np.concatenate([new, moved])
    return users(rank, number, _moment(number, "user", rank))


def users(rank: Ints, number: int, at: Ints) -> pa.Table:
    """What the customers of these ranks say of themselves on day `number`, the address other than on any other day."""
    user = WORLD.user_of_rank(rank)
    name, day = digit_chars("u", user, 7), digit_chars(".", np.full(len(user), number), 3)
    shop = np.broadcast_to(np.frombuffer(b"@example.com", np.uint8), (len(user), 12))
    wanted, counts = WORLD.user_categories(user), WORLD.user_category_count(user)
    names = c.named(wanted[np.arange(wanted.shape[1]) < counts[:, None]], _CATEGORIES)
    rows = {
        "timestamp": c.times(at),
        "user_id": c.text(user_chars(user)),
        "email": c.text(np.concatenate([name, day, shop], axis=1)),
        "age": pa.array(WORLD.user_age(user), pa.int32()),
        "country": c.named(c.code(c.draw("home", rank), len(COUNTRIES)), COUNTRIES),
        "registration_date": c.times(at - (c.draw("member for", rank) * 1_000 * DAY_MICROS).astype(np.int64)),
        "preferences": c.lists(
            np.concatenate([[0], np.cumsum(counts)]), names, t.USERS.schema.field("preferences").type
        ),
    }
    return arrived(t.USERS, number, rank + number * 10_000_000, rows)


def _moment(number: int, what: str, ids: Ints) -> Ints:
    """Some millisecond of the day each."""
    return day_start(number) + (c.draw(f"moment of {what}", ids) * 86_400_000).astype(np.int64) * 1000
