"""`lakehouse.star` on a lake of files: days in any order, late records and late changes, done twice, anew, and the checks of all of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from star_rows import arrow, at, change, line, product, session, user
from xxh64 import surrogate_key

from lakehouse import batch, star
from lakehouse.quality import views
from lakehouse.quality.check import Report, validate
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import (
    BY_PATH,
    DIM_PRODUCT,
    DIM_USER,
    FACT_INVENTORY_DAILY,
    FACT_SALES,
    FACT_SESSIONS,
    INVENTORY_EVENTS,
    PRODUCTS,
    SESSIONS,
    TRANSACTION_ITEMS,
    USERS,
    Table,
)
from lakehouse.transforms.scd2 import BEGINNING

STREAMING = (USERS, PRODUCTS, TRANSACTION_ITEMS, INVENTORY_EVENTS, SESSIONS)
DAYS = [date(2026, 3, day) for day in (13, 14, 15)]

ADA, BOB = surrogate_key("ada", at("13 00:00")), surrogate_key("bob", at("13 00:00"))
EVE, PEN = surrogate_key("eve", BEGINNING), surrogate_key("pen", at("13 00:00"))


def add(settings: Settings, **rows: list[dict[str, Any]]) -> None:
    """Append rows to silver and gold/sessions, by table name; a table not named is made where it is missing."""
    for table in STREAMING:
        write_deltalake(delta_uri(settings, table), arrow(table, rows.get(table.name, [])), mode="append")


@pytest.fixture
def lake(file_settings: Settings, spark: SparkSession) -> Settings:
    """Two customers and a pen; on the 13th and the 14th each buys one, Eve never registers."""
    add(
        file_settings,
        users=[user(1, "13 00:00", "ada"), user(2, "13 00:00", "bob")],
        products=[product(3, "13 00:00", "pen")],
        transaction_items=[
            line(4, "13 09:00", "ada", "pen"),
            line(5, "13 23:59:59.999", "bob", "pen"),
            line(6, "14 00:00", "bob", "pen"),
            line(7, "14 09:00", "eve", "pen"),
        ],
        sessions=[session(8, "13 23:50", "14 00:10", "bob", order_count=2), session(9, "14 08:50", "14 09:10", "eve")],
    )
    for path in star.FIXED:
        star.make_fixed(spark, file_settings, BY_PATH[path])
    return file_settings


def dimensions(spark: SparkSession, settings: Settings) -> None:
    """Both versioned dimensions at the streaming tables' newest versions."""
    versions = {table.path: batch.version_at(settings, table, {}) for table in STREAMING}
    for dimension in star.DIMENSIONS:
        star.make_dimension(spark, settings, dimension, versions)


def make(spark: SparkSession, settings: Settings, fact: star.Fact, *days: date) -> list[tuple[date, ...]]:
    """The days that each run made again beside its own."""
    return [star.make_fact(spark, settings, fact, day).repaired for day in days]


def rows(settings: Settings, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    found = open_table(settings, table).to_pyarrow_table(columns=list(columns or table.schema.names))
    return sorted((tuple(row.values()) for row in found.to_pylist()), key=str)


def keys(settings: Settings) -> dict[str, tuple[date, int]]:
    """Day and customer's key of each order."""
    return {row[0]: row[1:] for row in rows(settings, FACT_SALES, "transaction_id", "sales_date", "user_key")}


def failures(report: Report) -> list[str]:
    return [outcome.expectation for outcome in report.failed]


def test_days_made_in_any_order_and_twice_have_each_line_once(spark: SparkSession, lake: Settings) -> None:
    dimensions(spark, lake)
    assert make(spark, lake, star.SALES, DAYS[1], DAYS[0], DAYS[1], DAYS[2]) == [(), (), (), ()]
    assert keys(lake) == {
        "t4": (DAYS[0], ADA),
        "t5": (DAYS[0], BOB),
        "t6": (DAYS[1], BOB),
        "t7": (DAYS[1], EVE),
    }
    assert {row[0] for row in rows(lake, FACT_SALES, "product_key")} == {PEN}


def test_a_late_change_and_a_late_registration_repair_the_days_that_they_touch_and_no_other_key(
    spark: SparkSession, lake: Settings
) -> None:
    dimensions(spark, lake)
    make(spark, lake, star.SALES, *DAYS[:2])
    before = keys(lake)
    add(lake, users=[user(10, "13 23:00", "bob", "US"), user(11, "14 08:00", "eve"), user(12, "15 00:00", "ada", "US")])
    dimensions(spark, lake)
    assert make(spark, lake, star.SALES, DAYS[2], DAYS[2]) == [(DAYS[0], DAYS[1]), ()]
    moved = surrogate_key("bob", at("13 23:00"))
    assert keys(lake) == before | {
        "t5": (DAYS[0], moved),
        "t6": (DAYS[1], moved),
        "t7": (DAYS[1], surrogate_key("eve", at("14 08:00"))),
    }


def test_a_late_line_is_in_its_day_after_the_next_run_of_any_day_and_a_coming_day_waits(
    spark: SparkSession, lake: Settings
) -> None:
    dimensions(spark, lake)
    make(spark, lake, star.SALES, *DAYS[:2])
    add(lake, transaction_items=[line(20, "13 12:00", "ada", "pen"), line(21, "15 12:00", "ada", "pen")])
    assert make(spark, lake, star.SALES, DAYS[1]) == [()]  # the dimensions are of an older cut, and so are the facts
    dimensions(spark, lake)
    assert make(spark, lake, star.SALES, DAYS[1]) == [(DAYS[0],)]
    assert sorted(keys(lake)) == ["t20", "t4", "t5", "t6", "t7"]
    assert keys(lake)["t20"] == (DAYS[0], ADA)


def test_a_day_that_was_empty_gets_its_late_line(spark: SparkSession, lake: Settings) -> None:
    dimensions(spark, lake)
    make(spark, lake, star.SALES, DAYS[2])
    assert keys(lake) == {}
    add(lake, transaction_items=[line(20, "15 12:00", "ada", "pen")])
    dimensions(spark, lake)
    assert make(spark, lake, star.SALES, DAYS[0]) == [(DAYS[2],)]
    assert sorted(keys(lake)) == ["t20", "t4", "t5"]


def test_a_late_delivery_moves_the_levels_of_all_days_after_it(spark: SparkSession, lake: Settings) -> None:
    dimensions(spark, lake)
    make(spark, lake, star.INVENTORY, *DAYS)
    columns = ("date", "opening_level", "received", "sold", "closing_level")
    assert rows(lake, FACT_INVENTORY_DAILY, *columns) == [(DAYS[0], 0, 0, 2, 8), (DAYS[1], 8, 0, 2, 6)]
    add(lake, inventory_events=[change(20, "13 12:00", "pen", 5)])
    dimensions(spark, lake)
    assert make(spark, lake, star.INVENTORY, DAYS[2]) == [(DAYS[0], DAYS[1])]
    assert rows(lake, FACT_INVENTORY_DAILY, *columns) == [(DAYS[0], 0, 5, 2, 13), (DAYS[1], 13, 0, 2, 11)]


def test_a_session_that_closes_after_its_day_was_made_comes_with_the_next(spark: SparkSession, lake: Settings) -> None:
    add(lake, sessions=[session(10, "13 23:55", "13 23:55", "ada", is_open=True)])
    dimensions(spark, lake)
    make(spark, lake, star.SESSIONS, DAYS[0])
    columns = ("started_date", "user_key", "order_count")
    assert rows(lake, FACT_SESSIONS, *columns) == [(DAYS[0], BOB, 2)]
    add(lake, sessions=[session(11, "13 23:55", "14 00:20", "ada")])
    dimensions(spark, lake)
    assert make(spark, lake, star.SESSIONS, DAYS[1]) == [(DAYS[0],)]
    assert rows(lake, FACT_SESSIONS, *columns) == sorted(
        [(DAYS[0], ADA, 1), (DAYS[0], BOB, 2), (DAYS[1], EVE, 1)], key=str
    )


@pytest.mark.long  # a minute of planning: dozens of runs
def test_what_grew_through_repairs_equals_what_is_made_anew(
    spark: SparkSession, lake: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    late = {
        "users": [user(10, "13 23:00", "bob", "US"), user(11, "14 08:00", "eve")],
        "products": [product(12, "13 12:00", "pen", "3.00")],
        "transaction_items": [line(20, "13 12:00", "kim", "ink", 3)],
        "inventory_events": [change(21, "13 13:00", "ink", -1, "correction")],
        "sessions": [session(22, "13 11:50", "13 12:10", "kim")],
    }
    for step in ({}, late):
        add(lake, **step)
        dimensions(spark, lake)
        for fact in star.FACTS:
            make(spark, lake, fact, *DAYS)
    anew = Settings(
        _env_file=None,
        lake_uri=tmp_path_factory.mktemp("anew").as_uri(),
        jars_dir=lake.jars_dir,
        spark_master="local[2]",
    )
    for table in STREAMING:
        copied = open_table(lake, table).to_pyarrow_table()
        write_deltalake(delta_uri(anew, table), copied)
    dimensions(spark, anew)
    for fact in star.FACTS:
        make(spark, anew, fact, *DAYS)
    for table in (DIM_USER, DIM_PRODUCT, FACT_SALES, FACT_SESSIONS, FACT_INVENTORY_DAILY):
        assert rows(lake, table) == rows(anew, table), table.path
    assert len(rows(lake, FACT_SALES)) == 5


def test_all_checks_hold_of_a_star_with_inferred_members_and_repairs(spark: SparkSession, lake: Settings) -> None:
    dimensions(spark, lake)
    for fact in star.FACTS:
        make(spark, lake, fact, *DAYS)
    add(lake, users=[user(10, "13 23:00", "bob", "US")], transaction_items=[line(20, "13 12:00", "kim", "pen")])
    dimensions(spark, lake)
    for fact in star.FACTS:
        make(spark, lake, fact, DAYS[1])
        for day in DAYS:
            frame, views_of = views.of_fact(spark, lake, fact, day)
            assert failures(validate(frame, fact.table, views_of)) == []
    for dimension in star.DIMENSIONS:
        frame, views_of = views.of_dimension(spark, lake, dimension)
        assert failures(validate(frame, dimension.member.dimension, views_of)) == []
    for path in star.FIXED:
        table = BY_PATH[path]
        frame, views_of = views.of_fixed(spark, lake, table)
        assert failures(validate(frame, table, views_of)) == []


def test_a_fact_before_its_dimension_says_what_to_do(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(star.DimensionMissingError, match="materialise it, then gold/fact_sales"):
        star.make_fact(spark, lake, star.SALES, DAYS[0])
