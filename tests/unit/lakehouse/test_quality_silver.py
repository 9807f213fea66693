"""`lakehouse.quality.silver`: sound rows break no rule, and each kind of broken row breaks its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from broken_rules import Row, broken
from pyspark.sql import SparkSession
from star_rows import at, change, line, product, user

from lakehouse.tables import (
    CART_EVENTS,
    DUPLICATES,
    INVENTORY_EVENTS,
    PRODUCTS,
    QUARANTINE,
    TRANSACTION_ITEMS,
    TRANSACTIONS,
    USERS,
)

LATER = {"timestamp": at("31 23:59"), "kafka_at": at("31 23:48")}  # eleven minutes before it happened


def test_profiles_products_and_stock(spark: SparkSession) -> None:
    users = [user(1, "13 00:00", "ada"), user(2, "13 00:00", "bob")]
    assert broken(spark, USERS, users, {}) == {}
    rows = [*users, {**users[0], "country": "FR", "offset": 9}, {**users[1], "event_id": "x", "age": 151, **LATER}]
    assert broken(spark, USERS, rows, {}) == {
        "event_id is unique": 1,
        "a Kafka record gives one row": 1,
        "country is one of its known values": 1,
        "age is at least 0 and at most 150": 1,
        "timestamp is not in the future of its arrival": 1,
    }
    pen, ink = product(3, "13 00:00", "pen"), product(4, "13 00:00", "ink")
    assert broken(spark, PRODUCTS, [pen, ink], {}) == {}
    rows = [{**pen, "price": Decimal("-0.01")}, {**ink, "inventory": -1, "ratings": 5.1, "name": None}]
    assert broken(spark, PRODUCTS, rows, {}) == {
        "name is present": 1,
        "price is at least 0 and at most 9999999999999999.99": 1,
        "inventory is at least 0 and at most 2147483647": 1,
        "ratings is at least 0 and at most 5": 1,
    }
    moved = [change(5, "13 00:00", "pen", -3, "correction"), change(6, "13 00:00", "pen", 3)]
    assert broken(spark, INVENTORY_EVENTS, moved, {}) == {}
    assert broken(spark, INVENTORY_EVENTS, [{**moved[0], "reason": "theft", "schema_version": 2}], {}) == {
        "reason is one of its known values": 1,
        "schema_version is at least 1 and at most 1": 1,
    }


def test_no_quantity_is_zero_or_negative_anywhere(spark: SparkSession) -> None:
    event = {name: value for name, value in change(1, "13 00:00", "pen", 1).items() if name in CART_EVENTS.schema.names}
    visit = {"user_id": "ada", "session_id": "s", "cart_id": "c", "country": "DE", "action": "add"}

    def cart(number: int, **changes: Any) -> Row:
        own = {"event_id": f"c{number}", "event_type": "cart_event", "offset": number}
        return {**event, **visit, **own, "quantity": 1, "price": Decimal("2.00"), **changes}

    assert broken(spark, CART_EVENTS, [cart(1)], {}) == {}
    rows = [cart(1, quantity=0), cart(2, quantity=-1), cart(3, action="look")]
    assert broken(spark, CART_EVENTS, rows, {}) == {
        "quantity is at least 1 and at most 2147483647": 2,
        "action is one of its known values": 1,
    }
    items = [line(1, "13 00:00", "ada", "pen"), line(2, "13 00:00", "ada", "pen", 2)]
    orders = [{"transaction_id": f"t{n}", "total_amount": Decimal(f"{2 * n}.00")} for n in (1, 2)]
    assert broken(spark, TRANSACTION_ITEMS, items, {TRANSACTIONS: orders}) == {}
    rows = [line(1, "13 00:00", "ada", "pen", 0), line(2, "13 00:00", "ada", "pen", 2, line_number=2, **LATER)]
    assert broken(spark, TRANSACTION_ITEMS, rows, {TRANSACTIONS: orders}) == {
        "quantity is at least 1": 1,
        "timestamp is not in the future of its arrival": 1,
        "lines are numbered from 1 without a gap": 1,
        "the lines of an order add up to its total in silver/transactions": 1,
    }


def test_what_did_not_become_silver(spark: SparkSession) -> None:
    came = at("13 00:00")
    arrival = {
        "topic": "users",
        "partition": 0,
        "kafka_at": came,
        "ingested_at": came + timedelta(seconds=1),
        "batch_id": 1,
    }

    def bad(offset: int, *reasons: str, **changes: Any) -> Row:
        return {**arrival, "offset": offset, "reason_codes": list(reasons), "contract_version": 1, **changes}

    def double(offset: int, winner: int, **changes: Any) -> Row:
        won = {"event_id": "e", "winner_topic": "users", "winner_partition": 0, "winner_offset": winner}
        return {**arrival, "offset": offset, **won, **changes}

    doubles = [double(9, 3), double(10, 30, winner_partition=1)]
    assert broken(spark, DUPLICATES, doubles, {}) == {}
    rows = [double(9, 9), double(10, 3, winner_topic="bronze")]
    assert broken(spark, DUPLICATES, rows, {}) == {
        "winner_topic is one of its known values": 1,
        "of two records of a partition the earlier one wins": 1,
    }
    assert broken(spark, QUARANTINE, [bad(1, "empty.age", "not_json")], {DUPLICATES: doubles}) == {}
    rows = [bad(1), bad(2, "not_json", "empty.age"), bad(9, "not_json"), bad(2, "not_json", contract_version=0)]
    assert broken(spark, QUARANTINE, rows, {DUPLICATES: doubles}) == {
        "topic, partition, offset is unique": 1,
        "a record in quarantine has a reason": 1,
        "reasons are sorted and different": 1,
        "no record is a duplicate as well": 1,
        "contract_version is at least 1": 1,
    }
