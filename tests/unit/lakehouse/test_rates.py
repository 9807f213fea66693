"""Every record counts once in the ingestion rates; the lag is what Kafka has and the lake has not."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from live_batches import batch, rows

from lakehouse.contracts import CONTRACTS
from lakehouse.ledger import LedgerEntry
from lakehouse.live.rates import RatesView, consumer_lag
from lakehouse.tables import BRONZE_EVENTS, DUPLICATES, INGESTION_RATES, PRODUCTS, QUARANTINE, TRANSACTIONS

TEN = datetime(2026, 3, 14, 10, tzinfo=UTC)
STARTED = datetime(2026, 3, 14, 10, 0, 9, tzinfo=UTC)


def after(seconds):
    return TEN + timedelta(seconds=seconds)


def record(seconds, topic="transactions", **columns):
    return {"topic": topic, "kafka_at": after(seconds), "is_late": False} | columns


def rates(tables, batch_id=7):
    output = RatesView().apply(batch(batch_id, tables, STARTED))
    assert output.findings == []
    return output.rows


def test_records_are_counted_by_second_topic_and_reasons():
    found = rates({
        TRANSACTIONS.path: [record(0), record(0.999, is_late=True), record(1), record(0.5)],
        PRODUCTS.path: [record(0, "products")],
        DUPLICATES.path: [record(0.2), record(5)],
        QUARANTINE.path: [
            record(0, reason_codes=["missing.user_id"]),
            record(0.1, reason_codes=["missing.user_id"]),
            record(0, reason_codes=["missing.country", "missing.user_id"]),
            record(0, "products", reason_codes=["empty"]),
        ],
    })[INGESTION_RATES.path]  # fmt: skip
    assert found.schema == INGESTION_RATES.schema
    names = [name for name in INGESTION_RATES.schema.names if name not in ("batch_id", "known_at")]
    assert [tuple(row[name] for name in names) for row in found.to_pylist()] == [
        # second, topic, reasons, records, accepted, quarantined, duplicate, late
        (TEN, "products", "", 1, 1, 0, 0, 0),
        (TEN, "products", "empty", 1, 0, 1, 0, 0),
        (TEN, "transactions", "", 4, 3, 0, 1, 1),
        (TEN, "transactions", "missing.country missing.user_id", 1, 0, 1, 0, 0),
        (TEN, "transactions", "missing.user_id", 2, 0, 2, 0, 0),
        (after(1), "transactions", "", 1, 1, 0, 0, 0),
        (after(5), "transactions", "", 1, 0, 0, 1, 0),
    ]
    assert set(zip(found["batch_id"].to_pylist(), found["known_at"].to_pylist(), strict=True)) == {(7, STARTED)}


def test_a_batch_without_records_has_no_rates():
    assert rates({}) == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_sums_are_the_counts_of_the_batch(seed):
    rng = np.random.default_rng(seed)
    topics = list(CONTRACTS)
    tables = {f"silver/{topic}": [] for topic in topics} | {QUARANTINE.path: [], DUPLICATES.path: []}
    expected = Counter()
    for _ in range(2_000):
        topic, when = topics[rng.integers(len(topics))], float(rng.uniform(0, 4))
        outcome = ("accepted", "quarantined", "duplicate")[rng.integers(3)]
        is_late = bool(rng.integers(2)) and outcome == "accepted"
        path = {"accepted": f"silver/{topic}", "quarantined": QUARANTINE.path, "duplicate": DUPLICATES.path}[outcome]
        tables[path].append(record(when, topic, is_late=is_late, reason_codes=["empty"]))
        expected += Counter({"record_count": 1, f"{outcome}_count": 1, "late_count": int(is_late)})
    found = rates(tables)[INGESTION_RATES.path]
    assert {name: sum(found[name].to_pylist()) for name in expected} == expected
    assert len(expected) == 5


def taken(*records):
    return rows(BRONZE_EVENTS, records)


def test_lag_is_what_kafka_has_beyond_the_batch_and_the_age_of_its_newest_record():
    lag = consumer_lag(
        taken(record(1), record(6.5), record(3, "products")),
        STARTED,
        {"transactions/0": 10, "transactions/1": 20, "products/0": 5, "users/0": 3},
        {"transactions/0": 15, "transactions/1": 22, "products/0": 5, "users/0": 3, "cart_events/0": 4},
    )
    assert lag.records == {"transactions": 7, "products": 0, "users": 0, "cart_events": 4}
    assert lag.seconds == {"transactions": 2.5, "products": 6.0, "users": 0.0}


def test_an_end_that_was_asked_too_early_gives_no_negative_lag():
    lag = consumer_lag(taken(record(10)), STARTED, {"transactions/0": 10}, {"transactions/0": 8})
    assert (lag.records, lag.seconds) == ({"transactions": 0}, {"transactions": 0.0})


def test_the_ledger_keeps_the_lag():
    entry = LedgerEntry(0, 1, 1, TEN, STARTED, {}, {}, {}, lag_records={"users": 3}, lag_seconds={"users": 0.5})
    (row,) = entry.to_rows().to_pylist()
    assert (row["lag_records"], row["lag_seconds"]) == ([("users", 3)], [("users", 0.5)])
