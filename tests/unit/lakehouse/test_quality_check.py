"""`lakehouse.quality`: sound rows pass, each kind of broken row fails its own expectation, personal data stays masked."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.quality.check import QualityError, Report, validate
from lakehouse.quality.kinds import NoRows
from lakehouse.quality.rules import PERSONAL_COLUMNS, rules
from lakehouse.tables import CUSTOMER_RFM, MONEY, TABLES, TRANSACTION_ITEMS, TRANSACTIONS, Table

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
BOB = "as_of_date=2026-03-14, user_id=•••"  # or alice: masked, they look the same
ORDERS = pa.schema([("user_id", pa.string()), ("transaction_id", pa.string()), ("total_amount", MONEY)])


def frame(spark: SparkSession, table: Table, rows: list[dict[str, Any]]) -> DataFrame:
    return spark.createDataFrame(
        pa.Table.from_pylist(rows, schema=pa.schema([f.with_nullable(True) for f in table.schema]))
    )


def failures(report: Report) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {o.expectation: (o.unexpected_count, o.samples) for o in report.failed}


def order(number: int, **changes: Any) -> dict[str, Any]:
    hashes = {column.name: number for column in TRANSACTIONS.columns if "hash" in column.name}
    return {
        "event_id": f"e{number}",
        "event_type": "transaction",
        "schema_version": 1,
        "timestamp": AT,
        "transaction_id": f"t{number}",
        "user_id": f"u{number}",
        "session_id": "s1",
        "country": "DE",
        "products": [{"product_id": "p1", "quantity": 3, "price": Decimal("0.10")}],
        "total_amount": Decimal("0.30"),
        "payment_method": "paypal",
        "topic": "transactions",
        "partition": 0,
        "offset": number,
        "kafka_at": AT,
        "ingested_at": AT,
        "is_late": False,
        "batch_id": 1,
        **hashes,
        **changes,
    }


def customer(user_id: str, **changes: Any) -> dict[str, Any]:
    scores = {"r_score": 5, "f_score": 5, "m_score": 5, "segment": "champions"}
    row = {"as_of_date": date(2026, 3, 14), "user_id": user_id, "recency_days": 0, "frequency": 1, **scores}
    return {**row, "monetary": Decimal("0.30"), **changes}


def silver(spark: SparkSession, *orders: tuple[str, str, str]) -> dict[str, DataFrame]:
    rows = [{"user_id": u, "transaction_id": t, "total_amount": Decimal(amount)} for u, t, amount in orders]
    return {"silver_transactions": spark.createDataFrame(pa.Table.from_pylist(rows, schema=ORDERS))}


def test_sound_transactions_pass_every_expectation(spark: SparkSession) -> None:
    report = validate(frame(spark, TRANSACTIONS, [order(1), order(2)]), TRANSACTIONS)
    assert failures(report) == {}
    assert report.row_count == 2
    assert len(report.outcomes) > len(TRANSACTIONS.columns)


def test_each_broken_transaction_fails_its_own_expectation(spark: SparkSession) -> None:
    rows = [
        order(1),
        order(2, transaction_id="t1"),
        order(3, country="FR"),
        order(4, total_amount=Decimal("0.31")),
        order(5, timestamp=AT.replace(hour=13)),
        order(6, user_id=None),
        order(7, offset=6),
    ]
    assert failures(validate(frame(spark, TRANSACTIONS, rows), TRANSACTIONS)) == {
        "user_id is present": (1, ("event_id=e6, user_id=None",)),
        "country is one of its known values": (1, ("event_id=e3, country=FR",)),
        "transaction_id is unique": (1, ("transaction_id=t1, row_count=2",)),
        "a Kafka record gives one row": (1, ("topic=transactions, partition=0, offset=6, row_count=2",)),
        "total_amount is the sum of its lines": (1, ("transaction_id=t4, total_amount=0.31",)),
        "timestamp is not in the future of its arrival": (
            1,
            ("event_id=e5, timestamp=2026-03-14 13:00:00, kafka_at=2026-03-14 12:00:00",),
        ),
    }


def test_lines_that_do_not_add_up_to_silver_transactions_are_named(spark: SparkSession) -> None:
    fields = {k: v for k, v in order(1).items() if k in TRANSACTION_ITEMS.schema.names}
    line = {
        **fields,
        "line_number": 1,
        "product_id": "p1",
        "category": "books",
        "quantity": 3,
        "price": Decimal("0.10"),
    }
    rows = [{**line, "line_amount": Decimal("0.30")}, {**line, "transaction_id": "t2", "line_amount": Decimal("0.40")}]
    views = silver(spark, ("u1", "t1", "0.30"), ("u2", "t2", "0.30"), ("u3", "t3", "0.30"))
    found = failures(validate(frame(spark, TRANSACTION_ITEMS, rows), TRANSACTION_ITEMS, views))
    assert set(found) == {
        "line_amount is quantity x price",
        "the lines of an order add up to its total in silver/transactions",
    }
    count, samples = found["the lines of an order add up to its total in silver/transactions"]
    assert count == 2
    assert sorted(samples) == [
        "transaction_id=t2, amount=0.40, total_amount=0.30",
        "transaction_id=t3, amount=None, total_amount=0.30",
    ]


def test_broken_customers_fail_and_their_ids_are_masked(spark: SparkSession) -> None:
    rows = [
        customer("alice"),
        customer("alice", m_score=6, segment="friends"),
        customer("bob", recency_days=365, r_score=0, frequency=0, monetary=Decimal("-1.00")),
    ]
    report = validate(frame(spark, CUSTOMER_RFM, rows), CUSTOMER_RFM, silver(spark, ("alice", "t1", "0.30")))
    found = failures(report)
    count, _ = found.pop("scores spread: no more than k fifths of the customers have a score of k or less")
    assert count == 1  # the one row of counts, since a third of the customers scores 1 or less
    assert found == {
        "as_of_date, user_id is unique": (1, ("as_of_date=2026-03-14, user_id=•••, row_count=2",)),
        "recency_days is at least 0 and at most 364": (1, (f"{BOB}, recency_days=365",)),
        "frequency is at least 1": (1, (f"{BOB}, frequency=0",)),
        "monetary is at least 0": (1, (f"{BOB}, monetary=-1.00",)),
        "r_score is at least 1 and at most 5": (1, (f"{BOB}, r_score=0",)),
        "m_score is at least 1 and at most 5": (1, (f"{BOB}, m_score=6",)),
        "segment is one of its known values": (1, (f"{BOB}, segment=friends",)),
        "customers with equal monetary share their m_score": (1, ("monetary=0.30",)),
        "transactions, customers and money equal silver/transactions": (
            1,
            (
                "frequency=2, monetary=-0.40, customer_count=3, silver_frequency=1, silver_monetary=0.30, "
                "silver_customer_count=1",
            ),
        ),
    }
    assert "alice" not in str(report)


def test_a_missing_column_or_a_wrong_type_is_reported_alone(spark: SparkSession) -> None:
    sound = frame(spark, CUSTOMER_RFM, [customer("alice")])
    views = silver(spark, ("alice", "t1", "0.30"))
    assert list(failures(validate(sound.drop("segment"), CUSTOMER_RFM, views))) == ["the columns are the declared ones"]
    wrong = sound.withColumn("monetary", sound["monetary"].cast("double"))
    assert list(failures(validate(wrong, CUSTOMER_RFM, views))) == ["each column has its declared type"]


def test_an_expectation_that_cannot_be_evaluated_is_an_error_and_not_bad_data(spark: SparkSession) -> None:
    spark.catalog.dropTempView("silver_transactions")
    with pytest.raises(QualityError, match="could not be evaluated"):
        validate(frame(spark, CUSTOMER_RFM, [customer("alice")]), CUSTOMER_RFM)


def test_every_table_has_a_rule_that_its_key_is_unique() -> None:
    for table in TABLES:
        assert next(r.name for r in rules(table) if isinstance(r, NoRows)) == f"{', '.join(table.key)} is unique"


def test_columns_called_personal_in_the_tables_are_masked() -> None:
    named = {column.name for table in TABLES for column in table.columns if "personal data" in column.meaning}
    assert named <= PERSONAL_COLUMNS
