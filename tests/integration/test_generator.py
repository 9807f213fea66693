"""The generator against a real broker: all that it says it sent is in Kafka once, also where the broker dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import TopicPartition

from ingestion import topics
from ingestion.options import RunOptions, history, live, parse_start
from ingestion.producers import Producers
from ingestion.run import Progress, Report, run
from ingestion.shares import Shares
from ingestion.topics import INPUT_NAMES, MARKERS, Topic, admin_client, apply_topics
from ingestion.truth import TruthLedger, read_records, read_run
from lakehouse.errors import KafkaError
from lakehouse.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

EVERY_FAULT = Shares(0.03, 0.03, 0.02, 0.02, 0.02, 0.1, 0.02, 0.1)
Place = tuple[str, int, int]
Offsets = dict[TopicPartition, int]


@pytest.fixture
def settings(stack: Any) -> Settings:
    """A broker with the topics of the platform."""
    made: Settings = stack("kafka")
    apply_topics(made)
    return made


@pytest.fixture
def before(settings: Settings) -> Offsets:
    """Where each topic ends before the test's own runs."""
    return ends(settings)


def ends(settings: Settings) -> Offsets:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    places = [
        TopicPartition(name, p) for name in (*INPUT_NAMES, MARKERS.name) for p in consumer.partitions_for_topic(name)
    ]
    offsets: Offsets = consumer.end_offsets(places)
    consumer.close()
    return offsets


def sent_since(
    settings: Settings, before: Offsets, names: tuple[str, ...] = INPUT_NAMES
) -> dict[Place, tuple[bytes, bytes]]:
    """Key and value of all records behind the offsets `before`, by place."""
    after = {place: end for place, end in ends(settings).items() if place.topic in names and end > before[place]}
    found: dict[Place, tuple[bytes, bytes]] = {}
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    consumer.assign(list(after))
    for place in after:
        consumer.seek(place, before[place])
    while any(consumer.position(place) < end for place, end in after.items()):
        for place, records in consumer.poll(timeout_ms=1000).items():
            found |= {(place.topic, place.partition, record.offset): (record.key, record.value) for record in records}
    consumer.close()
    return found


def ledger_rows(report: Report) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_records(Path(report.truth)).to_pylist()
    return rows


def placed(rows: list[dict[str, Any]]) -> dict[Place, tuple[bytes, bytes]]:
    return {(row["topic"], row["partition"], row["offset"]): (row["key"].encode(), row["value"]) for row in rows}


def a_day(**changes: Any) -> RunOptions:
    values = {
        "seconds": 86_400.0,
        "start_ms": parse_start("2026-05-29"),
        "scale": 0.01,
        "catalogue": False,
        "truth": "full",
    }
    return history(**{**values, **changes})


def test_a_full_ledger_is_exactly_what_kafka_holds(settings: Settings, before: Offsets) -> None:
    report = run(settings, a_day(shares=EVERY_FAULT))
    rows = ledger_rows(report)
    assert report.complete
    assert report.unacknowledged == 0
    assert placed(rows) == sent_since(settings, before)
    assert Counter(row["topic"] for row in rows) == {name: count for name, count in report.produced.items() if count}
    assert report.produced == report.acknowledged
    assert Counter(row["fault"] for row in rows if row["fault"]) == report.faults
    assert read_run(Path(report.truth))["complete"] is True


def test_originals_come_before_their_copies_in_the_same_partition(settings: Settings) -> None:
    report = run(settings, a_day(seed=2, shares=Shares(duplicates=0.1, conflicts=0.1), truth="faults"))
    rows = ledger_rows(report)
    originals = {row["event_id"]: row for row in rows if row["fault"] is None}
    copies = [row for row in rows if row["fault"]]
    assert len(copies) > 1_000
    for row in copies:
        original = originals[row["of_event_id"]]
        assert (original["topic"], original["partition"]) == (row["topic"], row["partition"])
        assert original["offset"] < row["offset"]


def test_an_end_marker_tells_where_the_run_ended(settings: Settings, before: Offsets) -> None:
    report = run(settings, a_day(seed=3))
    [(key, value)] = sent_since(settings, before, (MARKERS.name,)).values()
    after = {
        f"{place.topic}/{place.partition}": end for place, end in ends(settings).items() if place.topic != MARKERS.name
    }
    marker = json.loads(value)
    assert key.decode() == report.run_id
    assert marker == {
        "run_id": report.run_id,
        "kind": "end",
        "mode": "history",
        "last_event_time": report.last_event_time,
        "counts": report.produced,
        "next_offsets": {place: after[place] for place in marker["next_offsets"]},
    }
    assert "2026-05-29T23:5" in marker["last_event_time"]


def test_a_killed_broker_pauses_the_run_and_nothing_is_lost_or_doubled(
    stack: Any, settings: Settings, before: Offsets
) -> None:
    said: list[str] = []
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.acknowledged > 3_000 and not killed:
            killed.append(stack.kill("kafka"))

    report = run(settings, a_day(seed=4, scale=0.04, shares=EVERY_FAULT), on_progress=kill_once, say=said.append)
    stack.wait_healthy("kafka", after_pid=killed[0])
    assert report.complete
    assert report.produced == report.acknowledged
    assert placed(ledger_rows(report)) == sent_since(settings, before)


def test_a_stopped_run_accounts_for_all_it_sent(settings: Settings, before: Offsets) -> None:
    stop = threading.Event()

    def stop_soon(progress: Progress) -> None:
        if progress.acknowledged > 2_000:
            stop.set()

    report = run(settings, a_day(seed=5, scale=0.5), on_progress=stop_soon, stop=stop)
    assert (report.interrupted, report.complete, report.unacknowledged) == (True, False, 0)
    assert placed(ledger_rows(report)) == sent_since(settings, before)
    assert sent_since(settings, before, (MARKERS.name,)) == {}
    assert read_run(Path(report.truth))["interrupted"] is True


def test_live_traffic_keeps_its_rate_and_is_dated_as_it_is_sent(settings: Settings, before: Offsets) -> None:
    report = run(settings, live(6.0, rate=300.0, truth="full", catalogue=False))
    times = sorted(json.loads(row["value"])["timestamp"] for row in ledger_rows(report))
    assert report.complete
    assert report.total == pytest.approx(1_800, rel=0.02)
    assert report.start <= times[0]
    assert times[-1] == report.last_event_time
    assert len(sent_since(settings, before)) == report.total


def test_a_second_live_run_shares_no_id_and_registers_nobody_again(settings: Settings, before: Offsets) -> None:
    for seed in (6, 6, 7):
        run(settings, live(2.0, rate=400.0, seed=seed, catalogue=False, scale=0.00005))
    records = sent_since(settings, before)
    ids = Counter(orjson.loads(value)["event_id"] for _, value in records.values())
    users = Counter(key for (topic, *_), (key, _) in records.items() if topic == "users")
    assert ids.most_common(1)[0][1] == 1
    assert users.most_common(1)[0][1] == 1


def test_records_that_the_broker_stamps_as_too_early_are_expected_in_quarantine(settings: Settings) -> None:
    report = run(settings, live(4.0, rate=500.0, catalogue=False, shares=Shares(skew=0.5)))
    expected = {(row["fault"], row["expected"], *row["reason_codes"]) for row in ledger_rows(report)}
    assert expected == {("skew:within", "silver"), ("skew:beyond", "quarantine", "future.timestamp")}


def test_ctrl_c_ends_the_command_with_130_and_an_incomplete_run(settings: Settings, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "GLOBALMART_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "GLOBALMART_STATE_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "ingestion", "--rate", "200", "--duration", "5m", "--no-catalogue", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: list(tmp_path.glob("truth/*/run.json")), process)
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    report = json.loads(output)
    assert (report["complete"], report["interrupted"], report["unacknowledged"]) == (False, True, 0)
    assert "Traceback" not in messages
    assert read_run(next(tmp_path.glob("truth/*")))["interrupted"] is True


def until(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        threading.Event().wait(0.1)


def test_a_broker_that_is_away_at_the_start_is_one_sentence(tmp_path: Path) -> None:
    env = {**os.environ, "GLOBALMART_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "GLOBALMART_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "ingestion", "--rate", "10", "--duration", "1s"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("No Kafka broker answers at 127.0.0.1:9.")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "truth").exists()


def test_topics_are_applied_idempotently(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert apply_topics(settings) == []
    monkeypatch.setattr(topics, "TOPICS", (Topic("test_topics", "out", "grown, changed and refused by a test"),))
    two, three = (settings.model_copy(update={"kafka_partitions": count}) for count in (2, 3))
    assert apply_topics(two) == ["test_topics: created with 2 partitions"]
    assert apply_topics(two) == []
    assert apply_topics(three) == ["test_topics: 2 to 3 partitions"]
    with pytest.raises(KafkaError, match="has 3 partitions and 2 are asked for; partitions cannot be taken away"):
        apply_topics(two)
    with admin_client(settings) as client:
        client.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, "test_topics", {"message.timestamp.type": "CreateTime"})]
        )
        assert apply_topics(three) == ["test_topics: message.timestamp.type set to LogAppendTime"]
        client.delete_topics(["test_topics"])


def test_topics_have_the_configuration_that_the_books_rely_on(settings: Settings) -> None:
    wanted = {topic.name: topics.topic_configs(settings, topic) for topic in topics.TOPICS}
    with admin_client(settings) as client:
        asked = [
            ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(configs)) for name, configs in wanted.items()
        ]
        found = client.describe_configs(asked, config_filter="all")["topic"]
    assert {configs["message.timestamp.type"] for configs in wanted.values()} == {"LogAppendTime"}
    assert {name: {key: one["value"] for key, one in configs.items()} for name, configs in found.items()} == wanted


def test_the_short_cut_past_the_clients_send_gives_the_same_record(
    settings: Settings, before: Offsets, tmp_path: Path
) -> None:
    """What makes one process fast enough leans on the inside of the pinned client; this is what it must keep doing."""
    producers = Producers(settings, TruthLedger(tmp_path / "ledger"), False, print, threading.Event())
    stream = next(one for one in producers._streams if one.topic == "product_views")
    ours = stream.send(1, b"U0000001", b"not json").get(timeout=30)
    theirs = stream._producer.send("product_views", b"not json", b"U0000001", partition=1).get(timeout=30)
    producers.close()
    found = sent_since(settings, before)
    assert (
        found[("product_views", 1, ours.offset)]
        == found[("product_views", 1, theirs.offset)]
        == (b"U0000001", b"not json")
    )
    assert ours.timestamp > 1_700_000_000_000
