"""Records: exactly what the contracts fix, exact money, and the same bytes for the same options."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import numpy as np
import pytest
from kafka.partitioner.default import murmur2

from ingestion import events
from ingestion.events import PRODUCT, TRANSACTION
from ingestion.options import history as history_options
from ingestion.options import parse_start
from ingestion.records import EVENT_ID_PLACE, Formatter, Records, money_text, time_texts
from ingestion.source import Source
from ingestion.topics import INPUT_NAMES
from ingestion.world import World
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import judge

PARTITIONS = dict.fromkeys(INPUT_NAMES, 4)
START = parse_start("2026-05-29")
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def day_options(**changes: Any) -> Any:
    return history_options(86_400.0, START, **{"scale": 0.01, **changes})


@pytest.fixture(scope="module")
def day() -> list[Records]:
    source = Source(day_options(), PARTITIONS)
    blocks = [*islice(source.catalogue(), 1), *source.blocks()]
    return [source.records(block)[0] for block in blocks]


def of(day: list[Records], topic: str) -> list[tuple[bytes, bytes, int]]:
    kind = INPUT_NAMES.index(topic)
    return [
        (key, value or b"", partition)
        for records in day
        for at, key, value, partition in zip(
            records.kinds, records.keys, records.values, records.partitions, strict=True
        )
        if at == kind
    ]


@pytest.mark.parametrize("topic", INPUT_NAMES)
def test_every_record_keeps_its_contract(day: list[Records], topic: str) -> None:
    records = of(day, topic)
    assert len(records) >= 20
    broken = [
        (value, verdict) for _, value, _ in records[:3_000] if (verdict := judge(CONTRACTS[topic], value, NOW)).codes
    ]
    assert broken == []


@pytest.mark.parametrize("topic", INPUT_NAMES)
def test_every_record_has_the_fields_of_its_contract_and_no_other(day: list[Records], topic: str) -> None:
    fields = {field.name for field in CONTRACTS[topic].fields}
    for _, value, _ in of(day, topic)[:500]:
        assert set(json.loads(value)) | {"cart_id"} == fields | {"cart_id"}


def test_totals_are_the_exact_sum_of_the_lines(day: list[Records]) -> None:
    for _, value, _ in of(day, "transactions"):
        order = json.loads(value, parse_float=Decimal)
        assert order["total_amount"] == sum(line["quantity"] * line["price"] for line in order["products"])


def test_prices_are_the_catalogues(day: list[Records]) -> None:
    world = World(1)
    for _, value, _ in of(day, "cart_events")[:300]:
        event = json.loads(value, parse_float=Decimal)
        cents = int(world.product_cents([int(event["product_id"][1:])])[0])
        assert event["price"] == Decimal(cents) / 100


@pytest.mark.parametrize(
    ("topic", "field"), [(t, "product_id" if t in ("products", "inventory_events") else "user_id") for t in INPUT_NAMES]
)
def test_the_key_is_the_user_or_the_product_and_decides_the_partition(
    day: list[Records], topic: str, field: str
) -> None:
    for key, value, partition in of(day, topic)[:300]:
        assert json.loads(value)[field] == key.decode()
        assert partition == (murmur2(key) & 0x7FFFFFFF) % 4


def test_ids_are_unique_within_a_run(day: list[Records]) -> None:
    ids = [value[EVENT_ID_PLACE] for topic in INPUT_NAMES for _, value, _ in of(day, topic)]
    assert len(set(ids)) == len(ids)
    orders = [json.loads(value)["transaction_id"] for _, value, _ in of(day, "transactions")]
    assert len(set(orders)) == len(orders)


def test_an_orders_session_and_cart_are_those_of_its_visit(day: list[Records]) -> None:
    sessions = {json.loads(value)["session_id"]: key for key, value, _ in of(day, "product_views")}
    carts = {json.loads(value)["cart_id"] for _, value, _ in of(day, "cart_events")}
    for key, value, _ in of(day, "transactions"):
        order = json.loads(value)
        assert sessions[order["session_id"]] == key
        assert order.get("cart_id") is None or order["cart_id"] in carts


def test_the_same_options_give_the_same_bytes(day: list[Records]) -> None:
    source = Source(day_options(), PARTITIONS)
    again = [source.records(block)[0] for block in (*islice(source.catalogue(), 1), *source.blocks())]
    assert again == day


@pytest.mark.parametrize("changes", [{"seed": 2}, {"scale": 0.02}, {"disorder_seconds": 1.0}])
def test_other_options_share_no_event_id(day: list[Records], changes: dict[str, Any]) -> None:
    source = Source(day_options(**changes), PARTITIONS)
    other = source.records(next(source.blocks()))[0]
    ours = {value[EVENT_ID_PLACE] for records in day for value in records.values if value}
    assert ours.isdisjoint(value[EVENT_ID_PLACE] for value in other.values if value)


def test_only_the_streams_asked_for_are_made() -> None:
    source = Source(day_options(streams=("transactions", "users")), PARTITIONS)
    kinds = {kind for block in source.blocks() for kind in source.records(block)[0].kinds}
    assert kinds == {INPUT_NAMES.index("transactions"), INPUT_NAMES.index("users")}


def test_a_whole_order_reads_as_the_contract_has_it() -> None:
    formatter = Formatter(World(1), 5, PARTITIONS)
    lines = np.zeros((1, 6), dtype=np.int64)
    lines[0, :2] = [3, 14]
    quantities = np.zeros((1, 6), dtype=np.int64)
    quantities[0, :2] = [2, 1]
    order = events.make(
        TRANSACTION,
        np.array([START]),
        user=np.array([42]),
        lines_product=lines,
        lines_quantity=quantities,
        code=np.array([2]),
    )
    records = formatter.format(order)
    document = json.loads(records.values[0] or b"", parse_float=Decimal)
    prices = [Decimal(int(cents)) / 100 for cents in World(1).product_cents([3, 14])]
    ids = {name: document.pop(name) for name in ("event_id", "session_id", "transaction_id")}
    assert document == {
        "event_type": "transaction",
        "schema_version": 1,
        "timestamp": "2026-05-29T00:00:00.000Z",
        "user_id": "U0000042",
        "country": "US",
        "products": [
            {"product_id": "P0000003", "quantity": 2, "price": prices[0]},
            {"product_id": "P0000014", "quantity": 1, "price": prices[1]},
        ],
        "total_amount": 2 * prices[0] + prices[1],
        "payment_method": "paypal",
    }
    assert len(set(ids.values())) == 3


def test_a_product_has_the_same_event_id_however_many_are_sent_with_it() -> None:
    formatter = Formatter(World(1), 5, PARTITIONS)
    many = formatter.format(events.make(PRODUCT, np.full(9, START), product=np.arange(9), number=np.arange(9)))
    one = formatter.format(events.make(PRODUCT, np.full(1, START), product=np.array([7]), number=np.array([7])))
    assert one.values == [many.values[7]]


@pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (1234, "12.34"), (100_000_000, "1000000.00")])
def test_money_text_has_two_decimals(cents: int, text: str) -> None:
    assert money_text(cents) == text


def test_time_texts_are_rfc_3339_with_milliseconds() -> None:
    at = [0, 951_827_696_789, 1_760_000_000_123, START - 1]
    expected = [
        datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") for ms in at
    ]
    assert time_texts(np.array(at)) == expected
