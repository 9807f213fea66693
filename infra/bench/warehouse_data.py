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

from infra.cache import content_name, make_once
from ingestion.hashing import Floats, Ints, digit_chars, key64, uniform
from ingestion.world import USER_COUNT, World, product_chars, user_chars
from lakehouse.contracts.base import COUNTRIES, PAYMENT_METHODS
from lakehouse.maintenance import WRITER
from lakehouse.tables import MONEY, TRANSACTIONS
from lakehouse.transforms.rfm import WINDOW_DAYS

LAST_DAY = date(2026, 3, 15)
DAYS = WINDOW_DAYS + 1
CUSTOMERS_PER_PRODUCT = 40
CUSTOMERS_PER_DAILY_ORDER = 100
_FORMAT = 1  # to be raised with every change of what is made
_SEED = 20
_LATE_SHARE, _LATE_DAYS = 0.01, 3
# Of N customers the one of rank N * draw ** 1.5 buys: the first tenth of them buys a fifth.
_SKEW = 1.5
_LEAST_ROWS = 100_000
_DAY_MICROS = 86_400_000_000


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
        for days in _commits(size):
            write_deltalake(
                folder / TRANSACTIONS.path,
                pa.concat_tables(_arrivals(size, number) for number in days),
                mode="append",
                configuration=TRANSACTIONS.properties,
                writer_properties=WRITER,
            )

    return make_once(name, make, on_wait=lambda: say("another benchmark makes the data: waiting for it"))


def _commits(size: Size) -> list[range]:
    """The days of each commit: as many as make a file of fair size, and the last day alone, so that the version before does not know it."""
    days = max(_LEAST_ROWS // size.daily_orders, 1)
    return [*(range(first, min(first + days, DAYS - 1)) for first in range(0, DAYS - 1, days)), range(DAYS - 1, DAYS)]


def _arrivals(size: Size, number: int) -> pa.Table:
    """All rows that come in on day `number` (from 0): a few of them happened up to three days before."""
    count = size.daily_orders
    ids = np.arange(number * count, (number + 1) * count, dtype=np.int64)
    world = World(_SEED)
    rank = (_draw("user", ids) ** _SKEW * min(size.customers, USER_COUNT)).astype(np.int64)
    start = (LAST_DAY - timedelta(days=DAYS - 1 - number) - date(1970, 1, 1)).days * _DAY_MICROS
    is_late = (_draw("late", ids) < _LATE_SHARE) & (number > 0)
    late = np.where(is_late, (_draw("late by", ids) * min(_LATE_DAYS, number) * _DAY_MICROS).astype(np.int64), 0)
    moment = start + (_draw("moment", ids) * 86_400_000).astype(np.int64) * 1000
    products, total = _lines(size, world, ids)
    arrival = pa.array(np.full(count, start + _DAY_MICROS), pa.timestamp("us", tz="UTC"))
    values: dict[str, pa.Array] = {
        "event_id": _text(digit_chars("E", ids, 9)),
        "event_type": _same("transaction", count),
        "timestamp": pa.array(moment - late, pa.timestamp("us", tz="UTC")),
        "transaction_id": _text(digit_chars("T", ids, 9)),
        "user_id": _text(user_chars(world.user_of_rank(rank))),
        "session_id": _text(digit_chars("S", ids, 9)),
        "cart_id": pa.nulls(count, pa.string()),
        "country": _one_of(COUNTRIES, _draw("country", ids)),
        "products": products,
        "total_amount": _money(total),
        "payment_method": _one_of(PAYMENT_METHODS, _draw("payment", ids)),
        "topic": _same("transactions", count),
        "kafka_at": arrival,
        "ingested_at": arrival,
        "is_late": pa.array(is_late),
        "schema_version": pa.array(np.ones(count), pa.int32()),
        "partition": pa.array(np.zeros(count), pa.int32()),
        "batch_id": pa.array(np.full(count, number), pa.int64()),
    }
    numbers = pa.array(ids)  # offsets, and hashes that nothing in batch work reads
    return pa.table([values.get(name, numbers) for name in TRANSACTIONS.schema.names], schema=TRANSACTIONS.schema)


def _lines(size: Size, world: World, ids: Ints) -> tuple[pa.Array, Ints]:
    """One to three lines per order, and the orders' totals in cents."""
    ends = np.concatenate([[0], np.cumsum(1 + (_draw("lines", ids) * 3).astype(np.int64))])
    lines = np.arange(ends[-1]) + int(ids[0]) * 3
    categories = world.pick_categories(_draw("category", lines))
    product = world.pick_products(categories, _draw("product", lines)) % size.products
    quantity = 1 + (_draw("quantity", lines) ** 4 * 5).astype(np.int64)
    cents = world.product_cents(product)
    structs = pa.StructArray.from_arrays(
        [_text(product_chars(product)), pa.array(quantity, pa.int32()), _money(cents)],
        fields=list(TRANSACTIONS.schema.field("products").type.value_type),
    )
    kind = TRANSACTIONS.schema.field("products").type
    array = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), structs, type=kind)
    return array, np.add.reduceat(quantity * cents, ends[:-1])


def _draw(what: str, ids: Ints) -> Floats:
    return uniform(key64("bench warehouse", what), ids)


def _text(chars: npt.NDArray[np.uint8]) -> pa.Array:
    """The rows of an ASCII character matrix as texts, without a Python object for each."""
    offsets = np.arange(len(chars) + 1, dtype=np.int32) * chars.shape[1]
    return pa.StringArray.from_buffers(len(chars), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(chars)))


def _same(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)


def _one_of(values: tuple[str, ...], draws: Floats) -> pa.Array:
    codes = pa.array((draws * len(values)).astype(np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.string())).cast(pa.string())


def _money(cents: Ints) -> pa.Array:
    halves = np.stack([cents, cents >> 63], axis=1)  # a decimal is its unscaled number in 128 bits
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(np.ascontiguousarray(halves))])
