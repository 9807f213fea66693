"""Rebuild on the real stack: equal to what the stream made, mends what was damaged, and survives being killed in the swap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from conftest import Stack, wait_for
from settling import settle, wait_taken

from lakehouse import heartbeat
from lakehouse.books.prove import prove
from lakehouse.lease import S3Store
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import bucket, open_table
from lakehouse.tables import LEDGER_STREAMING, PRODUCT_VIEWS, TRANSACTIONS, Table

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(1800)]

FAULTS = [
    "--duplicates",
    "0.02",
    "--conflicts",
    "0.01",
    "--malformed",
    "0.02",
    "--violations",
    "0.03",
    "--extra-fields",
    "0.01",
]


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    """The stream has taken some seconds of faulty traffic."""
    settings = stack("kafka", "minio", "streaming")
    command = [
        sys.executable,
        "-m",
        "ingestion",
        "--rate",
        "300",
        "--duration",
        "10s",
        "--seed",
        "41",
        "--no-catalogue",
    ]
    subprocess.run([*command, *FAULTS, "--json"], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    wait_taken(settings)
    return settings


@pytest.fixture
def stopped(stack: Stack, settings: Settings) -> Any:
    """The stream is stopped with nothing in flight; afterwards it runs again and the books balance."""
    wait_taken(settings)
    stack.stop("streaming")
    yield
    stack("streaming")
    settle(settings)


def start(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infra.cli", "rebuild", *args, "--json"]
    return subprocess.Popen(
        command, cwd=CHECKOUT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def rebuild(*args: str, code: int = 0) -> dict[str, Any]:
    running = start(*args)
    out, err = running.communicate(timeout=600)
    assert running.returncode == code, err
    return json.loads(out)


def differing(report: dict[str, Any]) -> dict[str, Any]:
    return {one["table"]: one for one in report["tables"] if not one["is_equal"]}


def lose_a_file(as_streaming: Settings, table: Table) -> str:
    """Delete the first data file of a table with the owner's rights; returns its name."""
    path = sorted(open_table(as_streaming, table).get_add_actions(flatten=True)["path"].to_pylist())[0]
    S3Store(as_streaming, "streaming")._client.delete_object(Bucket=bucket(as_streaming), Key=f"{table.path}/{path}")
    return str(path)


def log_files(stack: Stack, table: Table) -> int:
    """How many commits a table has, seen from outside: MinIO keeps each object as a folder."""
    place = stack.settings().state_dir / "data" / "minio" / bucket(stack.settings()) / table.path / "_delta_log"
    return sum(1 for _ in place.glob("*.json"))


def staging(stack: Stack) -> list[str]:
    place = stack.settings().state_dir / "data" / "minio" / bucket(stack.settings()) / "_rebuild"
    return [str(file) for file in place.rglob("*.parquet")] if place.exists() else []


def test_beside_the_running_stream_it_compares_equal_and_is_refused_the_swap(stack, settings):
    report = rebuild("--dry-run")
    assert differing(report) == {}
    assert report["swapped"] == []
    rows = {one["table"]: one["live"]["row_count"] for one in report["tables"]}
    assert min(rows["silver/transactions"], rows["silver/quarantine"], rows["silver/duplicates"]) > 0
    assert len(rows) >= 13
    refused = start()
    _, err = refused.communicate(timeout=120)
    assert refused.returncode == 1
    assert "owns the streaming tables of this lake; stop it first" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert staging(stack) == []


def test_deleted_silver_files_are_made_again_and_the_books_balance(stack, settings, stopped):
    as_streaming = stack.settings("streaming")
    lost = {table.path: lose_a_file(as_streaming, table) for table in (PRODUCT_VIEWS, TRANSACTIONS)}
    assert not prove(settings).balanced
    report = rebuild()
    assert report["swapped"] == sorted(lost, reverse=True)
    assert {path: one["damage"] for path, one in differing(report).items()} == {
        path: f"{path}/{name} cannot be read" for path, name in lost.items()
    }
    assert prove(settings).balanced
    assert staging(stack) == []


def test_killed_in_the_middle_of_the_swap_a_second_run_finishes(stack, settings, stopped):
    lose_a_file(stack.settings("streaming"), PRODUCT_VIEWS)
    commits = log_files(stack, LEDGER_STREAMING)
    first = start("--all")
    wait_for(lambda: log_files(stack, LEDGER_STREAMING) > commits, "the swap has begun", 300)
    first.kill()
    first.wait()
    assert "silver/product_views" in rebuild()["swapped"] or prove(settings).balanced
    assert prove(settings).balanced


def test_after_a_swap_the_stream_goes_on_where_it_was(stack, settings):
    before = settle(settings)
    stack.stop("streaming")
    generation = heartbeat.read(settings, "streaming")["generation"]
    report = rebuild("--all")
    assert differing(report) == {}
    assert len(report["swapped"]) == len(report["tables"])
    stack("streaming")
    command = [
        sys.executable,
        "-m",
        "ingestion",
        "--rate",
        "200",
        "--duration",
        "5s",
        "--seed",
        "42",
        "--no-catalogue",
        "--json",
    ]
    subprocess.run([*command, *FAULTS], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    after = settle(settings)
    assert sum(line.bronze for line in after.topics) > sum(line.bronze for line in before.topics)
    wait_for(lambda: heartbeat.read(settings, "streaming")["generation"] > generation, "a new generation")
    assert differing(rebuild("--dry-run")) == {}
