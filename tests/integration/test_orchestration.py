"""The daily run as the demonstration starts it: on MinIO with the batch service's rights, its record kept in PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pyarrow as pa
import pytest
from batch_lake import PRICE, content, fill, reach
from conftest import wait_for
from deltalake import write_deltalake

from infra.servers.dagster import instance_env
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import delta_options, delta_uri, open_table
from lakehouse.tables import (
    CUSTOMER_RFM,
    FACT_SALES,
    PRODUCTS,
    SESSIONS,
    TABLES,
    TRANSACTION_ITEMS,
    TRANSACTIONS,
    USERS,
    Table,
)
from orchestration.backfill import LAKE_TAG
from orchestration.naming import key

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

DAY = "2026-03-14"


@pytest.fixture
def batch(stack: Any) -> Settings:
    """The batch service's settings, on a lake within the lake where its policy lets it write, silver included and empty."""
    stack("minio", "postgres")
    settings: Settings = stack.settings("batch")
    inner = f"{settings.lake_uri}/{CUSTOMER_RFM.path}/test-{uuid4().hex}"
    settings = settings.model_copy(update={"lake_uri": inner})
    for table in TABLES:
        if table.layer == "silver" or table is SESSIONS:
            append(settings, table)
    return settings


def append(settings: Settings, table: Table, *added: dict[str, Any]) -> None:
    columns = [pa.array([row.get(field.name) for row in added], field.type) for field in table.schema]
    rows = pa.Table.from_arrays(columns, schema=table.schema)
    write_deltalake(delta_uri(settings, table), rows, mode="append", storage_options=delta_options(settings))


def sell(settings: Settings, number: int, user_id: str) -> None:
    """One order of one line over 19.99 USD."""
    at = datetime(2026, 3, 14, 12, tzinfo=UTC)
    line = {"product_id": "p1", "quantity": 1, "price": Decimal("19.99")}
    names = {column.name: number for column in TRANSACTIONS.columns if pa.types.is_integer(column.type)}
    order = {
        **names,
        **dict.fromkeys(("timestamp", "kafka_at", "ingested_at"), at),
        **dict.fromkeys(("event_id", "transaction_id", "session_id"), f"t{number}"),
        "event_type": "transaction",
        "schema_version": 1,
        "topic": "transactions",
        "user_id": user_id,
        "country": "DE",
        "payment_method": "paypal",
        "total_amount": Decimal("19.99"),
        "products": [line],
        "is_late": False,
    }
    append(settings, TRANSACTIONS, order)
    append(
        settings,
        TRANSACTION_ITEMS,
        {**order, **line, "line_number": 1, "category": "books", "line_amount": line["price"]},
    )


def environment(settings: Settings, jars_dir: Path) -> dict[str, str]:
    return {
        **os.environ,
        **instance_env(settings),
        "GLOBALMART_LAKE_URI": settings.lake_uri,
        "GLOBALMART_JARS_DIR": str(jars_dir),
    }


def materialise(settings: Settings, jars_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestration.materialize", "--day", DAY]
    env = environment(settings, jars_dir)
    return subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)


def backfill(
    settings: Settings, jars_dir: Path, first: str, last: str, *more: str, only: str = "customer_rfm"
) -> subprocess.Popen[str]:
    """Of the scores alone, which need the least, or of another table."""
    command = [sys.executable, "-m", "infra.cli", "backfill", "--from", first, "--to", last, "--only", only, *more]
    env = {**environment(settings, jars_dir), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_day_on_minio_is_written_checked_and_known_to_dagster(
    batch: Settings, jars_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(batch, date(2026, 3, 14), days=0)
    for number, user_id in enumerate(("alice", "alice", "bob"), start=1):
        sell(batch, number, user_id)
    done = materialise(batch, jars_dir)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    rows = open_table(batch, CUSTOMER_RFM).to_pyarrow_table(columns=CUSTOMER_RFM.schema.names).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == [
        (date(2026, 3, 14), "alice", 0, 2, Decimal("39.98"), 5, 5, 5, "champions"),
        (date(2026, 3, 14), "bob", 0, 1, Decimal("19.99"), 5, 3, 3, "potential_loyalists"),
    ]
    for name, value in instance_env(batch).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key(CUSTOMER_RFM))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.partition == DAY
        assert event.asset_materialization.metadata["monetary_total_usd"].value == "59.97"
        run = instance.get_run_by_id(str(event.run_id))
        assert run is not None
        page = batch.quality_dir / "runs" / run.run_id / "gold.customer_rfm.html"
        assert "gold/customer_rfm · 2026-03-14" in page.read_text(encoding="utf-8")


def test_a_run_without_s3_ends_with_one_sentence(
    batch: Settings, jars_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOBALMART_S3_ENDPOINT", "http://127.0.0.1:9")
    done = materialise(batch, jars_dir)
    assert done.returncode == 1
    (sentence,) = done.stdout.splitlines()
    assert sentence.startswith("run failed: lakehouse.errors.StorageError: S3 does not answer at ")
    assert "http://127.0.0.1:9" in sentence


def test_a_range_killed_in_the_middle_goes_on_where_it_was_and_is_done_once(
    batch: Settings, jars_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in instance_env(batch).items():
        monkeypatch.setenv(name, value)
    fill(batch, date(2026, 3, 12), 3, empty=date(2026, 3, 13))
    reach(batch, "2026-03-15T12:00:00+00:00")
    killed = backfill(batch, jars_dir, "2026-03-12", "2026-03-14")
    assert killed.stdout is not None
    assert killed.stdout.readline().startswith("  2026-03-12  1 tables in ")
    with dg.DagsterInstance.get() as instance:
        second = dg.RunsFilter(
            tags={"dagster/partition": "2026-03-13", LAKE_TAG: batch.lake_uri}, statuses=[dg.DagsterRunStatus.STARTED]
        )
        wait_for(lambda: instance.get_runs(second), "the second day's run has begun")
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        (cut_short,) = instance.get_runs(second)

    again = backfill(batch, jars_dir, "2026-03-12", "2026-03-14")
    lines, errors = again.communicate()
    assert again.returncode == 0, lines + errors[-2000:]
    assert f"  run {cut_short.run_id} was killed: closed as failed" in lines.splitlines()
    days = [line.split("  ")[1:] for line in lines.splitlines() if line.startswith("  2026")]
    assert [day for day, _ in days] == ["2026-03-12", "2026-03-13", "2026-03-14"]
    assert [words.startswith("done already") for _, words in days] == [True, False, False]

    def scores(day: int, ages: tuple[int, int, int], orders: int) -> list[tuple[Any, ...]]:
        """Day, customer, recency, orders and money of three customers who buy 1, 2 and 3 units each day."""
        return [
            (date(2026, 3, day), name, age, orders, PRICE * units * orders)
            for units, (name, age) in enumerate(zip(("alice", "bob", "carol"), ages, strict=True), start=1)
        ]

    expected = [*scores(12, (0, 0, 0), 1), *scores(13, (1, 1, 1), 1), *scores(14, (0, 0, 0), 2)]
    assert [
        row[:5] for row in content(batch, CUSTOMER_RFM)
    ] == expected  # nothing of the day without orders but older ones

    third = backfill(batch, jars_dir, "2026-03-12", "2026-03-14")
    lines, errors = third.communicate()
    assert third.returncode == 0, lines + errors[-2000:]
    assert [line.split("  ")[2] for line in lines.splitlines()] == ["done already"] * 3

    with dg.DagsterInstance.get() as instance:
        under_way = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
        assert instance.get_runs(dg.RunsFilter(statuses=under_way)) == []


@pytest.mark.long  # two runs of all dimensions; what comes with facts is tested in tests/unit/orchestration
def test_facts_alone_come_with_their_dimensions_so_that_no_version_of_silver_is_read_that_is_gone(
    batch: Settings, jars_dir: Path
) -> None:
    def made(*more: str) -> None:
        one = backfill(batch, jars_dir, "2026-03-12", "2026-03-12", *more, only="fact_sales")
        lines, errors = one.communicate()
        assert one.returncode == 0, lines + errors[-2000:]
        assert lines.startswith("  2026-03-12  6 tables in ")
        assert [row[0] for row in content(batch, FACT_SALES)] == [date(2026, 3, 12)] * 3

    fill(batch, date(2026, 3, 12), 1)
    reach(batch, "2026-03-15T12:00:00+00:00")
    made()
    for table in (USERS, PRODUCTS, TRANSACTION_ITEMS):  # as a compaction and the VACUUM of a week later
        delta = open_table(batch, table)
        delta.update(updates={"topic": "topic"})
        delta.vacuum(0, dry_run=False, enforce_retention_duration=False)
    reach(batch, "2026-03-15T13:00:00+00:00", batch_id=2)
    made("--force")


def test_a_range_that_the_stream_has_not_come_to_is_refused_in_a_sentence(batch: Settings, jars_dir: Path) -> None:
    fill(batch, date(2026, 3, 12), 1)
    reach(batch, "2026-03-15T12:00:00+00:00")
    asked = backfill(batch, jars_dir, "2026-03-12", "2026-03-16")
    _, errors = asked.communicate()
    assert asked.returncode == 1
    words = "2026-03-16 has not begun for the stream, which has come to 2026-03-15 12:10 UTC"
    assert errors.splitlines()[-1].startswith(f"Error: {words}")
