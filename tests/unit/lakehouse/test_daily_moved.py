"""`lakehouse.daily`: marts of all order lines, a day out of an earlier one where that fits, with the rows of a full computation."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from mart_data import DAY, LEAP_DAY, shop
from pyspark.sql import SparkSession
from star_rows import arrow, line, swap_entry

from lakehouse import batch, daily, earlier
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.overtaken import Made
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import COHORT_RETENTION, CUSTOMER_LIFETIME_VALUE, LEDGER_STREAMING, TRANSACTION_ITEMS
from lakehouse.transforms.state import State

COHORTS, LIFETIME = (mart for mart in daily.MARTS if mart.table in {COHORT_RETENTION, CUSTOMER_LIFETIME_VALUE})
D13, D14 = date(2026, 3, 13), date(2026, 3, 14)


def add(lake: Settings, rows: pa.Table) -> None:
    write_deltalake(delta_uri(lake, TRANSACTION_ITEMS), rows, mode="append")


def make(spark: SparkSession, lake: Settings, mart: daily.Mart, day: date, *, in_full: bool = False) -> Made:
    versions = {TRANSACTION_ITEMS.path: open_table(lake, TRANSACTION_ITEMS).version()}
    return daily.make(spark, lake, mart, day, versions, in_full=in_full)


def rows(lake: Settings, mart: daily.Mart, day: date) -> list[dict[str, Any]]:
    of_day = open_table(lake, mart.table).to_pyarrow_table(filters=[("as_of_date", "=", day)])
    order = [(name, "ascending") for name in mart.table.key]
    found: list[dict[str, Any]] = of_day.select(mart.table.schema.names).sort_by(order).to_pylist()
    return found


def arriving(seed: int) -> list[pa.Table]:
    """The lines of a random shop as three loads of silver: what came by 28 February, by 29 February and later; a tenth came a load or two late."""
    rng = random.Random(seed)
    loads: tuple[list[dict[str, Any]], ...] = ([], [], [])
    for number, row in enumerate(shop(seed, 400, days=150, users=60).lines.to_pylist()):
        day = row["sales_date"]
        on_time = 0 if day < LEAP_DAY else 1 if day == LEAP_DAY else 2
        load = min(2, on_time + (rng.choice((1, 2)) if rng.random() < 0.1 else 0))
        arrived = line(number, "01 00:00", "", "", batch_id=load + 1)
        loads[load].append({**arrived, **{name: row[name] for name in row if name in arrived}})
    return [arrow(TRANSACTION_ITEMS, load) for load in loads]


@pytest.mark.parametrize("mart", [COHORTS, LIFETIME], ids=lambda mart: mart.table.name)
def test_days_out_of_earlier_ones_have_the_rows_of_a_full_computation(
    spark: SparkSession, file_settings: Settings, mart: daily.Mart
) -> None:
    days = (LEAP_DAY - timedelta(days=1), LEAP_DAY, DAY)
    for day, load in zip(days, arriving(7), strict=True):
        add(file_settings, load)
        made = make(spark, file_settings, mart, day)
        moved = rows(file_settings, mart, day)
        assert make(spark, file_settings, mart, day, in_full=True).made_from == "in full: it was asked for in full"
        assert rows(file_settings, mart, day) == moved != []
        assert daily.differences(spark, file_settings, day, mart) == 0
        before = days[max(days.index(day) - 1, 0)]
        assert made.made_from.startswith("in full: no earlier day" if day == days[0] else f"{before} and ")


@pytest.mark.parametrize("mart", [COHORTS, LIFETIME], ids=lambda mart: mart.table.name)
def test_a_late_first_purchase_moves_a_customer_and_leaves_no_trace(
    spark: SparkSession, file_settings: Settings, mart: daily.Mart
) -> None:
    add(file_settings, arrow(TRANSACTION_ITEMS, [line(1, "02 09:00", "ada", "pen", country="GB")]))
    make(spark, file_settings, mart, D13)
    late = line(2, "01 09:00", "ada", "pen") | {
        "timestamp": line(2, "01 09:00", "", "")["timestamp"] - timedelta(days=40)
    }
    add(file_settings, arrow(TRANSACTION_ITEMS, [late]))
    assert make(spark, file_settings, mart, D14).made_from == "2026-03-13 and 1 customers that have other lines since"
    moved = rows(file_settings, mart, D14)
    make(spark, file_settings, mart, D14, in_full=True)
    assert moved == rows(file_settings, mart, D14)
    if mart is COHORTS:
        assert {(row["cohort_month"], row["country"]) for row in moved} == {
            (date(2026, 1, 1), "DE"), (date(2026, 1, 1), "all")
        }  # fmt: skip


def test_a_day_that_is_wrong_is_found_by_the_full_computation(spark: SparkSession, file_settings: Settings) -> None:
    add(file_settings, arrow(TRANSACTION_ITEMS, [line(1, "02 09:00", "ada", "pen"), line(2, "02 09:00", "bob", "pen")]))
    make(spark, file_settings, LIFETIME, D13)
    open_table(file_settings, CUSTOMER_LIFETIME_VALUE).update(predicate="user_id = 'bob'", updates={"frequency": "7"})
    assert daily.differences(spark, file_settings, D13, LIFETIME) == 2  # one that is there and one that should be
    make(spark, file_settings, LIFETIME, D14)
    assert daily.differences(spark, file_settings, D14, LIFETIME) > 0  # and it is carried on until it is made in full


def test_what_does_not_fit_is_computed_in_full_and_says_why(
    spark: SparkSession, file_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = file_settings
    add(lake, arrow(TRANSACTION_ITEMS, [line(n, "02 09:00", user, "pen") for n, user in ((1, "ada"), (2, "bob"))]))
    make(spark, lake, COHORTS, D13)
    newer = [line(3, "14 09:00", "ada", "pen", line_amount=Decimal(MONEY_MAX)), line(4, "14 09:00", "bob", "pen")]
    add(lake, arrow(TRANSACTION_ITEMS, newer))
    monkeypatch.setattr(earlier, "MOST_CHANGED", 1)
    flood = "in full: more than 1 customers have changed since 2026-03-13"
    assert make(spark, lake, COHORTS, D14).made_from == flood
    monkeypatch.undo()
    clipped = f"in full: a sum of 2026-03-14 is {MONEY_MAX} USD or more"
    assert make(spark, lake, COHORTS, date(2026, 3, 15)).made_from == clipped
    assert earlier.state(lake, COHORT_RETENTION, TRANSACTION_ITEMS, D14, 1, 4) == State(D13, 2)
    write_deltalake(delta_uri(lake, LEDGER_STREAMING), swap_entry(4), mode="append")
    assert make(spark, lake, COHORTS, D14).made_from.startswith("in full: silver/transaction_items was rebuilt after")
    batch.replace_days(
        batch.read(spark, lake, COHORT_RETENTION),
        lake,
        COHORT_RETENTION,
        [D13, D14, date(2026, 3, 15)],
        {TRANSACTION_ITEMS.path: 0},
    )
    assert (
        make(spark, lake, COHORTS, D14).made_from == "in full: the commit of 2026-03-13 does not say what it has seen"
    )
