"""Spark's fast path: accepts nothing that the judge refuses, types exactly, and hashes what makes a record the same."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from corpus import BROKEN, RIGHT
from records import kafka_table, text, valid

from lakehouse.contracts import CONTRACTS
from lakehouse.transforms.parse import parse

HASHES = ("event_hash", "event_hash2", "body_hash", "transaction_hash", "transaction_hash2", "order_hash")


@pytest.fixture(scope="module")
def parsed(spark):
    values = [(topic, value) for _, topic, value, *_ in [*BROKEN, *RIGHT]]
    return parse(spark.createDataFrame(kafka_table(values))).toArrow().sort_by("offset").to_pylist()


def fields_of(row):
    """The names of the record's values; none where it was not accepted."""
    return {name for name, value in (row["record"] or {}).items() if value is not None and name not in HASHES}


def test_nothing_that_the_judge_refuses_is_accepted(parsed):
    wrong = [name for (name, *_), row in zip(BROKEN, parsed, strict=False) if row["record"] is not None]
    assert wrong == []


def test_right_records_are_accepted_but_for_unknown_fields_and_escaped_surrogates(parsed):
    left = [name for (name, *_), row in zip(RIGHT, parsed[len(BROKEN) :], strict=True) if row["record"] is None]
    assert left == ["escaped letters", "unknown field", "unknown nested field"]


def test_an_accepted_record_has_the_fields_of_its_own_topic_alone(parsed):
    for (_, topic, _), row in zip(RIGHT, parsed[len(BROKEN) :], strict=True):
        assert fields_of(row) <= {field.name for field in CONTRACTS[topic].fields}


def test_an_accepted_record_lacks_no_required_field(parsed):
    for (_, topic, _), row in zip(RIGHT, parsed[len(BROKEN) :], strict=True):
        if row["record"] is not None:
            assert fields_of(row) >= {field.name for field in CONTRACTS[topic].fields if field.required}


def test_raw_columns_pass_unchanged(parsed):
    for number, ((_, topic, value, *_), row) in enumerate(zip([*BROKEN, *RIGHT], parsed, strict=True)):
        assert (row["topic"], row["partition"], row["offset"], row["value"]) == (topic, 0, number, value)


def test_transaction_is_typed_exactly(spark):
    value = text(
        "transactions", products=[{"product_id": "p1", "quantity": 3, "price": 0.1}, {"product_id": "p2", "quantity": 1, "price": 5}],
        total_amount=5.3, cart_id=None,
    )  # fmt: skip
    row = parse(spark.createDataFrame(kafka_table([("transactions", value)]))).toArrow().to_pylist()[0]["record"]
    names = [field.name for field in CONTRACTS["transactions"].fields]
    assert {name: row[name] for name in names} == {
        "event_id": valid("transactions")["event_id"],
        "event_type": "transaction",
        "schema_version": 1,
        "timestamp": datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC),
        "transaction_id": "t-000000000001",
        "user_id": "u00000042",
        "session_id": "s-7f3a9c",
        "cart_id": None,
        "country": "DE",
        "products": [
            {"product_id": "p1", "quantity": 3, "price": Decimal("0.10")},
            {"product_id": "p2", "quantity": 1, "price": Decimal("5.00")},
        ],
        "total_amount": Decimal("5.30"),
        "payment_method": "credit_card",
    }


def hashes_of(spark, *values):
    rows = parse(spark.createDataFrame(kafka_table([("transactions", v) for v in values]))).toArrow().sort_by("offset")
    return [{name: row["record"][name] for name in HASHES} for row in rows.to_pylist()]


def test_same_fields_written_differently_have_the_same_hashes(spark):
    plain = text("transactions", cart_id=...)
    null = text("transactions", cart_id=None)
    zeros = plain.replace(b"19.99", b"19.99").replace(b"39.98", b" 39.98")
    first, second, third = hashes_of(spark, plain, null, zeros)
    assert first == second == third


def test_other_event_id_changes_the_event_but_not_the_order(spark):
    one, other = hashes_of(
        spark, text("transactions"), text("transactions", event_id="f" * 8 + "-0000-4000-8000-" + "0" * 12)
    )
    same = {name for name in HASHES if one[name] == other[name]}
    assert same == {"transaction_hash", "transaction_hash2", "order_hash"}


def test_a_value_that_wanders_to_another_field_changes_the_body(spark):
    one, other = hashes_of(
        spark, text("transactions", cart_id="x", session_id="y"), text("transactions", cart_id="y", session_id="x")
    )
    assert one["body_hash"] != other["body_hash"]


def test_too_old_setting_leaves_old_records_to_the_judge(spark):
    frame = spark.createDataFrame(kafka_table([("users", text("users", timestamp="2026-03-07T09:59:59.999Z"))]))
    assert parse(frame).toArrow()["record"].null_count == 0
    assert parse(frame, too_old_days=7).toArrow()["record"].null_count == 1
