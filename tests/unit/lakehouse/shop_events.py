"""What the tests of sessions and carts share: events as plain values, batches of them, and a lake that holds what was written."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import filters_to_expression

from lakehouse.catalogue import Catalogue
from lakehouse.live.base import Batch, Conditions, Lake, Output, View, newest
from lakehouse.settings import Settings
from lakehouse.tables import CART_EVENTS, PRODUCT_VIEWS, TRANSACTIONS, Table

START = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
TABLES = {"product_views": PRODUCT_VIEWS, "cart_events": CART_EVENTS, "transactions": TRANSACTIONS}
KINDS = {"product_views": "product_view", "cart_events": "cart_event", "transactions": "transaction"}
BOOKKEEPING = ("batch_id", "known_at", "is_retracted")

Line = tuple[str, int, str]


@dataclass(frozen=True)
class Event:
    """A view, a change of a cart or an order; `lines` are (product, quantity, price), one but for orders."""

    topic: str
    user: str
    at: datetime
    offset: int
    lines: tuple[Line, ...]
    partition: int = 0
    country: str = "DE"
    cart: str | None = None
    action: str = "add"

    @property
    def position(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset

    @property
    def total(self) -> Decimal:
        return sum((Decimal(price) * quantity for _, quantity, price in self.lines), Decimal(0))

    def row(self) -> dict[str, Any]:
        product, quantity, price = self.lines[0]
        row = {
            "timestamp": self.at, "user_id": self.user, "country": self.country, "topic": self.topic,
            "partition": self.partition, "offset": self.offset, "cart_id": self.cart,
        }  # fmt: skip
        if self.topic == "product_views":
            return row | {"product_id": product}
        if self.topic == "cart_events":
            return row | {"product_id": product, "quantity": quantity, "price": Decimal(price), "action": self.action}
        lines = [{"product_id": p, "quantity": q, "price": Decimal(price)} for p, q, price in self.lines]
        return row | {"products": lines, "total_amount": self.total}


def at(text: str) -> datetime:
    """`9:30`, `9:30:15.250` or `+4d 9:30` as a time on or after 14 March 2026."""
    days, _, clock = text.rpartition(" ")
    hours, minutes, *seconds = clock.split(":")
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds[0]) if seconds else 0)
    return START.replace(hour=0) + span + timedelta(days=int(days.strip("+d")) if days else 0)


def table(topic: str, events: Iterable[Event]) -> pa.Table:
    """Events as silver rows of their topic; columns that nobody reads are null."""
    schema = pa.schema([field.with_nullable(True) for field in TABLES[topic].schema])
    return pa.Table.from_pylist([event.row() for event in events if event.topic == topic], schema=schema)


def batch(
    number: int, events: Iterable[Event], watermark: datetime | None, catalogue: Catalogue | None = None
) -> Batch:
    events = list(events)
    rows = {f"silver/{topic}": table(topic, events) for topic in TABLES if any(e.topic == topic for e in events)}
    return Batch(number, START + timedelta(days=30, seconds=number), rows, watermark, catalogue or Catalogue())


class WrittenLake(Lake):
    """What views have written, in memory; `entry` is the ledger's last batch."""

    def __init__(self) -> None:
        self._written: dict[str, pa.Table] = {}
        self.watermark: datetime | None = None

    def add(self, output: Output, watermark: datetime | None) -> None:
        for path, rows in output.rows.items():
            self._written[path] = pa.concat_tables([self._written[path], rows]) if path in self._written else rows
        self.watermark = watermark

    def read(
        self, table: Table, columns: list[str], filter: pc.Expression | None = None, files: Conditions | None = None
    ) -> pa.Table:
        rows = self._written.get(table.path, table.schema.empty_table())
        passed = rows if filter is None else rows.filter(filter)
        if files:
            assert passed.filter(filters_to_expression(files)).num_rows == passed.num_rows, "files hide wanted rows"
        return passed.select(columns).combine_chunks()

    def so_far(self, table: Table, batch_id: int, filter: pc.Expression, files: Conditions | None = None) -> pa.Table:
        return newest(self.read(table, table.schema.names, filter & (pc.field("batch_id") < batch_id), files), table)


def current(lake: Lake, table: Table) -> list[dict[str, Any]]:
    """The rows of a table once read, by key, without what says when they were written."""
    kept = [name for name in table.schema.names if name not in BOOKKEEPING]
    rows: list[dict[str, Any]] = lake.current(table).select(kept).to_pylist()
    return sorted(rows, key=lambda row: tuple(row[name] for name in table.key))


def settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **changes)


def run(view: View, batches: Iterable[Batch]) -> WrittenLake:
    """A new view taken through `batches`, and what it wrote."""
    lake = WrittenLake()
    view.load(lake)
    for one in batches:
        lake.add(view.apply(one), one.watermark)
    return lake


def random_events(rng: random.Random, count: int, days: float, users: int = 4) -> list[Event]:
    """Visits of few users over some days, on a coarse clock: ties, pauses of exactly the gap, midnights and shared carts are frequent."""
    events: list[Event] = []
    now = {f"u{n}": START + timedelta(minutes=10 * rng.randrange(int(days * 144))) for n in range(users)}
    while len(events) < count:
        user = f"u{rng.randrange(users)}"
        pause = rng.choice((0, 0, 1, 5, 20, 29.9, 30, 30, 30.1, 45, 600))
        now[user] += timedelta(minutes=pause)
        if rng.random() < 0.05:
            now[user] = START + timedelta(minutes=10 * rng.randrange(int(days * 144)))
        topic = rng.choices(list(TABLES), (4, 4, 2))[0]
        count_lines = rng.randint(1, 3) if topic == "transactions" else 1
        lines = tuple(
            (f"p{rng.randrange(5)}", rng.randint(1, 3), rng.choice(("0.00", "0.10", "19.99")))
            for _ in range(count_lines)
        )
        cart = f"c{user}{rng.randrange(4)}" if topic == "cart_events" or rng.random() < 0.7 else None
        events.append(
            Event(
                topic,
                user,
                now[user],
                len(events),
                lines,
                rng.randrange(3),
                rng.choice(("DE", "US")),
                cart,
                rng.choice(("add", "add", "remove")),
            )
        )
    return events


def random_batches(rng: random.Random, events: list[Event], catalogue: Catalogue | None = None) -> list[Batch]:
    """The events in an order in which some are days late, cut anywhere; watermarks that never go back but fit nothing else."""
    arrival = sorted(
        events, key=lambda e: e.at + timedelta(minutes=rng.choice((0, 0, 0, 3, 60, 1500, 6000)) * rng.random())
    )
    batches, watermark, place = [], None, 0
    while place < len(arrival):
        size = rng.choice((0, 1, 2, 5, 30))
        taken = arrival[place : place + size]
        place += size
        if taken and rng.random() < 0.8:
            newest_at = max(event.at for event in taken) - timedelta(minutes=rng.choice((0, 10, 30)))
            watermark = max(watermark or newest_at, newest_at)
        batches.append(batch(len(batches), taken, watermark, catalogue))
    return batches


def taken(one: Batch, events: list[Event]) -> list[Event]:
    """Those of `events` that are in the batch."""
    by_position = {event.position: event for event in events}
    rows = [row for table in one.rows.values() for row in table.select(["topic", "partition", "offset"]).to_pylist()]
    return [by_position[tuple(row.values())] for row in rows]  # type: ignore[index]
