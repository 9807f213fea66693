"""`lakehouse.customer_rfm` on a lake of files: a day out of an earlier one where that fits, in full where not, the same rows both ways."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from broken_rules import broken
from deltalake import write_deltalake
from pyspark.sql import DataFrame, SparkSession
from rfm_orders import Order, in_full, silver
from star_rows import swap_entry

from lakehouse import batch, customer_rfm
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.customer_rfm import Made, differences
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, LEDGER_STREAMING, TRANSACTIONS
from lakehouse.transforms.state import State

D12, D13, D14, D16 = (date(2026, 3, day) for day in (12, 13, 14, 16))
FIRST: list[Order] = [
    (1, "ada", "2025-03-14T09:00:00", "5.00"),  # leaves on the 14th
    (1, "bob", "2025-03-14T09:00:00", "5.00"),
    (1, "bob", "2026-02-01T09:00:00", "5.00"),
    (1, "eve", "2026-03-13T23:59:59.999", "7.00"),
    (2, "eve", "2026-03-14T00:00:00", "7.00"),  # came before its day was made
]
SECOND: list[Order] = [
    (3, "cat", "2026-03-14T08:00:00", "1.00"),
    (3, "bob", "2026-03-11T08:00:00", "2.00"),  # late
    (3, "ada", "2026-03-15T08:00:00", "2.00"),  # back again, after the 14th
]


@pytest.fixture
def lake(file_settings: Settings) -> Settings:
    add(file_settings, FIRST)
    return file_settings


def add(settings: Settings, orders: list[Order]) -> None:
    write_deltalake(delta_uri(settings, TRANSACTIONS), silver(orders), mode="append")


def make(spark: SparkSession, settings: Settings, day: date) -> Made:
    return customer_rfm.make(spark, settings, day, open_table(settings, TRANSACTIONS).version())


def rows(settings: Settings, day: date) -> list[tuple[Any, ...]]:
    table = open_table(settings, CUSTOMER_RFM).to_pyarrow_table(filters=[("as_of_date", "=", day)])
    return sorted(tuple(row.values()) for row in table.select(CUSTOMER_RFM.schema.names).to_pylist())


def test_days_in_order_late_twice_and_left_out_are_increments_with_the_rows_of_a_full_computation(
    spark: SparkSession, lake: Settings
) -> None:
    made = make(spark, lake, D13)
    assert (made.is_increment, made.reason) == (False, "in full: no earlier day is there")
    before = rows(lake, D13)
    assert before == in_full(FIRST, D13)
    add(lake, SECOND)
    for _ in range(2):
        made = make(spark, lake, D14)
        assert (made.is_increment, made.reason) == (True, "2026-03-13 and 4 customers that have changed since")
        assert rows(lake, D14) == in_full(FIRST + SECOND, D14)
    assert rows(lake, D13) == before
    assert make(spark, lake, D16).is_increment
    assert rows(lake, D16) == in_full(FIRST + SECOND, D16)


def test_a_state_that_is_wrong_is_found_by_the_full_computation_and_one_without_rows_is_not_used(
    spark: SparkSession, lake: Settings
) -> None:
    make(spark, lake, D13)
    assert differences(spark, lake, D13) == 0
    open_table(lake, CUSTOMER_RFM).update(predicate="user_id = 'bob'", updates={"frequency": "7"})
    assert make(spark, lake, D14).is_increment
    assert (
        differences(spark, lake, D14) == 4
    )  # two rows that are there and two that should be: scores are of all customers
    open_table(lake, CUSTOMER_RFM).delete("as_of_date = '2026-03-13'")
    assert make(spark, lake, D14).reason == "in full: 2026-03-13 has no rows"
    assert rows(lake, D14) == in_full(FIRST, D14)


def test_sums_stop_at_the_largest_amount_and_one_that_stopped_is_not_moved_on(
    spark: SparkSession, file_settings: Settings
) -> None:
    most = str(MONEY_MAX)
    orders: list[Order] = [(1, "ada", "2026-03-01T09:00:00", most), (1, "ada", "2026-03-02T09:00:00", most)]
    orders += [(1, "bob", "2026-03-01T09:00:00", "5.00")]
    add(file_settings, orders)
    make(spark, file_settings, D13)
    found = []
    for day, order in (
        (D14, (2, "bob", "2026-03-14T09:00:00", most)),
        (D16, (3, "ada", "2026-03-15T09:00:00", "1.00")),
    ):
        orders.append(order)
        add(file_settings, [order])
        made = make(spark, file_settings, day)
        assert differences(spark, file_settings, day) == 0
        kept = [dict(zip(CUSTOMER_RFM.schema.names, row, strict=True)) for row in rows(file_settings, day)]
        views = {TRANSACTIONS: [{"user_id": user, "total_amount": Decimal(amount)} for _, user, _, amount in orders]}
        assert broken(spark, CUSTOMER_RFM, kept, views) == {}
        found.append((made.is_increment, [(row["user_id"], row["frequency"], row["monetary"]) for row in kept]))
    assert made.reason == f"in full: a sum of 2026-03-14 that has changed since is {most} USD or more"
    assert found == [
        (True, [("ada", 2, MONEY_MAX), ("bob", 2, MONEY_MAX)]),
        (False, [("ada", 3, MONEY_MAX), ("bob", 2, MONEY_MAX)]),
    ]


def test_only_a_day_whose_commit_fits_what_silver_is_now_is_a_state(spark: SparkSession, lake: Settings) -> None:
    def state(day: date, version: int, last: int) -> State | str:
        return customer_rfm._state(lake, day, version, last)

    batch.replace_days(kept(spark, "ada"), lake, CUSTOMER_RFM, [D13], {TRANSACTIONS.path: 4}, {TRANSACTIONS.path: 3})
    assert state(D14, 5, 9) == State(D13, 3)
    assert state(D13, 5, 9) == state(D12, 5, 9) == "no earlier day is there"
    assert state(date(2027, 3, 13), 5, 9) == "2026-03-13 shares no day with the window"
    assert state(date(2027, 3, 12), 5, 9) == State(D13, 3)
    seen_more = "2026-03-13 has seen more of silver/transactions than there is now"
    assert state(D14, 3, 9) == state(D14, 5, 2) == seen_more
    write_deltalake(delta_uri(lake, LEDGER_STREAMING), swap_entry(3), mode="append")
    assert state(D14, 5, 9) == State(D13, 3)
    write_deltalake(delta_uri(lake, LEDGER_STREAMING), swap_entry(4), mode="append")
    assert state(D14, 5, 9) == "silver/transactions was rebuilt after 2026-03-13 was made"
    batch.replace_days(kept(spark, "ada"), lake, CUSTOMER_RFM, [D13], {TRANSACTIONS.path: 5})
    assert state(D14, 5, 9) == "the commit of 2026-03-13 does not say what it has seen"


def test_a_flood_of_changes_and_too_many_customers_are_computed_in_full(
    spark: SparkSession, lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(spark, lake, D13)
    add(lake, SECOND)
    monkeypatch.setattr(customer_rfm, "MOST_CHANGED", 3)
    made = make(spark, lake, D14)
    assert made.reason == "in full: more than 3 customers have changed since 2026-03-13"
    monkeypatch.setattr(customer_rfm, "MOST_CHANGED", 4)
    monkeypatch.setattr(customer_rfm, "MOST_KEPT", 2)
    assert make(spark, lake, D14).reason == "in full: 2026-03-13 has 3 customers"
    assert rows(lake, D14) == in_full(FIRST + SECOND, D14)
    monkeypatch.setattr(customer_rfm, "MOST_KEPT", 3)
    assert make(spark, lake, D14).is_increment
    assert rows(lake, D14) == in_full(FIRST + SECOND, D14)


def kept(spark: SparkSession, user: str) -> DataFrame:
    """A row of the 13th."""
    values = [D13, user, 364, 1, Decimal("5.00"), 5, 5, 5, "champions"]
    row = dict(zip(CUSTOMER_RFM.schema.names, values, strict=True))
    return spark.createDataFrame(pa.Table.from_pylist([row], schema=CUSTOMER_RFM.schema))
