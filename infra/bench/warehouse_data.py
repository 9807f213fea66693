"""A year and a day of `silver/transactions` for the warehouse benchmark: vectorised, the same for the same number of customers, cached.

Commits in order of arrival, a day in each at full size, as the stream leaves it once its small files are compacted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import write_deltalake

from infra.bench import columns as c
from infra.cache import content_name, make_once
from ingestion.hashing import Ints, digit_chars
from ingestion.world import USER_COUNT, World, product_chars, user_chars
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import COUNTRIES, PAYMENT_METHODS
from lakehouse.maintenance import WRITER
from lakehouse.tables import TRANSACTIONS, Table
from lakehouse.transforms.rfm import WINDOW_DAYS

LAST_DAY = date(2026, 3, 15)
DAYS = WINDOW_DAYS + 1
CUSTOMERS_PER_PRODUCT = 40
CUSTOMERS_PER_DAILY_ORDER = 100
_FORMAT = 1  # to be raised with every change of what is made
WORLD = World(20)
_LATE_SHARE, _LATE_DAYS = 0.01, 3
# Of N customers the one of rank N * draw ** 1.5 buys: the first tenth of them buys a fifth.
_SKEW = 1.5
_LEAST_ROWS = 100_000
DAY_MICROS = 86_400_000_000


@dataclass(frozen=True)
class Size:
    """How much of the shop: 10 million customers have 250,000 products and 100,000 orders a day, 36.5 million a year."""

    customers: int

    @property
    def products(self) -> int:
        return max(self.customers // CUSTOMERS_PER_PRODUCT, 1)

    @property
    def daily_orders(self) -> int:
        return max(self.customers // CUSTOMERS_PER_DAILY_ORDER, 1)

    @property
    def orders(self) -> int:
        """In one window of 365 days."""
        return self.daily_orders * WINDOW_DAYS


def lake(size: Size, say: Callable[[str], None]) -> Path:
    """A folder that holds the table `silver/transactions` of this size, made now or before; read it only."""
    name = content_name("warehouse", str(_FORMAT), str(size), str(LAST_DAY))

    def make(folder: Path) -> None:
        say(f"making {size.daily_orders * DAYS:,} transactions of {size.customers:,} customers, once")
        for days in commits(size):
            write_deltalake(
                folder / TRANSACTIONS.path,
                pa.concat_tables(arrivals(size, number) for number in days),
                mode="append",
                configuration=TRANSACTIONS.properties,
                writer_properties=WRITER,
            )

    return make_once(name, make, on_wait=lambda: say("another benchmark makes the data: waiting for it"))


def commits(size: Size) -> list[range]:
    """The days of each commit: as many as make a file of fair size, and the last day alone, so that the version before does not know it."""
    days = max(_LEAST_ROWS // size.daily_orders, 1)
    return [*(range(first, min(first + days, DAYS - 1)) for first in range(0, DAYS - 1, days)), range(DAYS - 1, DAYS)]


@dataclass(frozen=True)
class Orders:
    """The orders that come in on a day, one element each; those of order n are the lines `ends[n]` to `ends[n + 1]`.

    `at`: microseconds since 1970 (UTC). `user` and `product`: numbers in the world. `country` and `payment`: places in the contracts' tuples.
    """

    ids: Ints
    at: Ints
    is_late: npt.NDArray[np.bool_]
    user: Ints
    country: Ints
    payment: Ints
    ends: Ints
    product: Ints
    quantity: Ints
    cents: Ints

    @property
    def total(self) -> Ints:
        """In cents."""
        return np.asarray(np.add.reduceat(self.quantity * self.cents, self.ends[:-1]))


def day_start(number: int) -> int:
    """The first microsecond of day `number` (from 0) since 1970, UTC."""
    return (LAST_DAY - timedelta(days=DAYS - 1 - number) - date(1970, 1, 1)).days * DAY_MICROS


def customers(size: Size, what: str, ids: Ints) -> Ints:
    """Who comes, by the draw `what`: a few often, most seldom."""
    rank = (c.draw(what, ids) ** _SKEW * min(size.customers, USER_COUNT)).astype(np.int64)
    return WORLD.user_of_rank(rank)


def products(size: Size, what: str, ids: Ints) -> Ints:
    """What is looked at or bought, by the draw `what`: popular products more often."""
    categories = WORLD.pick_categories(c.draw("category" + what, ids))
    return np.asarray(WORLD.pick_products(categories, c.draw("product" + what, ids)) % size.products)


def orders(size: Size, number: int) -> Orders:
    """All orders that come in on day `number` (from 0), one to three lines each: a few of them happened up to three days before."""
    count = size.daily_orders
    ids = np.arange(number * count, (number + 1) * count, dtype=np.int64)
    is_late = (c.draw("late", ids) < _LATE_SHARE) & (number > 0)
    late = np.where(is_late, (c.draw("late by", ids) * min(_LATE_DAYS, number) * DAY_MICROS).astype(np.int64), 0)
    moment = day_start(number) + (c.draw("moment", ids) * 86_400_000).astype(np.int64) * 1000
    ends = np.concatenate([[0], np.cumsum(1 + c.code(c.draw("lines", ids), 3))])
    lines = np.arange(ends[-1]) + int(ids[0]) * 3
    product = products(size, "", lines)
    return Orders(
        ids=ids,
        at=moment - late,
        is_late=is_late,
        user=customers(size, "user", ids),
        country=c.code(c.draw("country", ids), len(COUNTRIES)),
        payment=c.code(c.draw("payment", ids), len(PAYMENT_METHODS)),
        ends=ends,
        product=product,
        quantity=1 + (c.draw("quantity", lines) ** 4 * 5).astype(np.int64),
        cents=WORLD.product_cents(product),
    )


def arrivals(size: Size, number: int) -> pa.Table:
    """The orders of day `number` as rows of `silver/transactions`."""
    made = orders(size, number)
    kind = TRANSACTIONS.schema.field("products").type
    lines = pa.StructArray.from_arrays(
        [c.text(product_chars(made.product)), pa.array(made.quantity, pa.int32()), c.money(made.cents)],
        fields=list(kind.value_type),
    )
    return arrived(
        TRANSACTIONS,
        number,
        made.ids,
        {
            "timestamp": c.times(made.at),
            "transaction_id": c.text(digit_chars("T", made.ids, 9)),
            "user_id": c.text(user_chars(made.user)),
            "session_id": c.text(digit_chars("S", made.ids, 9)),
            "cart_id": pa.nulls(len(made.ids), pa.string()),
            "country": c.named(made.country, COUNTRIES),
            "products": c.lists(made.ends, lines, kind),
            "total_amount": c.money(made.total),
            "payment_method": c.named(made.payment, PAYMENT_METHODS),
            "is_late": pa.array(made.is_late),
        },
    )


def arrived(table: Table, number: int, ids: Ints, values: dict[str, pa.Array]) -> pa.Table:
    """Rows of a table of silver that come in on day `number`: `values` by column, and what the stream adds; `ids` are the offsets."""
    count = len(ids)
    arrival = c.times(np.full(count, day_start(number) + DAY_MICROS))
    topic = table.name if table.name in CONTRACTS else TRANSACTIONS.name
    added: dict[str, pa.Array] = {
        "event_id": c.text(digit_chars("E", ids, 9 if count == 0 or ids.max() < 10**9 else 11)),
        "event_type": c.same(CONTRACTS[topic].event_type, count),
        "topic": c.same(topic, count),
        "kafka_at": arrival,
        "ingested_at": arrival,
        "is_late": pa.array(np.zeros(count, dtype=np.bool_)),
        "schema_version": pa.array(np.ones(count), pa.int32()),
        "partition": pa.array(np.zeros(count), pa.int32()),
        "batch_id": pa.array(np.full(count, number), pa.int64()),
        **values,
    }
    numbers = pa.array(ids)  # offsets, and hashes that nothing in batch work reads
    return pa.table([added.get(name, numbers) for name in table.schema.names], schema=table.schema)
