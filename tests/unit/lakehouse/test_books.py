"""Ranges, counts and money of the books; the proof as a whole is tested on the real stack."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
from test_sales import NINE, line, order, table

from lakehouse.books.money import compare
from lakehouse.books.positions import Difference, count_in, interval, missing, ranges, repeated
from lakehouse.books.reading import Read
from lakehouse.catalogue import Catalogue
from lakehouse.transforms.sales import order_lines


def test_missing_positions_become_ranges_per_partition():
    kafka = np.concatenate([interval("users", 0, 0, 10), interval("users", 1, 0, 3)])
    lake = np.concatenate([interval("users", 0, 0, 4), interval("users", 0, 6, 9), interval("users", 1, 1, 3)])
    assert list(ranges(missing(kafka, lake), "gone")) == [
        Difference("users", 0, 4, 5, "gone"),
        Difference("users", 0, 9, 9, "gone"),
        Difference("users", 1, 0, 0, "gone"),
    ]


def test_last_offset_of_one_partition_and_first_of_the_next_are_two_ranges():
    positions = np.concatenate([interval("users", 0, 2**44 - 1, 2**44), interval("users", 1, 0, 1)])
    assert [r.partition for r in ranges(positions, "x")] == [0, 1]


def test_repeated_positions_are_told_once():
    positions = np.sort(
        np.concatenate([interval("users", 0, 0, 5), interval("users", 0, 2, 4), interval("users", 0, 3, 4)])
    )
    assert list(ranges(repeated(positions), "twice")) == [Difference("users", 0, 2, 3, "twice")]


def test_counts_are_per_partition():
    positions = np.concatenate([interval("transactions", 3, 0, 4), interval("product_views", 0, 0, 2)])
    assert [count_in(positions, "transactions", p) for p in (2, 3, 4)] == [0, 4, 0]
    assert count_in(positions, "product_views", 0) == 2


def sides():
    orders = table(
        order(1, NINE, "DE", "paypal", line("p1", 3, "0.10")), order(2, NINE, "DE", "paypal", line("p1", 1, "5.00"))
    )
    items = order_lines(orders, Catalogue())

    def read(rows, *columns):
        positions = interval("transactions", 0, 1, 3)
        return Read(rows.select(columns).append_column("position", pa.array(positions)))

    sums = Read(pa.table({"revenue": pa.array([Decimal("5.30")], pa.decimal128(18, 2)), "batch_id": [3]}))
    return read(orders, "total_amount", "products", "batch_id"), read(items, "line_amount", "batch_id"), sums


def test_equal_money_has_no_difference():
    orders, items, sums = sides()
    lines, differences = compare(orders, items, sums, sums)
    assert [(m.table, m.silver, m.gold) for m in lines] == [
        ("silver/transaction_items", Decimal("5.30"), Decimal("5.30")),
        ("gold/sales_by_minute", Decimal("5.30"), Decimal("5.30")),
        ("gold/orders_by_minute", Decimal("5.30"), Decimal("5.30")),
    ]
    assert differences == []


def test_a_changed_amount_is_located_by_offset_and_by_batch():
    orders, items, sums = sides()
    amounts = pa.array([Decimal("0.30"), Decimal("5.01")], pa.decimal128(18, 2))
    changed = Read(orders.rows.set_column(0, "total_amount", amounts))
    _, differences = compare(changed, items, sums, sums)
    assert differences == [
        Difference("transactions", 0, 2, 2, "silver/transactions and silver/transaction_items differ in money"),
        Difference("transactions", 0, 2, 2, "silver/transactions: total_amount is not the sum of its products"),
        Difference("transactions", 0, 1, 2, "gold/orders_by_minute and silver differ in money in batch 3"),
    ]


def test_two_errors_that_cancel_out_are_found_all_the_same():
    orders, items, sums = sides()
    amounts = pa.array([Decimal("0.31"), Decimal("4.99")], pa.decimal128(18, 2))
    lines, differences = compare(Read(orders.rows.set_column(0, "total_amount", amounts)), items, sums, sums)
    assert all(one.silver == one.gold for one in lines)
    assert {(d.first_offset, d.last_offset) for d in differences} == {(1, 2)}
