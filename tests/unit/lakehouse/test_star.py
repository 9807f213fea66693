"""`lakehouse.star`, and `funnel_daily`, which is kept like a fact: one lake's history of late records, late changes and a rebuild.

The history is played once, since each write costs seconds; the tests are about what was seen on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake
from pyspark.sql import DataFrame, SparkSession
from star_rows import arrow, at, change, line, product, session, swap_entry, user
from xxh64 import surrogate_key

from lakehouse import batch, daily, star
from lakehouse.maintenance import compact_snapshots
from lakehouse.quality import views
from lakehouse.quality.check import validate
from lakehouse.quality.views import look
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import (
    BY_PATH,
    CART_EVENTS,
    DIM_COUNTRY,
    FACT_INVENTORY_DAILY,
    FACT_SALES,
    FACT_SESSIONS,
    FUNNEL_DAILY,
    INVENTORY_EVENTS,
    LEDGER_STREAMING,
    PRODUCT_VIEWS,
    PRODUCTS,
    SESSIONS,
    TRANSACTION_ITEMS,
    USERS,
    Table,
)
from lakehouse.transforms.scd2 import BEGINNING

STREAMING = (USERS, PRODUCTS, TRANSACTION_ITEMS, INVENTORY_EVENTS, SESSIONS, PRODUCT_VIEWS, CART_EVENTS)
D12, D13, D14, D15, D16 = (date(2026, 3, day) for day in range(12, 17))
(FUNNEL,) = (mart for mart in daily.MARTS if mart.table is FUNNEL_DAILY)

ADA, BOB = surrogate_key("ada", at("13 00:00")), surrogate_key("bob", at("13 00:00"))
BOB_MOVED, EVE_KNOWN = surrogate_key("bob", at("13 23:00")), surrogate_key("eve", at("14 08:00"))
EVE, KIM = surrogate_key("eve", BEGINNING), surrogate_key("kim", BEGINNING)
PEN, INK = surrogate_key("pen", at("13 00:00")), surrogate_key("ink", BEGINNING)

FIRST = {
    "users": [user(1, "13 00:00", "ada"), user(2, "13 00:00", "bob")],
    "products": [product(3, "13 00:00", "pen")],
    "transaction_items": [
        line(4, "13 09:00", "ada", "pen"),
        line(5, "13 23:59:59.999", "bob", "pen"),
        line(6, "14 00:00", "bob", "pen"),
        line(7, "14 09:00", "eve", "pen"),
        line(8, "15 09:00", "kim", "ink"),  # of neither there is ever a record
    ],
    "sessions": [
        session(9, "13 23:50", "14 00:10", "bob", order_count=2),
        session(10, "13 23:55", "13 23:55", "ada", is_open=True),
        session(11, "14 08:50", "14 09:10", "eve"),
        session(12, "14 15:00", "14 15:10", "kim"),
    ],
}
LATE = {
    "users": [user(20, "13 23:00", "bob", "US"), user(21, "14 08:00", "eve"), user(22, "15 10:00", "ada", "US")],
    "transaction_items": [line(23, "12 12:00", "kim", "ink")],
    "inventory_events": [change(24, "13 12:00", "pen", 5)],
    "sessions": [
        session(25, "13 23:55", "14 00:20", "ada"),  # was open when the 13th was made
        session(26, "13 23:00", "14 09:10", "eve"),  # an event of the night joins it to the morning's, which is no more
        session(26, "14 08:50", "14 09:10", "eve", is_retracted=True),
    ],
}


@dataclass
class Seen:
    """Rows of some columns of each table that is kept by day."""

    sales: list[tuple[Any, ...]]
    sessions: list[tuple[Any, ...]]
    stock: list[tuple[Any, ...]]
    funnel: list[tuple[Any, ...]]


@dataclass
class Story:
    """`first` and `later`: what was seen before and after the late records. The days that runs made again, by table: before the
    dimensions knew of what is late, after it, and after the rebuild."""

    lake: Settings
    first: Seen
    later: Seen
    rebuilt_sales: list[tuple[Any, ...]]
    repaired_early: list[tuple[date, ...]]
    repaired: dict[Table, tuple[date, ...]]
    repaired_after_rebuild: dict[Table, tuple[date, ...]]


@pytest.fixture(scope="module")
def large() -> Iterator[None]:
    """Every dimension counts as large: of its versions only those that are named are joined."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (star, views):
            patch.setattr(module, "FEW_ROWS", 0)
        yield


@pytest.fixture(scope="module")
def story(spark: SparkSession, jars_dir: Path, tmp_path_factory: pytest.TempPathFactory, large: None) -> Story:
    home = tmp_path_factory.mktemp("star")
    lake = Settings(_env_file=None, state_dir=home / "state", lake_uri=(home / "lake").as_uri(), jars_dir=jars_dir)

    def make(fact: star.Fact, *days: date) -> list[tuple[date, ...]]:
        """The days that each run made again beside its own."""
        return [star.make_fact(spark, lake, fact, day).repaired for day in days]

    def make_funnel(*days: date) -> list[tuple[date, ...]]:
        return [daily.make(spark, lake, FUNNEL, day, newest(lake)).repaired for day in days]

    for path in star.FIXED:
        star.make_fixed(spark, lake, BY_PATH[path])
    add(lake, FIRST)
    dimensions(spark, lake)
    early = make(star.SALES, D14, D12, D13, D15)
    early += make(star.SESSIONS, D13, D14) + make(star.INVENTORY, D13, D14) + make_funnel(D13, D14)
    first = look_at(lake)

    add(lake, LATE)
    compact_snapshots(SESSIONS, open_table(lake, SESSIONS))
    early += make(star.SALES, D15)  # the dimensions are of an older cut, and so are the facts
    dimensions(spark, lake)
    repaired = {
        FACT_SALES: make(star.SALES, D16)[0],
        FACT_SESSIONS: make(star.SESSIONS, D15)[0],
        FACT_INVENTORY_DAILY: make(star.INVENTORY, D15)[0],
        FUNNEL_DAILY: make_funnel(D15)[0],
    }
    later = look_at(lake)

    items = open_table(lake, TRANSACTION_ITEMS).to_pyarrow_table().to_pylist()
    other = [
        row | {"quantity": 3, "line_amount": 3 * row["price"]} if row["user_id"] == "eve" else row for row in items
    ]
    write_deltalake(delta_uri(lake, TRANSACTION_ITEMS), arrow(TRANSACTION_ITEMS, other), mode="overwrite")
    write_deltalake(delta_uri(lake, LEDGER_STREAMING), swap_entry(60), mode="append")
    dimensions(spark, lake)
    after_rebuild = {FACT_SALES: make(star.SALES, D16)[0], FACT_INVENTORY_DAILY: make(star.INVENTORY, D15)[0]}
    amounts = rows(lake, FACT_SALES, "transaction_id", "line_amount")
    return Story(lake, first, later, amounts, early, repaired, after_rebuild)


def add(settings: Settings, new: dict[str, list[dict[str, Any]]]) -> None:
    """Append rows to silver and gold/sessions, by table name; a table not named is made where it is missing."""
    for table in STREAMING:
        write_deltalake(
            delta_uri(settings, table),
            arrow(table, new.get(table.name, [])),
            mode="append",
            partition_by=list(table.partition_by) or None,
        )


def newest(settings: Settings) -> dict[str, int]:
    return {table.path: open_table(settings, table).version() for table in STREAMING}


def dimensions(spark: SparkSession, settings: Settings) -> None:
    """Both versioned dimensions at the streaming tables' newest versions."""
    for dimension in star.DIMENSIONS:
        star.make_dimension(spark, settings, dimension, newest(settings))


def rows(settings: Settings, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    found = open_table(settings, table).to_pyarrow_table(columns=list(columns or table.schema.names))
    return sorted((tuple(row.values()) for row in found.to_pylist()), key=str)


def look_at(lake: Settings) -> Seen:
    stock = ("product_id", "date", "opening_level", "received", "sold", "closing_level")
    counts = ("country", "category", "date", "session_count", "order_session_count")
    return Seen(
        rows(lake, FACT_SALES, "transaction_id", "sales_date", "user_key", "product_key"),
        rows(lake, FACT_SESSIONS, "started_date", "user_id", "user_key", "order_count"),
        [row[1:] for row in rows(lake, FACT_INVENTORY_DAILY, *stock) if row[0] == "pen"],
        [row[2:] for row in rows(lake, FUNNEL_DAILY, *counts) if row[:2] == ("all", "all")],
    )


def test_days_made_in_any_order_have_each_line_once(story: Story) -> None:
    assert story.first.sales == [
        ("t4", D13, ADA, PEN),
        ("t5", D13, BOB, PEN),
        ("t6", D14, BOB, PEN),
        ("t7", D14, EVE, PEN),
        ("t8", D15, KIM, INK),
    ]


def test_a_day_done_twice_and_before_its_dimensions_know_more_makes_no_other_again(story: Story) -> None:
    assert set(story.repaired_early) == {()}


def test_late_lines_changes_and_registrations_repair_the_days_that_they_touch_and_no_other_key(story: Story) -> None:
    assert story.repaired[FACT_SALES] == (D12, D13, D14)  # the 12th was empty; of the 15th is nothing that is other now
    assert story.later.sales == [
        ("t23", D12, KIM, INK),
        ("t4", D13, ADA, PEN),
        ("t5", D13, BOB_MOVED, PEN),
        ("t6", D14, BOB_MOVED, PEN),
        ("t7", D14, EVE_KNOWN, PEN),
        ("t8", D15, KIM, INK),
    ]


def test_a_late_delivery_moves_the_levels_of_all_days_after_it(story: Story) -> None:
    assert story.first.stock == [(D13, 0, 0, 2, 8), (D14, 8, 0, 2, 6)]
    assert story.repaired[FACT_INVENTORY_DAILY] == (D13, D14)
    assert story.later.stock == [(D13, 0, 5, 2, 13), (D14, 13, 0, 2, 11)]


def test_a_session_over_midnight_comes_with_the_next_run_and_one_that_was_merged_goes(story: Story) -> None:
    assert story.first.sessions == [(D13, "bob", BOB, 2), (D14, "eve", EVE, 1), (D14, "kim", KIM, 1)]
    assert story.repaired[FACT_SESSIONS] == (D13, D14)
    assert story.later.sessions == [
        (D13, "ada", ADA, 1),
        (D13, "bob", BOB_MOVED, 2),
        (D13, "eve", EVE, 1),
        (D14, "kim", KIM, 1),
    ]


def test_the_funnel_follows_the_sessions(story: Story) -> None:
    assert story.first.funnel == [(D13, 1, 1), (D14, 2, 2)]
    assert story.repaired[FUNNEL_DAILY] == (D13, D14)
    assert story.later.funnel == [(D13, 3, 3), (D14, 1, 1)]


def test_after_a_rebuild_which_keeps_the_batches_all_days_are_made_again(story: Story) -> None:
    assert story.repaired_after_rebuild == {FACT_SALES: (D12, D13, D14, D15), FACT_INVENTORY_DAILY: (D13, D14)}
    assert {order: str(amount) for order, amount in story.rebuilt_sales} == dict.fromkeys(
        ("t4", "t5", "t6", "t8", "t23"), "2.00"
    ) | {"t7": "6.00"}


def test_what_grew_through_repairs_equals_what_is_made_anew(spark: SparkSession, story: Story) -> None:
    lake = story.lake
    frames = {table.path: batch.read(spark, lake, table, newest(lake)[table.path]) for table in STREAMING}
    frames |= {one.member.dimension.path: batch.read(spark, lake, one.member.dimension) for one in star.DIMENSIONS}
    anew = {
        FACT_SALES: star.SALES.rows(frames, [D12, D13, D14, D15, D16]),
        FACT_SESSIONS: star.SESSIONS.rows(frames, [D13, D14, D15]),
        FACT_INVENTORY_DAILY: star.INVENTORY.rows(frames, [D13, D14, D15]),
        FUNNEL_DAILY: FUNNEL.rows(frames, [D13, D14, D15], lambda frame: frame),
    }
    for table, made in anew.items():
        found = sorted((tuple(row.values()) for row in made.toArrow().to_pylist()), key=str)
        assert rows(lake, table) == found, table.path
        assert found


def test_all_checks_hold_of_all_days_that_were_made_together(spark: SparkSession, story: Story) -> None:
    last = {FACT_SALES: D16, FACT_SESSIONS: D15, FACT_INVENTORY_DAILY: D15, FUNNEL_DAILY: D15}
    counts = {}
    for table in (*last, *(one.member.dimension for one in star.DIMENSIONS), *(BY_PATH[path] for path in star.FIXED)):
        report = validate(*judged(spark, story.lake, table, last.get(table)))
        assert [outcome.expectation for outcome in report.failed] == [], table.path
        counts[table] = report.row_count
    assert {table: counts[table] for table in last} == {table: len(rows(story.lake, table)) for table in last}


def judged(
    spark: SparkSession, lake: Settings, table: Table, day: date | None
) -> tuple[DataFrame, Table, Mapping[str, DataFrame]]:
    frame, others = look(spark, lake, table, day, {})
    return frame, table, others


def test_a_dimension_that_comes_from_no_events_is_written_where_it_differs(spark: SparkSession, story: Story) -> None:
    table = DIM_COUNTRY
    first = batch.last_write(story.lake, table)
    again = star.make_fixed(spark, story.lake, table)
    assert (again.version, again.totals) == (first.version, {"row_count": 5})
    open_table(story.lake, table).update(predicate="country = 'DE'", updates={"name": "'Deutschland'"})
    mended = star.make_fixed(spark, story.lake, table)
    assert mended.version > first.version
    assert ("DE", "Germany") in rows(story.lake, table, "country", "name")
    assert star.make_fixed(spark, story.lake, table).version == mended.version


def test_a_fact_before_its_dimension_says_what_to_do(spark: SparkSession, file_settings: Settings) -> None:
    with pytest.raises(star.DimensionMissingError, match="materialise it, then gold/fact_sales"):
        star.make_fact(spark, file_settings, star.SALES, D13)
