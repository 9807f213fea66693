"""Hostile traffic on the real stack, case by case, in small; `make test-long` has the floods at full size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from conftest import Stack, wait_for
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from records import text
from test_streaming import Traffic, assert_balanced, settle, traffic, wait_drained  # noqa: F401 `traffic` is a fixture
from visits import equal_to_batch, newest_lake

from infra import envfile
from infra import stack as local_stack
from lakehouse import tables as t
from lakehouse.books.prove import prove
from lakehouse.ledger import last_entry
from lakehouse.settings import CHECKOUT, Settings, get_settings
from lakehouse.storage import open_table

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2400)]

Row = dict[str, Any]
BATCH_SECONDS = 6  # what the last batch may take


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    settings = stack("kafka", "minio", "streaming")
    wait_drained(stack)
    return settings


@pytest.fixture
def send(settings: Settings) -> Iterator[Any]:
    """Send (topic, key, value) in order and wait until the stream has taken them all."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, enable_idempotence=True, acks="all", linger_ms=20
    )

    def go(records: Iterable[tuple[str, str, bytes]]) -> None:
        reached: dict[str, int] = {}
        for sent in [producer.send(topic, key=key.encode(), value=value) for topic, key, value in records]:
            place = sent.get(60)
            reached[f"{place.topic}/{place.partition}"] = place.offset + 1

        def taken() -> bool:
            entry = last_entry(open_table(settings, t.LEDGER_STREAMING))
            return entry is not None and all(entry.next_offsets.get(name, 0) >= end for name, end in reached.items())

        wait_for(taken, "the stream has taken what was sent", 600)

    yield go
    producer.close()


def now_text(ago: timedelta = timedelta(0)) -> str:
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ident(case: int, number: int) -> str:
    """An event id of this file's own."""
    return f"{case:08d}-0000-4000-9000-{number:012d}"


def view(case: int, number: int, user: str, **changes: Any) -> tuple[str, str, bytes]:
    body = {"event_id": ident(case, number), "user_id": user, "timestamp": now_text()} | changes
    return "product_views", user, text("product_views", **body)


def rows(settings: Settings, table: t.Table, **equal: Any) -> list[Row]:
    """Rows of `table`, once read, that have these values."""
    found = open_table(settings, table).to_pyarrow_dataset().to_table(use_threads=False)
    for name, value in equal.items():
        found = found.filter(pc.equal(found[name], value))
    return found.to_pylist()


def test_one_id_a_thousand_times_is_one_event_and_its_doubles(settings, send):
    one = view(1, 0, "u-hostile-1")
    send([one] * 1_000)
    (winner,) = rows(settings, t.PRODUCT_VIEWS, event_id=ident(1, 0))
    doubles = rows(settings, t.DUPLICATES, event_id=ident(1, 0))
    assert len(doubles) == 999
    assert {(d["winner_topic"], d["winner_partition"], d["winner_offset"]) for d in doubles} == {
        ("product_views", winner["partition"], winner["offset"])
    }
    assert winner["offset"] < min(d["offset"] for d in doubles)


@pytest.mark.long
def test_one_id_100_000_times_is_one_event_and_its_doubles(settings, send):
    send([view(2, 0, "u-hostile-2")] * 100_000)
    assert len(rows(settings, t.PRODUCT_VIEWS, event_id=ident(2, 0))) == 1
    assert len(rows(settings, t.DUPLICATES, event_id=ident(2, 0))) == 99_999


def test_half_of_all_events_doubled_is_half_in_silver(stack, settings, send):
    events = [view(3, number, f"u-half-{number % 50}") for number in range(5_000)]
    send(one for event in events for one in (event, event))
    ids = Counter(row["event_id"] for row in rows(settings, t.PRODUCT_VIEWS) if row["event_id"].startswith("00000003-"))
    assert len(ids) == 5_000
    assert set(ids.values()) == {1}
    assert_balanced(prove(settings))


@pytest.mark.long
def test_half_of_a_million_events_doubled_is_half_in_silver(stack, settings, send):
    now = now_text()
    events = (view(4, number, f"u-half-{number % 5000}", timestamp=now) for number in range(500_000))
    send(one for event in events for one in (event, event))
    found = open_table(settings, t.PRODUCT_VIEWS).to_pyarrow_table(columns=["event_id"])["event_id"]
    of_case = found.filter(pc.starts_with(found, "00000004-"))
    assert len(of_case) == len(pc.unique(of_case)) == 500_000
    assert_balanced(prove(settings))


def test_the_same_id_with_another_body_is_a_conflict_and_the_first_wins(settings, send):
    first = view(5, 0, "u-hostile-5", timestamp="2026-03-14T09:00:00.000Z")
    other = view(5, 0, "u-hostile-5", timestamp="2026-03-14T09:00:00.000Z", device="another")
    send([first, other, first])
    (kept,) = rows(settings, t.PRODUCT_VIEWS, event_id=ident(5, 0))
    assert kept["device"] == json.loads(first[2])["device"]
    refused = [row for row in rows(settings, t.QUARANTINE) if row["value"] == other[2]]
    assert [row["reason_codes"] for row in refused] == [["conflict.event_id"]]
    assert len(rows(settings, t.DUPLICATES, event_id=ident(5, 0))) == 1


def test_a_double_after_a_restart_is_known(stack, settings, send):
    one = view(6, 0, "u-hostile-6")
    send([one])
    pid = stack.kill("streaming")
    stack.wait_healthy("streaming", after_pid=pid, seconds=240)
    send([one])
    assert len(rows(settings, t.PRODUCT_VIEWS, event_id=ident(6, 0))) == 1
    assert len(rows(settings, t.DUPLICATES, event_id=ident(6, 0))) == 1


def test_an_event_from_2099_moves_nothing_and_makes_nobody_late(settings, send):
    user = "u-hostile-7"
    send([view(7, 0, user), view(7, 1, user, timestamp="2099-01-01T00:00:00.000Z")])
    send([view(7, 2, user)])
    kept = rows(settings, t.PRODUCT_VIEWS, user_id=user)
    assert [(row["event_id"], row["is_late"]) for row in sorted(kept, key=lambda r: r["event_id"])] == [
        (ident(7, 0), False),
        (ident(7, 2), False),
    ]
    refused = [row for row in rows(settings, t.QUARANTINE) if b"2099-01-01" in (row["value"] or b"")]
    assert ["future.timestamp"] in [row["reason_codes"] for row in refused]


def test_a_new_optional_field_flows_and_a_renamed_one_is_quarantined(settings, send):
    user = "u-hostile-8"
    new = view(8, 0, user, campaign={"name": "spring"})
    renamed = json.loads(view(8, 1, user)[2])
    renamed["userId"] = renamed.pop("user_id")
    send([new, ("product_views", user, json.dumps(renamed).encode())])
    assert [row["event_id"] for row in rows(settings, t.PRODUCT_VIEWS, user_id=user)] == [ident(8, 0)]
    refused = [row for row in rows(settings, t.QUARANTINE) if ident(8, 1).encode() in (row["value"] or b"")]
    assert [row["reason_codes"] for row in refused] == [["missing.user_id"]]
    raw = [row for row in rows(settings, t.BRONZE_EVENTS) if ident(8, 0).encode() in (row["value"] or b"")]
    assert json.loads(raw[0]["value"])["campaign"] == {"name": "spring"}


def test_ninety_percent_of_traffic_on_one_key_stays_in_order_and_balanced(stack, settings, send):
    send(view(9, number, "u-hostile-9" if number % 10 else f"u-cold-{number}") for number in range(5_000))
    hot = rows(settings, t.PRODUCT_VIEWS, user_id="u-hostile-9")
    assert len(hot) == 4_500
    assert len({row["partition"] for row in hot}) == 1
    in_order = sorted(hot, key=lambda row: row["offset"])
    assert [row["event_id"] for row in in_order] == sorted(row["event_id"] for row in hot)
    assert_balanced(prove(settings))


def test_sessions_of_late_and_disordered_traffic_equal_those_computed_in_batch(stack, settings, traffic, spark):
    """A tenth of the events up to four days late, sent as a history whose end mark closes what it left open."""
    traffic("--history", "2d", "--scale", "0.002", "--late", "0.1", "--seed", "31").finish()
    settle(stack)
    assert len(equal_to_batch(newest_lake(settings), spark)) > 1_000


def good_rate_under_malformed(stack: Stack, settings: Settings, running: Traffic) -> float:
    """Share of the good records that were in the lake one batch after the last had been sent."""
    began = datetime.now(UTC)
    report = running.finish()
    ended = datetime.now(UTC)
    sent = sum(report["acknowledged"].values()) - sum(
        count for fault, count in report["faults"].items() if fault.startswith("malformed")
    )
    batches = [row for row in rows(settings, t.LEDGER_STREAMING) if began <= row["started_at"]]
    in_time = sum(
        row["accepted_count"] for row in batches if row["committed_at"] <= ended + timedelta(seconds=BATCH_SECONDS)
    )
    settle(stack)
    assert sum(row["quarantined_count"] for row in batches) > 0
    return in_time / sent


def test_half_of_a_flood_malformed_is_in_quarantine_and_all_good_ones_in_silver(settings, send):
    """The rate that the good ones keep is measured where nothing runs beside it, by `make test-long`."""
    user = "u-hostile-11"
    broken = b'{"event_id": "' + user.encode() + b'", '
    send(one for number in range(5_000) for one in (view(11, number, user), ("product_views", user, broken)))
    assert {row["event_id"] for row in rows(settings, t.PRODUCT_VIEWS, user_id=user)} == {
        ident(11, number) for number in range(5_000)
    }
    assert Counter(tuple(row["reason_codes"]) for row in rows(settings, t.QUARANTINE, value=broken)) == {
        ("not_json",): 5_000
    }
    assert_balanced(prove(settings))


@pytest.mark.long
def test_with_half_malformed_for_five_minutes_the_good_ones_keep_their_rate(stack, settings, traffic):
    wait_drained(stack)
    running = traffic("--rate", "500", "--duration", "5m", "--malformed", "0.5", "--seed", "33")
    assert good_rate_under_malformed(stack, settings, running) >= 0.8


@pytest.fixture
def other_stack(stack_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack of the test's own, for what would leave a mark on the shared one."""
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / ".env"))
    envfile.ensure_env(tmp_path / "state", envfile.random_ports())
    get_settings.cache_clear()
    try:
        yield Stack(tmp_path)
    finally:
        local_stack.down(say=lambda _: None)
        monkeypatch.undo()
        get_settings.cache_clear()


def test_records_that_retention_took_stop_the_stream_with_their_place(other_stack):
    settings = other_stack("kafka", "minio", "streaming")
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)

    def put(number: int) -> int:
        return producer.send("product_views", view(10, number, "u-hostile-10")[2], b"k", partition=0).get(30).offset

    put(0)
    wait_for(lambda: rows(settings, t.PRODUCT_VIEWS, event_id=ident(10, 0)), "the first record", 120)
    other_stack.stop("streaming")
    lost = [put(number) for number in range(1, 6)]
    kept = put(9)
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    admin.delete_records({TopicPartition("product_views", 0): kept})
    admin.close()

    environment = os.environ | {"GLOBALMART_SERVICE": "streaming"}
    command = [sys.executable, "-m", "lakehouse.streams.service"]
    answer = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 1
    place = f"product_views/0 offsets {lost[0]} to {lost[-1]}"
    assert f"no longer has 5 records that the lake has not taken ({place})" in answer.stderr.splitlines()[-1]

    accepting = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment | {"GLOBALMART_STREAM_ACCEPT_LOSS": "true"}, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: rows(settings, t.PRODUCT_VIEWS, event_id=ident(10, 9)), "the record after the gap", 240)
    finally:
        accepting.terminate()
        accepting.wait(60)
    assert prove(settings).differences == []
