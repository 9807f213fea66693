"""The daily run as the demonstration starts it: on MinIO with the batch service's rights, its record kept in PostgreSQL."""

from __future__ import annotations

import os
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
from deltalake import write_deltalake

from infra.servers.dagster import instance_env
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import delta_options, delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, SESSIONS, TABLES, TRANSACTION_ITEMS, TRANSACTIONS, Table
from orchestration.materialize import SHORT_JVM
from orchestration.naming import key

pytestmark = pytest.mark.integration

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


def materialise(settings: Settings, jars_dir: Path) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        **instance_env(settings),
        "GLOBALMART_LAKE_URI": settings.lake_uri,
        "GLOBALMART_JARS_DIR": str(jars_dir),
        "JDK_JAVA_OPTIONS": SHORT_JVM,
    }
    command = [sys.executable, "-m", "orchestration.materialize", "--day", DAY]
    return subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)


def test_a_day_on_minio_is_written_checked_and_known_to_dagster(
    batch: Settings, jars_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
