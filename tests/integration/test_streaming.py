"""The streaming service on the real stack: kills, outages, a second service, tampering. After each, the books must balance."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from conftest import Stack, wait_for
from deltalake import DeltaTable, write_deltalake
from truth import assert_lake_is_the_truth, truth_of

from lakehouse import heartbeat
from lakehouse.books.prove import Books, prove
from lakehouse.errors import KafkaError, StorageError
from lakehouse.lease import S3Store
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import bucket, delta_options, delta_uri, open_table
from lakehouse.tables import BRONZE_EVENTS, LEDGER_STREAMING, PRODUCT_VIEWS, TRANSACTIONS, Table

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2400)]

SHARES = {
    "duplicates": 0.02, "conflicts": 0.01, "late": 0.02, "skew": 0.01, "malformed": 0.02, "violations": 0.03,
    "extra-fields": 0.005, "anomalies": 0.01,
}  # fmt: skip
FAULTS = [word for name, share in SHARES.items() for word in (f"--{name}", str(share))]


@pytest.fixture
def as_streaming(stack: Stack) -> Settings:
    """With the owner's secret, to do what only the owner can."""
    return stack.settings("streaming")


class Traffic:
    """`globalmart generate` in a process of its own, with every kind of fault and the whole truth written down."""

    def __init__(self, *options: str) -> None:
        fixed = ["--no-catalogue", "--truth", "full", "--json"]
        command = [sys.executable, "-m", "ingestion", *FAULTS, *options, *fixed]
        self._process = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def finish(self) -> dict:
        """Wait for its end; returns its report."""
        out, _ = self._process.communicate(timeout=600)
        assert self._process.returncode == 0, out
        return json.loads(out)

    def stop(self) -> dict:
        """End it with Ctrl-C; returns its report."""
        self._process.send_signal(signal.SIGINT)
        out, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 130, out
        return json.loads(out)


@pytest.fixture(scope="module")
def traffic() -> Iterator[Callable[..., Traffic]]:
    """Start traffic with options of the generator; what still runs at the end is ended."""
    started: list[Traffic] = []

    def start(*options: str) -> Traffic:
        started.append(Traffic(*options))
        return started[-1]

    yield start
    for one in started:
        one.end()


def versions(stack: Stack, table: Table) -> int:
    """How many commits a table has, seen from outside: MinIO keeps each object as a folder."""
    log = stack.settings().state_dir / "data" / "minio" / bucket(stack.settings()) / table.path / "_delta_log"
    return sum(1 for _ in log.glob("*.json"))


def intents(stack: Stack) -> int:
    folder = stack.settings().state_dir / "checkpoints" / "refine"
    return max((int(file.stem) for file in folder.glob("*/intents/*.json")), default=-1)


def jvm(stack: Stack) -> int:
    return int(json.loads((stack.settings().run_dir / "jvm" / "streaming.json").read_text())["pid"])


def state(stack: Stack) -> str:
    beat = heartbeat.read(stack.settings(), "streaming")
    return "" if beat is None or beat["is_stale"] else str(beat["state"])


def next_of(read: Callable[[], int]) -> Callable[[], bool]:
    """True once `read()` has grown, from the first call on."""
    before: list[int] = []

    def grown() -> bool:
        now = read()
        before.append(now)
        return now > before[0]

    return grown


def wait_fast(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Like wait_for, looking every few milliseconds: the moment is what matters."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.004)


def wait_drained(stack: Stack) -> None:
    """Wait until the stream has taken all there is."""

    def drained() -> bool:
        beat = heartbeat.read(stack.settings(), "streaming")
        return beat is not None and not beat["is_stale"] and beat["state"] == "running" and beat.get("lag_records") == 0

    wait_for(drained, "the stream has taken everything", 1200)


def settle(stack: Stack) -> Books:
    """Wait until the stream has taken all there is, then prove."""
    wait_drained(stack)
    return prove(stack.settings())


def assert_balanced(books: Books) -> None:
    assert books.differences == []
    assert all(line.silver == line.gold for line in books.money)
    assert books.balanced
    assert all(line.in_flight == 0 for line in books.topics)
    for line in books.topics:
        assert line.kafka == line.bronze == line.silver + line.quarantine + line.duplicates, line


def truth_folder(stack: Stack, report: dict) -> Path:
    return stack.settings().truth_dir / report["run_id"]


@pytest.fixture(scope="module")
def settings(stack: Stack, traffic: Callable[..., Traffic]) -> Settings:
    """The stream runs and has taken something."""
    stack("kafka", "minio", "streaming")
    traffic("--rate", "300", "--duration", "5s", "--seed", "10").finish()
    wait_drained(stack)
    return stack.settings()


@pytest.fixture(scope="module")
def survived(stack: Stack, settings: Settings, traffic: Callable[..., Traffic]) -> dict:
    """Traffic of more than 50,000 events with every fault, through six kills of the driver; its report."""
    running = traffic("--rate", "800", "--duration", "75s", "--seed", "11")
    moments: list[tuple[str, Callable[[], int], str]] = [
        ("write-ahead entry", lambda: intents(stack), "jvm"),
        ("write-ahead entry", lambda: intents(stack), "python"),
        ("bronze commit", lambda: versions(stack, BRONZE_EVENTS), "python"),
        ("bronze commit", lambda: versions(stack, BRONZE_EVENTS), "jvm"),
        ("ledger commit", lambda: versions(stack, LEDGER_STREAMING), "python"),
    ]
    for _, read, victim in moments:
        pid = stack.wait_healthy("streaming", seconds=180).pid
        wait_fast(next_of(read))
        os.kill(jvm(stack) if victim == "jvm" else pid, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(pid), "the killed driver's other half has ended too", 60)  # noqa: B023
    # and once more while it is still starting
    starting = wait_for(lambda: stack.status("streaming").pid, "the supervisor has started it again", 60)
    os.kill(starting, signal.SIGKILL)
    stack.wait_healthy("streaming", after_pid=starting, seconds=180)
    return running.finish()


def test_six_kills_of_the_driver_change_nothing(stack, survived):
    assert sum(survived["acknowledged"].values()) >= 50_000
    assert_balanced(settle(stack))
    outcomes = assert_lake_is_the_truth(truth_of(truth_folder(stack, survived)), stack.settings())
    assert min(outcomes["silver"], outcomes["quarantine"], outcomes["duplicates"]) > 500


def test_every_kind_of_fault_was_sent(survived):
    kinds = {fault.split(":")[0] for fault in survived["faults"]}
    assert kinds >= {"duplicate", "conflict", "late", "skew", "malformed", "violation", "extra_field", "anomaly"}


def test_broker_and_then_minio_killed_lose_nothing(stack, settings, traffic):
    running = traffic("--rate", "600", "--duration", "45s", "--seed", "12")
    for server in ("kafka", "minio"):
        wait_fast(next_of(lambda: versions(stack, BRONZE_EVENTS)), 180)  # the ledger also grows when idle
        pid = stack.kill(server)
        stack.wait_healthy(server, after_pid=pid)
    report = running.finish()
    assert report["unacknowledged"] == 0
    assert_balanced(settle(stack))
    assert_lake_is_the_truth(truth_of(truth_folder(stack, report)), stack.settings())


def test_a_second_service_is_refused_and_told_who_owns_the_lake(stack, settings):
    pid = stack.wait_healthy("streaming").pid
    environment = os.environ | {"GLOBALMART_SERVICE": "streaming"}
    second = subprocess.run(
        [sys.executable, "-m", "lakehouse.streams.service"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 75
    assert f"Process {pid} on" in second.stderr.splitlines()[-1]
    assert "Traceback" not in second.stderr
    assert stack.status("streaming").pid == pid


def test_no_secret_is_on_a_command_line(stack, settings):
    secrets = {
        value
        for file in stack.settings().secrets_dir.iterdir()
        for _, value in (line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
        if len(value) >= 16
    }
    assert len(secrets) >= 8
    found = [" ".join(process.cmdline()) for process in stack.processes()]
    assert any("SparkSubmit" in command for command in found)
    assert [command for command in found if any(secret in command for secret in secrets)] == []


def test_a_lost_checkpoint_starts_a_generation_at_the_ledger(stack, settings, traffic):
    pid = stack.wait_healthy("streaming").pid
    before = settle(stack)
    stack.stop("streaming")
    folder = stack.settings().state_dir / "checkpoints" / "refine"
    folder.rename(folder.with_name("lost"))
    stack("streaming")
    stack.wait_healthy("streaming", after_pid=pid, seconds=180)
    traffic("--rate", "300", "--duration", "5s", "--seed", "13").finish()
    after = settle(stack)
    assert_balanced(after)
    assert after.batch_id > before.batch_id
    beat = wait_for(lambda: heartbeat.read(stack.settings(), "streaming"), "a heartbeat")
    assert beat["generation"] >= 2


def test_a_damaged_checkpoint_is_refused_with_a_sentence(stack, settings):
    settle(stack)
    stack.stop("streaming")
    folder = max((stack.settings().state_dir / "checkpoints" / "refine").glob("[0-9]*"))
    metadata = folder / "metadata"
    kept = metadata.read_text()
    metadata.write_text("")
    try:
        environment = os.environ | {"GLOBALMART_SERVICE": "streaming"}
        answer = subprocess.run(
            [sys.executable, "-m", "lakehouse.streams.service"],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert answer.returncode == 1
        assert "metadata is missing or empty" in answer.stderr.splitlines()[-1]
        assert "Traceback" not in answer.stderr
    finally:
        metadata.write_text(kept)
        stack("streaming")
    assert_balanced(settle(stack))


def test_wrong_credentials_and_a_dead_broker_are_one_sentence(stack, settings):
    wrong = settings.model_copy(update={"s3_access_key": "nobody"})
    with pytest.raises(StorageError, match="S3 refuses the lease"):
        S3Store(wrong, "streaming").read()
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:9"})
    with pytest.raises(KafkaError, match=r"No Kafka broker answers at 127\.0\.0\.1:9"):
        prove(away)


class TestTampering:
    """Each change is made on purpose with the owner's rights, found by the proof, and taken back."""

    @pytest.fixture(autouse=True, scope="class")
    def _quiet(self, stack: Stack, settings: Settings) -> Iterator[None]:  # noqa: ARG002
        assert_balanced(settle(stack))
        stack.stop("streaming")
        yield
        stack("streaming")
        assert_balanced(settle(stack))

    def test_a_deleted_bronze_file_is_found(self, stack, as_streaming):
        client = S3Store(as_streaming, "streaming")._client
        actions = open_table(as_streaming, BRONZE_EVENTS).get_add_actions(flatten=True)
        path = sorted(actions["path"].to_pylist())[0]
        place = {"Bucket": bucket(as_streaming), "Key": f"{BRONZE_EVENTS.path}/{path}"}
        body = client.get_object(**place)["Body"].read()
        client.delete_object(**place)
        try:
            books = prove(stack.settings())
        finally:
            client.put_object(Body=body, **place)
        assert not books.balanced
        whats = {difference.what for difference in books.differences}
        assert "in Kafka but not in bronze" in whats
        assert any(path in what for what in whats)
        missing = sum(
            d.last_offset - d.first_offset + 1 for d in books.differences if d.what == "in Kafka but not in bronze"
        )
        assert missing == sum(line.kafka - line.bronze for line in books.topics) > 0

    def test_a_doubled_silver_row_is_found(self, stack, as_streaming):
        table = open_table(as_streaming, PRODUCT_VIEWS)
        row = table.to_pyarrow_table().slice(7, 1)
        before = table.version()
        write_deltalake(table, row, mode="append")
        try:
            books = prove(stack.settings())
        finally:
            DeltaTable(delta_uri(as_streaming, PRODUCT_VIEWS), storage_options=delta_options(as_streaming)).restore(
                before
            )
        place = (row["topic"][0].as_py(), row["partition"][0].as_py(), row["offset"][0].as_py())
        assert [(d.topic, d.partition, d.first_offset, d.what) for d in books.differences] == [
            (*place, "has more than one outcome")
        ]

    def test_a_changed_amount_is_found(self, stack, as_streaming):
        table = open_table(as_streaming, TRANSACTIONS)
        row = (
            table.to_pyarrow_table(columns=["topic", "partition", "offset", "transaction_id"])
            .slice(3, 1)
            .to_pylist()[0]
        )
        before = table.version()
        change = {"total_amount": "CAST(total_amount + 0.01 AS DECIMAL(18,2))"}
        table.update(updates=change, predicate=f"transaction_id = '{row['transaction_id']}'")
        try:
            books = prove(stack.settings())
        finally:
            DeltaTable(delta_uri(as_streaming, TRANSACTIONS), storage_options=delta_options(as_streaming)).restore(
                before
            )
        assert not books.balanced
        place = (row["topic"], row["partition"], row["offset"], row["offset"])
        located = {
            (d.topic, d.partition, d.first_offset, d.last_offset)
            for d in books.differences
            if "differ in money" in d.what
        }
        assert place in located
        assert any(line.silver != line.gold for line in books.money)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_thirty_kills_at_any_moment_change_nothing(stack, settings, traffic):
    """Not at named moments but whenever chance has it, each half of the driver in turn."""
    chance = random.Random(20)
    running = traffic("--rate", "500", "--duration", "15m", "--seed", "14")
    for number in range(30):
        pid = stack.wait_healthy("streaming", seconds=180).pid
        time.sleep(chance.uniform(0, 6))
        os.kill(jvm(stack) if number % 2 else pid, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(pid), "the killed driver's other half has ended too", 60)  # noqa: B023
    report = running.finish()
    stack.wait_healthy("streaming", seconds=180)
    assert_balanced(settle(stack))
    assert_lake_is_the_truth(truth_of(truth_folder(stack, report)), stack.settings())


def test_freshness_clock_is_sane(stack, settings):
    """Every row says when Kafka had it and when its batch began; the ledger says when it was visible."""
    entry = open_table(settings, LEDGER_STREAMING).to_pyarrow_table().sort_by("batch_id").slice(0, 1).to_pylist()[0]
    assert entry["started_at"] < entry["committed_at"] < datetime.now(UTC)
