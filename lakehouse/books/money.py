"""The money side of the books: silver against gold, exact to the cent, located by order and by micro-batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.books.positions import Difference, ranges
from lakehouse.books.reading import Read
from lakehouse.dedup import Int64s
from lakehouse.tables import ORDERS_BY_MINUTE, SALES_BY_MINUTE, TRANSACTION_ITEMS

_HUNDRED = pa.scalar(Decimal(100), pa.decimal128(3, 0))


@dataclass(frozen=True)
class MoneyLine:
    """One comparison in USD: what silver says of `table`'s total, and what the table itself says."""

    table: str
    silver: Decimal
    gold: Decimal


def compare(orders: Read, items: Read, sales: Read, by_payment: Read) -> tuple[list[MoneyLine], list[Difference]]:
    """Orders against their lines, and both against the partial sums of gold, batch by batch.

    Takes `silver/transactions` (total_amount, products, batch_id), `silver/transaction_items` (line_amount, batch_id), and the
    two gold tables (revenue, batch_id).
    """
    lines = [
        MoneyLine(TRANSACTION_ITEMS.path, _total(orders.rows["total_amount"]), _total(items.rows["line_amount"])),
        MoneyLine(SALES_BY_MINUTE.path, _total(items.rows["line_amount"]), _total(sales.rows["revenue"])),
        MoneyLine(ORDERS_BY_MINUTE.path, _total(orders.rows["total_amount"]), _total(by_payment.rows["revenue"])),
    ]
    differences = [
        *_orders_against_lines(orders, items),
        *_against_gold(items, "line_amount", sales, SALES_BY_MINUTE.path),
        *_against_gold(orders, "total_amount", by_payment, ORDERS_BY_MINUTE.path),
    ]
    return lines, differences


def _total(column: pa.ChunkedArray) -> Decimal:
    return pc.sum(column.cast(pa.decimal128(38, 2))).as_py() or Decimal("0.00")


def _cents(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(pc.multiply(column.cast(pa.decimal128(20, 2)), _HUNDRED).cast(pa.int64()).to_numpy())


def _sums(keys: Int64s, cents: Int64s) -> tuple[Int64s, Int64s]:
    """Sorted unique keys and the sum of `cents` for each."""
    unique, inverse = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(unique), dtype=np.int64)
    np.add.at(sums, inverse, cents)
    return unique, sums


def _unequal(a: tuple[Int64s, Int64s], b: tuple[Int64s, Int64s]) -> Int64s:
    """Keys whose sums differ, or that only one side has with a sum other than 0."""
    keys = np.union1d(a[0], b[0])
    sides = []
    for own, sums in (a, b):
        side = np.zeros(len(keys), dtype=np.int64)
        side[np.searchsorted(keys, own)] = sums
        sides.append(side)
    unequal: Int64s = keys[sides[0] != sides[1]]
    return unequal


def _orders_against_lines(orders: Read, items: Read) -> Iterator[Difference]:
    totals = _sums(orders.rows["position"].to_numpy(), _cents(orders.rows["total_amount"]))
    items_sums = _sums(items.rows["position"].to_numpy(), _cents(items.rows["line_amount"]))
    yield from ranges(_unequal(totals, items_sums), "silver/transactions and silver/transaction_items differ in money")
    lists = orders.rows["products"].combine_chunks()
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    if len(lists):
        parents = pc.list_parent_indices(lists).to_numpy()
        flat = pc.list_flatten(lists)
        amounts = pc.multiply(flat.field("price"), flat.field("quantity").cast(pa.decimal128(10, 0)))
        own = _sums(orders.rows["position"].to_numpy()[parents], _cents(pa.chunked_array([amounts])))
        yield from ranges(_unequal(totals, own), "silver/transactions: total_amount is not the sum of its products")


def _against_gold(silver: Read, amount: str, gold: Read, path: str) -> Iterator[Difference]:
    own = _sums(silver.rows["batch_id"].to_numpy(), _cents(silver.rows[amount]))
    theirs = _sums(gold.rows["batch_id"].to_numpy(), _cents(gold.rows["revenue"]))
    batches = silver.rows["batch_id"].to_numpy()
    for batch in _unequal(own, theirs).tolist():
        positions = np.unique(silver.rows["position"].to_numpy()[batches == batch])
        what = f"{path} and silver differ in money in batch {batch}"
        found = list(_spans(positions, what))
        yield from found or [Difference("transactions", -1, -1, -1, f"{what}, which silver does not have")]


def _spans(positions: Int64s, what: str) -> Iterator[Difference]:
    """One range per partition, from the lowest to the highest position."""
    by_partition: dict[tuple[str, int], list[Difference]] = {}
    for run in ranges(positions, what):
        by_partition.setdefault((run.topic, run.partition), []).append(run)
    for (topic, partition), runs in by_partition.items():
        yield Difference(topic, partition, runs[0].first_offset, runs[-1].last_offset, what)
