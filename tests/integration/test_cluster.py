"""The profile `cluster` for real: three brokers, a Spark master and two workers as processes; some are killed, and the books balance."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Stack, wait_for
from kafka import KafkaAdminClient
from settling import settle
from test_backup import said
from test_streaming import Traffic, assert_balanced, intents, traffic, truth_folder  # noqa: F401 a fixture
from truth import assert_lake_is_the_truth, truth_of

from infra import envfile
from infra import stack as local_stack
from infra.servers import kafka, spark
from ingestion.topics import INPUT_NAMES
from lakehouse import heartbeat
from lakehouse.settings import CHECKOUT, Settings, get_settings
from lakehouse.storage import open_table
from lakehouse.tables import FACT_SALES, SALES_TRENDS, TRANSACTION_ITEMS

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(3600)]

SERVICES = ("kafka", "minio", "postgres", "spark-master", *spark.WORKERS, "streaming")
EXECUTOR = "CoarseGrainedExecutorBackend"


@contextmanager
def another_cluster(home: Path) -> Iterator[Stack]:
    """A stack of its own of the profile `cluster`, without a service yet; settings come from its `.env` meanwhile."""
    outside = os.environ["GLOBALMART_ENV_FILE"]
    os.environ["GLOBALMART_ENV_FILE"] = str(home / ".env")
    envfile.ensure_env(home / "state", envfile.random_ports())
    with (home / ".env").open("a") as file:
        file.write("GLOBALMART_STREAM_MAX_OFFSETS=20000\n")
    get_settings.cache_clear()
    try:
        yield Stack(home)
    finally:
        local_stack.down(say=print)
        os.environ["GLOBALMART_ENV_FILE"] = outside
        get_settings.cache_clear()


@pytest.fixture(scope="module")
def cluster(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The module's cluster; the session's stack is down meanwhile, for the machine is small."""
    local_stack.down(say=print)
    with another_cluster(tmp_path_factory.mktemp("cluster")) as opened:
        local_stack.up(only=SERVICES, profile="cluster", say=print)
        yield opened


@pytest.fixture
def settings(cluster: Stack) -> Settings:
    return cluster.settings()


@pytest.fixture
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers.split(","))
    yield client
    client.close()


def partitions(admin: KafkaAdminClient) -> list[dict[str, Any]]:
    return [one for topic in admin.describe_topics(list(INPUT_NAMES)) for one in topic["partitions"]]


def executors(cluster: Stack) -> list[psutil.Process]:
    return [one for one in cluster.processes() if any(EXECUTOR in word for word in one.cmdline())]


def drivers(settings: Settings, which: str = "activeapps") -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in spark.state(settings)[which]}


def lag(settings: Settings) -> int | None:
    beat = heartbeat.read(settings, "streaming") or {}
    return beat.get("lag_records")


def goes_on(cluster: Stack) -> None:
    """Wait until batches begin that had not begun before."""
    before = intents(cluster)
    wait_for(lambda: intents(cluster) > before + 1, "the stream goes on", 180)


def test_the_cluster_stands_and_the_stream_has_an_executor_on_each_worker(cluster: Stack, settings: Settings) -> None:
    status = {one.name: one for one in local_stack.status() if one.wanted}
    assert set(status) == {*SERVICES, "kafka-2", "kafka-3"}
    assert all(one.healthy for one in status.values())
    state = spark.state(settings)
    assert [(one["cores"], one["state"]) for one in state["workers"]] == [(settings.spark_worker_cores, "ALIVE")] * 2
    driver = drivers(settings)["globalmart-streaming"]
    assert driver["cores"] == 2
    found = executors(cluster)
    workers = {status[name].pid for name in spark.WORKERS}
    assert {parent.pid for one in found for parent in one.parents()} & workers == workers


def test_each_partition_is_on_three_brokers_of_which_two_must_have_a_record(admin: KafkaAdminClient) -> None:
    found = partitions(admin)
    assert found
    assert {tuple(sorted(one["replica_nodes"])) for one in found} == {(1, 2, 3)}
    wait_for(lambda: all(len(one["isr_nodes"]) == 3 for one in partitions(admin)), "all copies are in step", 60)


def test_everything_listens_on_the_loopback_and_no_command_line_has_the_secret(
    cluster: Stack, settings: Settings
) -> None:
    defaults = (settings.spark_dir / "conf" / "spark-defaults.conf").read_text()
    secret = next(line.split()[1] for line in defaults.splitlines() if line.startswith("spark.authenticate.secret "))
    processes = cluster.processes()
    pids = {process.pid for process in processes}
    listening = [c for c in psutil.net_connections("tcp") if c.pid in pids and c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} <= {"127.0.0.1", "::1"}
    assert [one.pid for one in processes if secret in " ".join(one.cmdline())] == []
    logs = [*(settings.state_dir / "logs").glob("*"), *(settings.spark_dir / "work").rglob("std*")]
    assert [path for path in logs if path.is_file() and secret in path.read_text(errors="replace")] == []


def test_a_driver_without_the_secret_is_refused(settings: Settings) -> None:
    code = (
        "from pyspark.sql import SparkSession\n"
        f"SparkSession.builder.master('{settings.spark_master}').appName('stranger').getOrCreate()"
        ".range(10).count()"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "GLOBALMART_"))}
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode != 0, said
    assert "stranger" not in drivers(settings) | drivers(settings, "completedapps")


def test_workers_brokers_and_the_master_are_killed_under_way_and_the_books_balance(
    cluster: Stack, settings: Settings, admin: KafkaAdminClient, traffic: Callable[..., Traffic]
) -> None:
    running = traffic("--rate", "300", "--duration", "60m", "--seed", "31")
    goes_on(cluster)
    for name in spark.WORKERS:
        pid = cluster.kill(name)
        cluster.wait_healthy(name, after_pid=pid)
        goes_on(cluster)
    for _ in range(2):  # the broker that leads most partitions, then the one that leads most without it
        leaders = [one["leader_id"] for one in partitions(admin)]
        name = {node: name for name, (node, _, _) in kafka.brokers(settings).items()}[max(leaders, key=leaders.count)]
        pid = cluster.kill(name)
        cluster.wait_healthy(name, after_pid=pid)
        goes_on(cluster)
        wait_for(
            lambda: all(len(one["isr_nodes"]) == 3 for one in partitions(admin)), "all copies are in step again", 120
        )
        wait_for(lambda: lag(settings) is not None, "the stream sees again how much waits", 60)
    pids = [cluster.kill(name) for name in spark.WORKERS]  # every executor at once
    for name, pid in zip(spark.WORKERS, pids, strict=True):
        cluster.wait_healthy(name, after_pid=pid)
    goes_on(cluster)
    pid = cluster.kill("spark-master")
    cluster.wait_healthy("spark-master", after_pid=pid)
    wait_for(
        lambda: drivers(settings).get("globalmart-streaming", {}).get("cores") == 2, "the master knows its driver", 120
    )
    goes_on(cluster)
    report = running.stop()
    cluster.wait_healthy("streaming", seconds=180)
    books = settle(settings)
    assert_balanced(books)
    outcomes = assert_lake_is_the_truth(truth_of(truth_folder(cluster, report)), settings)
    assert sum(outcomes.values()) == sum(report["acknowledged"].values())
    assert min(outcomes["silver"], outcomes["quarantine"], outcomes["duplicates"]) > 100


def test_a_dead_broker_stops_nobody(cluster: Stack, settings: Settings, traffic: Callable[..., Traffic]) -> None:
    """It stays away; two of three take records, and the third has them all once it is back."""
    cluster.stop("kafka-2")
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers.split(","))) as admin:
        wait_for(lambda: {one["leader_id"] for one in partitions(admin)} == {1, 3}, "others lead its partitions", 60)
    report = traffic("--rate", "300", "--duration", "20s", "--seed", "32").finish()
    settle(settings)
    assert_lake_is_the_truth(truth_of(truth_folder(cluster, report)), settings)
    local_stack.up(only=("kafka-2",), say=print)
    assert cluster.status("kafka-2").healthy


def test_a_day_is_made_on_the_cluster_with_python_on_its_workers(
    cluster: Stack, settings: Settings, traffic: Callable[..., Traffic]
) -> None:
    today = datetime.now(UTC).date()
    day = today - timedelta(days=2)
    sent = ("--history", "2d", "--scale", "0.002", "--start", f"{day}T00:00:00Z", "--seed", "33")
    traffic(*sent).finish()
    settle(settings)
    command = [sys.executable, "-m", "infra.cli", "backfill", "--from", str(day), "--to", str(day)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (batch,) = [one for name, one in drivers(settings, "completedapps").items() if name.startswith("globalmart-batch")]
    assert batch["state"] == "FINISHED"
    sold = open_table(settings, TRANSACTION_ITEMS).to_pyarrow_table().to_pylist()
    made = open_table(settings, FACT_SALES).to_pyarrow_table().to_pylist()
    assert len(made) == sum(1 for row in sold if row["timestamp"].date() == day) > 0
    assert open_table(settings, SALES_TRENDS).to_pyarrow_table().num_rows > 0


def test_down_leaves_no_process_and_the_data_is_that_of_three_brokers(cluster: Stack, settings: Settings) -> None:
    processes = cluster.processes()
    began = time.monotonic()
    local_stack.down(say=print)
    assert time.monotonic() - began < 90
    assert cluster.processes() == []
    assert not any(one.is_running() for one in processes)
    command = [sys.executable, "-m", "infra.cli", "up", "--only", "kafka", "--profile", "local"]
    refused = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "are those of 3 brokers and the profile local has 1" in refused.stderr
    local_stack.up(only=("kafka", "minio"), say=print)
    assert all(cluster.status(name).healthy for name in kafka.brokers(settings))


def test_a_backup_goes_on_in_three_new_brokers(
    cluster: Stack, settings: Settings, traffic: Callable[..., Traffic], tmp_path: Path
) -> None:
    """The way of data from one profile to the other, and from a lost machine to a new one."""
    local_stack.up(only=SERVICES, say=print)
    before = sum(line.bronze for line in settle(settings).topics)
    said("backup", str(tmp_path / "backups"))
    local_stack.down(say=print)
    with another_cluster(tmp_path) as fresh:
        local_stack.up(only=("kafka", "minio", "postgres"), profile="cluster", say=print)
        assert "Kafka is a new one" in said("restore", str(tmp_path / "backups"))["kafka"]
        local_stack.up(only=SERVICES, say=print)
        report = traffic("--rate", "200", "--duration", "10s", "--seed", "34").finish()
        taken = sum(report["acknowledged"].values())
        books = settle(fresh.settings())
        assert (sum(one.kafka for one in books.topics), sum(one.bronze for one in books.topics)) == (
            taken,
            before + taken,
        )
        assert_lake_is_the_truth(truth_of(truth_folder(fresh, report)), fresh.settings())
