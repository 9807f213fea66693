"""`lakehouse.transforms.facts`: whole expected rows at every border, and independent computations in DuckDB."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyspark.sql.functions as F
import pytest
from pyspark.sql import DataFrame, SparkSession
from star_rows import arrow, at, change, line, product, session, user
from xxh64 import surrogate_key

from lakehouse.tables import (
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
from lakehouse.transforms.facts import inventory_daily, sales, sessions
from lakehouse.transforms.scd2 import BEGINNING, PRODUCT, USER, Member, dimension

Rows = list[dict[str, Any]]
MARCH = [date(2026, 3, day) for day in range(1, 32)]


def frame(spark: SparkSession, table: Table, rows: Rows) -> DataFrame:
    return spark.createDataFrame(arrow(table, rows))


def versions(spark: SparkSession, table: Table, rows: Rows, member: Member) -> DataFrame:
    """The dimension of these changes, with nothing inferred: a fact must find its key without."""
    changes = frame(spark, table, rows)
    seen = changes.select(member.id, F.col("timestamp").alias("seen_at")).limit(0)
    return dimension(changes, seen, member)


def sold(spark: SparkSession, lines: Rows, users: Rows, products: Rows) -> list[tuple[Any, ...]]:
    made = sales(
        frame(spark, TRANSACTION_ITEMS, lines),
        versions(spark, USERS, users, USER),
        versions(spark, PRODUCTS, products, PRODUCT),
    )
    assert made.columns == [column.name for column in FACT_SALES.columns]
    return [tuple(row.values()) for row in made.orderBy("timestamp", "transaction_id").toArrow().to_pylist()]


def stock(spark: SparkSession, lines: Rows, changes: Rows, products: Rows, days: list[date]) -> list[tuple[Any, ...]]:
    made = inventory_daily(
        frame(spark, TRANSACTION_ITEMS, lines),
        frame(spark, INVENTORY_EVENTS, changes),
        frame(spark, PRODUCTS, products),
        versions(spark, PRODUCTS, products, PRODUCT),
        days,
    )
    assert made.columns == [column.name for column in FACT_INVENTORY_DAILY.columns]
    return [tuple(row.values()) for row in made.orderBy("date", "product_id").toArrow().to_pylist()]


def test_each_line_has_the_versions_of_its_time_on_both_sides_of_midnight(spark: SparkSession) -> None:
    users = [user(1, "10 00:00", "ada", "DE"), user(2, "14 00:00", "ada", "US")]
    products = [product(3, "12 00:00", "pen", "2.00"), product(4, "14 12:00", "pen", "3.00")]
    lines = [
        line(1, "11 09:00", "ada", "pen"),  # before the product's first record
        line(2, "13 23:59:59.999", "ada", "pen", 3),
        line(3, "14 00:00", "ada", "pen"),  # the instant at which she moved
        line(4, "14 12:00", "eve", "pen"),  # never registered
    ]
    germany, moved = surrogate_key("ada", at("10 00:00")), surrogate_key("ada", at("14 00:00"))
    cheap, dear = surrogate_key("pen", at("12 00:00")), surrogate_key("pen", at("14 12:00"))
    unlisted, unregistered = surrogate_key("pen", BEGINNING), surrogate_key("eve", BEGINNING)
    rest = ("Tools", "DE", "paypal")
    two, six = Decimal("2.00"), Decimal("6.00")
    assert sold(spark, lines, users, products) == [
        (date(2026, 3, 11), at("11 09:00"), "t1", 1, germany, unlisted, "ada", "pen", *rest, 1, two, two),
        (date(2026, 3, 13), at("13 23:59:59.999"), "t2", 1, germany, cheap, "ada", "pen", *rest, 3, two, six),
        (date(2026, 3, 14), at("14 00:00"), "t3", 1, moved, cheap, "ada", "pen", *rest, 1, two, two),
        (date(2026, 3, 14), at("14 12:00"), "t4", 1, unregistered, dear, "eve", "pen", *rest, 1, two, two),
    ]


def test_sessions_are_the_closed_ones_as_last_known(spark: SparkSession) -> None:
    snapshots = [
        session(1, "13 23:50", "13 23:50", "ada", order_count=0, is_open=True),
        session(3, "13 23:50", "14 00:20", "ada", view_count=5),  # closed since, in the day that it began
        session(2, "14 08:00", "14 08:10", "ada"),
        session(4, "14 08:00", "14 08:10", "ada", is_retracted=True),  # merged into another
        session(5, "14 09:00", "14 09:30", "eve", is_open=True),
    ]
    users = versions(spark, USERS, [user(1, "13 00:00", "ada"), user(2, "14 00:00", "ada", "US")], USER)
    made = sessions(frame(spark, SESSIONS, snapshots), users)
    assert made.columns == [column.name for column in FACT_SESSIONS.columns]
    assert made.toArrow().to_pylist() == [
        {
            "started_date": date(2026, 3, 13),
            "user_key": surrogate_key("ada", at("13 00:00")),
            "user_id": "ada",
            "started_at": at("13 23:50"),
            "ended_at": at("14 00:20"),
            "duration_seconds": 1800.0,
            "country": "DE",
            "view_count": 5,
            "cart_count": 0,
            "order_count": 1,
            "revenue": Decimal("2.00"),
            "product_count": 1,
            "entry_kind": "product_view",
            "entry_product_id": "pen",
            "is_converted": True,
        }
    ]


def test_stock_is_carried_and_days_without_stock_have_rows_until_it_comes(spark: SparkSession) -> None:
    products = [product(1, "02 10:00", "pen", inventory=5), product(2, "04 10:00", "pen", "3.00", inventory=99)]
    lines = [
        line(1, "02 12:00", "ada", "pen", 2),
        line(2, "05 00:00", "ada", "pen", 3),  # the first instant of a day, and nothing is left
        line(3, "08 09:00", "ada", "pen", 1),  # oversold
    ]
    changes = [change(1, "08 23:59:59.999", "pen", 10), change(2, "09 12:00", "pen", -4, "correction")]
    first, dear = surrogate_key("pen", at("02 10:00")), surrogate_key("pen", at("04 10:00"))
    expected = [
        (date(2026, 3, 2), first, "pen", 0, 5, 0, 2, 3, False),
        (date(2026, 3, 5), dear, "pen", 3, 0, 0, 3, 0, True),
        (date(2026, 3, 6), dear, "pen", 0, 0, 0, 0, 0, True),  # nothing moved, nothing there
        (date(2026, 3, 7), dear, "pen", 0, 0, 0, 0, 0, True),
        (date(2026, 3, 8), dear, "pen", 0, 0, 10, 1, 9, True),
        (date(2026, 3, 9), dear, "pen", 9, 0, -4, 0, 5, False),
    ]
    assert stock(spark, lines, changes, products, MARCH) == expected
    for row in expected:
        assert stock(spark, lines, changes, products, [row[0]]) == [row]
    assert stock(spark, lines, changes, products, [MARCH[6], MARCH[9]]) == [expected[4 - 1]]
    assert stock(spark, lines, changes, products, [date(2026, 3, 10)]) == []


def test_what_sells_before_its_first_record_counts_from_zero_and_is_not_out_of_stock(spark: SparkSession) -> None:
    products = [product(1, "04 10:00", "pen", inventory=3)]
    lines = [line(1, "03 12:00", "ada", "pen", 2), line(2, "03 12:00", "bob", "ink", 1)]
    unlisted = surrogate_key("pen", BEGINNING)
    assert stock(spark, lines, [], products, MARCH) == [
        (date(2026, 3, 3), surrogate_key("ink", BEGINNING), "ink", 0, 0, 0, 1, -1, False),
        (date(2026, 3, 3), unlisted, "pen", 0, 0, 0, 2, -2, False),
        (date(2026, 3, 4), surrogate_key("pen", at("04 10:00")), "pen", -2, 3, 0, 0, 1, False),
    ]


def test_a_sale_and_a_delivery_in_the_same_instant_count_together(spark: SparkSession) -> None:
    products = [product(1, "02 00:00", "pen", inventory=2)]
    lines, changes = [line(1, "03 12:00", "ada", "pen", 2)], [change(1, "03 12:00", "pen", 1)]
    assert stock(spark, lines, changes, products, MARCH[2:]) == [
        (date(2026, 3, 3), surrogate_key("pen", at("02 00:00")), "pen", 2, 0, 1, 2, 1, False)
    ]


def test_a_product_listed_without_stock_is_out_until_it_has_some(spark: SparkSession) -> None:
    products = [product(1, "02 10:00", "pen", inventory=0)]
    key = surrogate_key("pen", at("02 10:00"))
    assert stock(spark, [], [change(1, "04 00:00", "pen", 7)], products, MARCH) == [
        (date(2026, 3, 2), key, "pen", 0, 0, 0, 0, 0, True),
        (date(2026, 3, 3), key, "pen", 0, 0, 0, 0, 0, True),
        (date(2026, 3, 4), key, "pen", 0, 0, 7, 0, 7, True),
    ]


def test_no_events_give_no_rows(spark: SparkSession) -> None:
    assert sold(spark, [], [], []) == []
    assert stock(spark, [], [], [], MARCH[:2]) == []


def random_time(rng: random.Random) -> str:
    """Times of few days, many of them at midnight or at the same second."""
    moment = rng.choice(("00:00:00", "23:59:59.999", f"{rng.randrange(24):02}:30:00"))
    return f"{rng.randrange(1, 9):02} {moment}"


@pytest.mark.parametrize("seed", [1, 2])
def test_random_sales_have_the_keys_that_duckdb_finds_as_of_their_time(spark: SparkSession, seed: int) -> None:
    rng = random.Random(seed)
    users = [user(n, random_time(rng), f"u{rng.randrange(12)}", rng.choice(("DE", "US"))) for n in range(60)]
    products = [product(n, random_time(rng), f"p{rng.randrange(8)}", f"{rng.randrange(1, 4)}.00") for n in range(60)]
    lines = [
        line(n, random_time(rng), f"u{rng.randrange(15)}", f"p{rng.randrange(10)}", rng.randrange(1, 5))
        for n in range(400)
    ]
    oracle = duckdb.connect()
    oracle.sql("SET TimeZone = 'UTC'")
    for name, table, rows in (("users", USERS, users), ("products", PRODUCTS, products)):
        oracle.register(name, arrow(table, rows))
    oracle.register("lines", arrow(TRANSACTION_ITEMS, lines))
    for name, member_id, said in (("users", "user_id", "country"), ("products", "product_id", "price")):
        oracle.sql(
            f"""
            CREATE TABLE {name}_versions AS
            WITH firsts AS (SELECT {member_id}, timestamp, {said} AS said, min("offset") AS place FROM {name} GROUP BY ALL),
                 instants AS (SELECT {member_id}, timestamp, arg_max(said, place) AS said FROM firsts GROUP BY ALL)
            SELECT {member_id}, timestamp AS valid_from FROM instants
            QUALIFY said IS DISTINCT FROM lag(said) OVER (PARTITION BY {member_id} ORDER BY timestamp)
            """
        )
    expected = oracle.sql(
        """
        SELECT transaction_id, timestamp::DATE, l.user_id, u.valid_from, l.product_id, p.valid_from, line_amount
        FROM lines l
        ASOF LEFT JOIN users_versions u ON l.user_id = u.user_id AND l.timestamp >= u.valid_from
        ASOF LEFT JOIN products_versions p ON l.product_id = p.product_id AND l.timestamp >= p.valid_from
        ORDER BY timestamp, transaction_id
        """
    ).fetchall()
    found = [(row[2], row[0], row[4], row[5], row[13]) for row in sold(spark, lines, users, products)]
    assert found == [
        (order, day, surrogate_key(who, since or BEGINNING), surrogate_key(what, listed or BEGINNING), amount)
        for order, day, who, since, what, listed, amount in expected
    ]
    assert any(since is None for _, _, _, since, _, _, _ in expected)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_stock_is_what_duckdb_finds_by_adding_up_to_every_instant(spark: SparkSession, seed: int) -> None:
    """DuckDB looks at each day of each product on its own: all movements until its start, until its end, until each instant of it."""
    rng = random.Random(seed)
    products = [
        product(n, random_time(rng), f"p{rng.randrange(6)}", f"{rng.randrange(1, 4)}.00", rng.randrange(12))
        for n in range(12)
    ]
    lines = [line(n, random_time(rng), "ada", f"p{rng.randrange(8)}", rng.randrange(1, 4)) for n in range(60)]
    changes = [change(n, random_time(rng), f"p{rng.randrange(8)}", rng.randrange(-5, 12)) for n in range(30)]
    oracle = duckdb.connect()
    oracle.sql("SET TimeZone = 'UTC'")
    for name, table, rows in (
        ("products", PRODUCTS, products), ("lines", TRANSACTION_ITEMS, lines), ("changes", INVENTORY_EVENTS, changes),
    ):  # fmt: skip
        oracle.register(name, arrow(table, rows))
    expected = oracle.sql(
        """
        WITH listed AS (
            SELECT product_id, arg_min(timestamp, "offset") AS listed_at, arg_min(inventory, "offset") AS units
            FROM products GROUP BY product_id),
        moves AS (
            SELECT product_id, listed_at AS timestamp, units AS initial, 0 AS received, 0 AS sold, units FROM listed
            UNION ALL SELECT product_id, timestamp, 0, change, 0, change FROM changes
            UNION ALL SELECT product_id, timestamp, 0, 0, quantity, -quantity FROM lines),
        days AS (SELECT unnest(generate_series(TIMESTAMPTZ '2026-03-01', TIMESTAMPTZ '2026-03-12', INTERVAL 1 DAY)) AS day),
        cells AS (
            SELECT day, product_id,
                coalesce(sum(units) FILTER (timestamp < day), 0) AS opening_level,
                sum(initial) FILTER (timestamp >= day) AS initial, sum(received) FILTER (timestamp >= day) AS received,
                sum(sold) FILTER (timestamp >= day) AS sold, sum(units) AS closing_level,
                count(*) FILTER (timestamp >= day) AS moved
            FROM days JOIN moves ON timestamp < day + INTERVAL 1 DAY GROUP BY day, product_id),
        instants AS (SELECT DISTINCT product_id, timestamp FROM moves),
        lows AS (
            SELECT product_id, timestamp, (SELECT sum(units) FROM moves m
                WHERE m.product_id = i.product_id AND m.timestamp <= i.timestamp) AS level FROM instants i)
        SELECT day::DATE, product_id, opening_level, coalesce(initial, 0), coalesce(received, 0), coalesce(sold, 0),
               closing_level,
               coalesce(listed_at < day AND opening_level <= 0, false) OR EXISTS (
                   FROM lows WHERE lows.product_id = cells.product_id AND level <= 0 AND timestamp >= greatest(day, listed_at)
                   AND listed_at IS NOT NULL AND timestamp < day + INTERVAL 1 DAY) AS is_stock_out
        FROM cells LEFT JOIN listed USING (product_id)
        WHERE moved > 0 OR (listed_at < day AND opening_level <= 0)
        ORDER BY 1, 2
        """
    ).fetchall()
    found = [(row[0], *row[2:]) for row in stock(spark, lines, changes, products, MARCH[:12])]
    assert found == expected
    assert {row[7] for row in found} == {True, False}
    for day in MARCH[2:5]:
        rows = stock(spark, lines, changes, products, [day])
        assert [(row[0], *row[2:]) for row in rows] == [row for row in expected if row[0] == day]


def test_the_day_of_a_row_is_that_of_utc_in_every_zone(spark: SparkSession) -> None:
    """Local midnights of the five countries are instants like others."""
    zones = {"US": 4, "GB": 0, "DE": -1, "IN": -5.5, "BR": 3}
    midnight = datetime(2026, 3, 14, tzinfo=UTC)
    lines = [
        line(n, "14 00:00", "ada", "pen", country=country, timestamp=midnight + timedelta(hours=hours))
        for n, (country, hours) in enumerate(zones.items())
    ]
    days = {row[9]: row[0] for row in sold(spark, lines, [], [])}
    assert days == {country: date(2026, 3, 13 if hours < 0 else 14) for country, hours in zones.items()}
