"""`lakehouse.quality.star`: each kind of broken row fails its own expectation. That sound ones pass is in `test_star`."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from star_rows import REGISTERED, arrow, at, line, session, user
from xxh64 import surrogate_key

from lakehouse.quality.check import validate
from lakehouse.tables import (
    DIM_COUNTRY,
    DIM_DATE,
    DIM_PAYMENT_METHOD,
    DIM_PRODUCT,
    DIM_USER,
    FACT_INVENTORY_DAILY,
    FACT_SALES,
    FACT_SESSIONS,
    INVENTORY_EVENTS,
    SESSIONS,
    TRANSACTION_ITEMS,
    USERS,
    Table,
)
from lakehouse.transforms.dimensions import countries, dates, payment_methods

MARCH_14 = date(2026, 3, 14)
Row = dict[str, Any]


def frame(spark: SparkSession, table: Table, rows: list[Row]) -> DataFrame:
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=schema))


def failures(rows: DataFrame, table: Table, views: dict[Table, DataFrame]) -> dict[str, int]:
    report = validate(rows, table, {one.view: view for one, view in views.items()})
    return {outcome.expectation: outcome.unexpected_count for outcome in report.failed}


def version(user_id: str, start: str, end: str | None, **changes: Any) -> Row:
    row = {
        "user_key": surrogate_key(user_id, at(start)),
        "user_id": user_id,
        "email": f"{start}@example.org",
        "age": 40,
        "country": "DE",
        "registration_date": REGISTERED,
        "preferences": ["Books"],
        "valid_from": at(start),
        "valid_to": end and at(end),
        "is_current": end is None,
        "is_inferred": False,
        "recorded_at": at("31 00:00"),
    }
    return {**row, **changes}


def pen(**changes: Any) -> Row:
    row = {
        "product_key": surrogate_key("pen", at("01 00:00")),
        "product_id": "pen",
        "name": "Pen",
        "category": "Tools",
        "price": Decimal("2.00"),
        "valid_from": at("01 00:00"),
        "valid_to": None,
        "is_current": True,
        "is_inferred": False,
        "recorded_at": at("31 00:00"),
    }
    return {**row, **changes}


def surroundings(spark: SparkSession, *users: Row) -> dict[Table, DataFrame]:
    """The dimensions that facts are joined to: these users, one pen, and three days of March."""
    days = dates(MARCH_14 - timedelta(days=1), MARCH_14 + timedelta(days=1))
    return {
        DIM_USER: frame(spark, DIM_USER, list(users)),
        DIM_PRODUCT: frame(spark, DIM_PRODUCT, [pen()]),
        DIM_DATE: spark.createDataFrame(days),
        DIM_COUNTRY: spark.createDataFrame(countries()),
        DIM_PAYMENT_METHOD: spark.createDataFrame(payment_methods()),
    }


def test_each_broken_version_fails_its_own_expectation(spark: SparkSession) -> None:
    same = {"email": "f@example.org"}
    rows = [
        version("ada", "01 00:00", "05 00:00"),  # overlaps the next
        version("ada", "04 00:00", None),
        version("bob", "01 00:00", None),  # two are current
        version("bob", "02 00:00", None),
        version("cat", "01 00:00", "02 00:00"),  # none is current
        version("dan", "01 00:00", None, is_current=False),
        version("eve", "01 00:00", None, user_key=7),
        version("fay", "01 00:00", "02 00:00", **same),
        version("fay", "02 00:00", None, **same),  # nothing changed
        version("gus", "01 00:00", None, age=None),
        version("hal", "01 00:00", None, recorded_at=at("01 00:00") - timedelta(minutes=11)),
    ]
    names = ("ada", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
    changes = frame(spark, USERS, [user(n, "01 00:00", name) for n, name in enumerate(names)])
    assert failures(frame(spark, DIM_USER, rows), DIM_USER, {USERS: changes}) == {
        "each user_id has one current version": 3,
        "versions follow each other without gap and without overlap": 3,
        "a version differs from the one before": 1,
        "each user_id of silver/users has a version": 1,
        "is_current says that valid_to is open": 1,
        "user_key is the hash of user_id and valid_from": 1,
        "an inferred row describes nothing, others everything": 1,
        "no version begins in the future of its record": 1,
    }


def sale(number: int, when: str, user_id: str, **changes: Any) -> Row:
    fields = line(number, when, user_id, "pen")
    keys = {
        "sales_date": at(when).date(),
        "user_key": surrogate_key(user_id, at("01 00:00")),
        "product_key": pen()["product_key"],
    }
    return {name: value for name, value in {**fields, **keys, **changes}.items() if name in FACT_SALES.schema.names}


def test_each_broken_line_fails_its_own_expectation(spark: SparkSession) -> None:
    old, new = version("ada", "01 00:00", "14 00:00"), version("ada", "14 00:00", None)
    sound = {"user_key": new["user_key"]}
    rows = [
        sale(1, "14 09:00", "ada", **sound),
        sale(2, "14 09:00", "ada"),  # the version of yesterday
        sale(3, "14 09:00", "ada", **sound, product_key=7),
        sale(4, "14 09:00", "ada", **sound, sales_date=date(2026, 3, 20)),
        sale(5, "14 09:00", "ada", **sound, line_amount=Decimal("2.01")),
        sale(6, "14 09:00", "ada", **sound, country="FR"),
    ]
    silver = [line(n, "14 09:00", "ada", "pen") for n in range(1, 8)]
    views = surroundings(spark, old, new) | {TRANSACTION_ITEMS: frame(spark, TRANSACTION_ITEMS, silver)}
    assert failures(frame(spark, FACT_SALES, rows), FACT_SALES, views) == {
        "country is one of its known values": 1,
        "line_amount is quantity x price": 1,
        "sales_date is the day of timestamp": 1,
        "lines and their amounts equal silver/transaction_items": 2,  # one differs, one is missing
        "user_key is the version of its time in gold/dim_user": 1,
        "product_key is the version of its time in gold/dim_product": 1,
        "sales_date is in gold/dim_date": 1,
        "country is in gold/dim_country": 1,
    }


def test_each_broken_session_fails_its_own_expectation(spark: SparkSession) -> None:
    def visit(number: int, start: str, **changes: Any) -> Row:
        fields = session(number, start, "14 12:00", "ada")
        key = {"user_key": surrogate_key("ada", at("01 00:00"))}
        return {k: v for k, v in {**fields, **key, **changes}.items() if k in FACT_SESSIONS.schema.names}

    rows = [
        visit(1, "14 09:00"),
        visit(2, "14 09:01", user_key=7),
        visit(3, "14 09:02", ended_at=at("14 09:01")),
        visit(4, "14 09:03", is_converted=False),
        visit(5, "14 09:04", revenue=Decimal("3.00")),
        visit(6, "14 09:05", view_count=0, order_count=0, is_converted=False),
    ]
    live = [session(n, f"14 09:0{n - 1}", "14 12:00", "ada") for n in range(1, 8)]
    views = surroundings(spark, version("ada", "01 00:00", None)) | {
        SESSIONS: spark.createDataFrame(arrow(SESSIONS, live))
    }
    assert failures(frame(spark, FACT_SESSIONS, rows), FACT_SESSIONS, views) == {
        "a session has an event": 1,
        "a session ends after it begins": 1,
        "is_converted says that it has an order": 1,
        "closed sessions, their orders and revenue equal gold/sessions": 3,
        "user_key is the version of its time in gold/dim_user": 1,
    }


def test_each_broken_stock_fails_its_own_expectation(spark: SparkSession) -> None:
    row = {
        "date": MARCH_14,
        "product_key": pen()["product_key"],
        "product_id": "pen",
        "opening_level": 5,
        "initial_stock": 0,
        "received": 2,
        "sold": 3,
        "closing_level": 5,
        "is_stock_out": False,
    }
    silver = {
        TRANSACTION_ITEMS: frame(spark, TRANSACTION_ITEMS, [line(1, "14 09:00", "ada", "pen", 2)]),
        INVENTORY_EVENTS: frame(spark, INVENTORY_EVENTS, []),
    }
    assert failures(frame(spark, FACT_INVENTORY_DAILY, [row]), FACT_INVENTORY_DAILY, surroundings(spark) | silver) == {
        "levels and movements add up": 1,
        "units sold equal silver/transaction_items": 1,
        "units received equal silver/inventory_events": 1,
    }


def test_a_calendar_with_a_gap_and_a_country_too_few_are_found(spark: SparkSession) -> None:
    gap = spark.createDataFrame(
        pa.concat_tables([dates(MARCH_14, MARCH_14), dates(date(2026, 3, 16), date(2026, 3, 16))])
    )
    assert failures(gap, DIM_DATE, {}) == {"no day is missing": 1}
    assert failures(spark.createDataFrame(countries().slice(1)), DIM_COUNTRY, {}) == {"no value is missing": 1}
