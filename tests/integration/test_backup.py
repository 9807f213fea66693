"""Backup, restore and upgrade on the real stack: made while traffic flows, destroyed, restored, gone on with; after each the books balance."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from boto3.s3.transfer import TransferConfig
from conftest import Stack, wait_for
from pydantic import SecretStr
from settling import settle, wait_taken
from stacks import another_stack

from infra import stack as local_stack
from infra.backup import database, manifest, places
from infra.backup.manifest import BackupError
from infra.backup.places import Folder
from infra.credentials import minio_root_file, postgres_superuser_file, read_pairs
from lakehouse import release
from lakehouse.settings import CHECKOUT, Settings, load_settings
from lakehouse.storage import open_table, s3_client
from lakehouse.tables import BY_PATH, LEDGER_STREAMING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

SERVICES = ("kafka", "minio", "postgres", "streaming")
ORDER = {"batch_id": "ascending", "topic": "ascending", "partition": "ascending", "offset": "ascending"}


def globalmart(*args: str, checkout: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli", *args]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=900)


def said(*args: str, checkout: Path = CHECKOUT) -> dict[str, Any]:
    """What a command says with --json; it must end well."""
    done = globalmart(*args, "--json", checkout=checkout)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


class Traffic:
    """`globalmart generate` beside the test."""

    def __init__(self, seed: int, seconds: int) -> None:
        options = [
            "--rate",
            "200",
            "--duration",
            f"{seconds}s",
            "--seed",
            str(seed),
            "--malformed",
            "0.02",
            "--duplicates",
            "0.02",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ingestion", *options, "--no-catalogue", "--json"],
            cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # where the test failed before it ended by itself
        self._process.wait()

    def finish(self) -> dict[str, Any]:
        out, _ = self._process.communicate(timeout=600)
        assert self._process.returncode == 0, out
        return dict(json.loads(out))


def rows_at(settings: Settings, path: str, version: int) -> pa.Table:
    """All rows of a table at a version, in an order of their own."""
    rows = open_table(settings, BY_PATH[path], version).to_pyarrow_table()
    order = [name for name in (*ORDER, *BY_PATH[path].key) if name in rows.column_names]
    return rows.sort_by([(name, "ascending") for name in dict.fromkeys(order)])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def made(stack: Stack, target: Path) -> dict[str, Any]:
    """A backup that was made while traffic was flowing, of a point in its midst; the traffic has ended since and is in the lake."""
    settings = stack(*SERVICES)
    with Traffic(70, 3) as before:
        before.finish()
    wait_taken(settings)
    with Traffic(71, 25) as running:
        first = said("backup", str(target))
        running.finish()
    wait_taken(settings)
    return first


@pytest.fixture(scope="module")
def rows(stack: Stack, made: dict[str, Any]) -> dict[str, pa.Table]:
    """Each table at the point, as it was before anything was destroyed."""
    return {one["path"]: rows_at(stack.settings(), one["path"], one["version"]) for one in made["tables"]}


def assert_rows_are_those_of_the_point(settings: Settings, made: dict[str, Any], rows: dict[str, pa.Table]) -> None:
    for one in made["tables"]:
        assert rows_at(settings, one["path"], one["version"]).equals(rows[one["path"]]), one["path"]


def test_the_second_backup_copies_what_came_since(made, target):
    second = said("backup", str(target))
    assert second["point"]["batch_id"] > made["point"]["batch_id"]
    assert 0 < second["copied_files"] < second["files"]
    assert said("backup", "verify", str(target))["is_whole"]
    assert said("backup", "verify", str(target), "--backup", made["backup_id"])["is_whole"]
    assert [one["backup_id"] for one in said("backup", "list", str(target))["backups"]] == [
        made["backup_id"],
        second["backup_id"],
    ]


def test_a_bucket_is_a_target_like_a_folder(stack, made, monkeypatch):
    settings = stack.settings()
    root = read_pairs(minio_root_file(settings))
    refused = globalmart("backup", "s3://backups/shop")
    assert refused.returncode == 1
    assert "needs an account of its own" in refused.stderr
    monkeypatch.setenv("GLOBALMART_BACKUP_S3_ACCESS_KEY", root["MINIO_ROOT_USER"])
    monkeypatch.setenv("GLOBALMART_BACKUP_S3_SECRET_KEY", root["MINIO_ROOT_PASSWORD"])
    account = {"s3_access_key": root["MINIO_ROOT_USER"], "s3_secret_key": SecretStr(root["MINIO_ROOT_PASSWORD"])}
    s3_client(settings.model_copy(update=account)).create_bucket(Bucket="backups")
    assert said("backup", "s3://backups/shop")["point"]["batch_id"] >= made["point"]["batch_id"]
    assert said("backup", "verify", "s3://backups/shop")["is_whole"]


def test_what_is_too_large_for_one_request_is_written_in_parts(stack, monkeypatch):
    settings = stack.settings()
    root = read_pairs(minio_root_file(settings))
    account = {"s3_access_key": root["MINIO_ROOT_USER"], "s3_secret_key": SecretStr(root["MINIO_ROOT_PASSWORD"])}
    client = s3_client(settings.model_copy(update=account))
    client.create_bucket(Bucket="parts")
    part = 5 * 1024 * 1024  # the least that S3 takes
    monkeypatch.setattr(places, "_IN_PARTS", part)
    monkeypatch.setattr(
        places, "_ALONE", TransferConfig(use_threads=False, multipart_threshold=part, multipart_chunksize=part)
    )
    body = os.urandom(2 * part + 7)
    bucket = places.Bucket(client, "parts", "shop")
    bucket.write("objects/large", io.BytesIO(body))
    bucket.write("objects/small", io.BytesIO(b"7"))
    assert bucket.files() == {"objects/large": len(body), "objects/small": 1}
    assert (
        client.head_object(Bucket="parts", Key="shop/objects/large")["ETag"].strip('"').endswith("-3")
    )  # of three parts
    back = io.BytesIO()
    bucket.read("objects/large", back)
    assert back.getvalue() == body


def test_a_backup_holds_no_secret(made, target, stack):
    secrets = [
        line.split("=", 1)[1]
        for line in (stack.home / ".env").read_text().splitlines()
        if re.match(r".*(KEY|URL)=.{20}", line)
    ]
    text = (target / "backups" / f"{made['backup_id']}.json").read_text()
    assert secrets
    assert not [one for one in secrets if one in text and not one.startswith("http")]


def test_a_missing_file_is_named_and_nothing_is_restored(made, target):
    one = manifest.read(Folder(target), made["backup_id"])
    rows = re.compile(r"lake/silver/product_views/[^_].*\.parquet")  # of a few seconds there may be no order
    victim = next(file for file in one.files if rows.fullmatch(file.path))
    path = target / victim.object
    path.rename(path.with_suffix(".away"))
    try:
        told = globalmart("backup", "verify", str(target), "--backup", made["backup_id"])
        assert told.returncode == 1
        assert f"{victim.path} is missing" in told.stdout
        refused = globalmart("restore", str(target), "--backup", made["backup_id"], "--over")
        assert refused.returncode == 1
        assert f"{victim.path} is missing" in refused.stderr
        assert "Nothing was changed" in refused.stderr
    finally:
        path.with_suffix(".away").rename(path)


def test_a_database_that_cannot_be_loaded_whole_stays_empty(stack, tmp_path):
    settings = stack("postgres")
    address = {"host": "127.0.0.1", "port": settings.postgres_port, "user": "postgres"}
    address["password"] = postgres_superuser_file(settings).read_text().strip()
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as server:
        server.execute("CREATE DATABASE half")
        try:
            with psycopg.connect(**address, dbname="half", autocommit=True) as connection:
                connection.execute("CREATE TABLE first AS SELECT 1 AS value")
                connection.execute(
                    "CREATE TABLE last AS SELECT md5(n::text) AS value FROM generate_series(1, 20000) AS n"
                )
            database.dump(settings, "half", tmp_path / "whole.dump")
            whole = (tmp_path / "whole.dump").read_bytes()
            (tmp_path / "short.dump").write_bytes(whole[: len(whole) // 2])
            server.execute("DROP DATABASE half")
            server.execute("CREATE DATABASE half")
            with pytest.raises(BackupError, match="pg_restore failed"):
                database.fill(settings, "half", tmp_path / "short.dump")
            with psycopg.connect(**address, dbname="half") as connection:
                assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)
            database.fill(settings, "half", tmp_path / "whole.dump")
            with psycopg.connect(**address, dbname="half") as connection:
                assert connection.execute("SELECT count(*) FROM last").fetchone() == (20000,)
        finally:
            server.execute("DROP DATABASE half WITH (FORCE)")


def test_a_running_stack_and_a_full_one_are_refused(stack, made, target):
    running = globalmart("restore", str(target))
    assert running.returncode == 1
    assert "The stack runs (" in running.stderr
    stack.stop("streaming")
    full = globalmart("restore", str(target))
    assert full.returncode == 1
    assert "holds" in full.stderr
    assert "--over" in full.stderr


@pytest.mark.long
def test_restored_beside_its_kafka_the_stream_takes_the_rest_from_there(stack, made, rows, target):
    stack.stop("streaming")
    done = said("restore", str(target), "--backup", made["backup_id"], "--over")
    assert "Kafka is the same" in done["kafka"]
    settings = stack.settings()
    assert_rows_are_those_of_the_point(settings, made, rows)
    assert open_table(settings, LEDGER_STREAMING).version() == next(
        one["version"] for one in made["tables"] if one["path"] == LEDGER_STREAMING.path
    )
    stack("streaming")
    books = settle(settings)
    assert books.batch_id > made["point"]["batch_id"]


@pytest.mark.long
def test_restored_on_a_new_machine_it_goes_on_with_a_new_kafka_and_is_upgraded(stack, made, rows, target, tmp_path):
    with another_stack(tmp_path):
        local_stack.up(only=("kafka", "minio", "postgres"), say=lambda _: None)
        done = said("restore", str(target), "--backup", made["backup_id"])
        assert "Kafka is a new one" in done["kafka"]
        settings = load_settings()
        assert_rows_are_those_of_the_point(settings, made, rows)
        local_stack.up(only=SERVICES, say=lambda _: None)
        with Traffic(72, 5) as more:
            taken = sum(more.finish()["acknowledged"].values())
        books = settle(settings)
        assert books.batch_id > made["point"]["batch_id"]
        assert sum(line.kafka for line in books.topics) == taken
        assert sum(line.bronze for line in books.topics) == made["counts"]["record_count"] + taken
        with Traffic(73, 30) as running:
            _upgraded_while_traffic_flows(settings, target, newer_release(tmp_path / "newer"), running)
    stack(*SERVICES)


def newer_release(folder: Path) -> Path:
    """This checkout with one more column in the ledger, filled from now on, and a lake version above."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".globalmart", "__pycache__", ".*_cache", "tests", "docs")
    shutil.copytree(CHECKOUT, folder, ignore=ignored, symlinks=True)
    for path, old, new in (
        (
            "lakehouse/release.py",
            f"LAKE_VERSION = {release.LAKE_VERSION}\n",
            f"LAKE_VERSION = {release.LAKE_VERSION + 1}\n",
        ),
        (
            "lakehouse/tables/ops.py",
            '        column("record_count",',
            '        column("written_by", pa.string(), "the release that wrote it", True),\n        column("record_count",',
        ),
        (
            "lakehouse/ledger.py",
            'row |= row.pop("counts")\n',
            'row |= row.pop("counts") | {"written_by": "the newer one"}\n',
        ),
    ):
        text = (folder / path).read_text()
        assert text.count(old) == 1, path
        (folder / path).write_text(text.replace(old, new))
    return folder


def _upgraded_while_traffic_flows(settings: Settings, target: Path, newer: Path, running: Traffic) -> None:
    old_rows = open_table(settings, LEDGER_STREAMING).to_pyarrow_table().num_rows
    plan = json.loads(globalmart("upgrade", "plan", "--json", checkout=newer).stdout)
    assert plan["is_needed"]
    assert plan["columns"] == {LEDGER_STREAMING.path: ["written_by"]}

    cut_short = subprocess.Popen(
        [sys.executable, "-m", "infra.cli", "upgrade", "apply", "--backup-to", str(target)],
        cwd=newer, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: (release.read(settings) or release.current()).upgrading_to, "the upgrade has begun", 300)
    finally:
        cut_short.send_signal(signal.SIGKILL)
        cut_short.wait()
    with pytest.raises(release.NewerLakeError, match="Start the newer release"):
        release.check(settings)

    done = said("upgrade", "apply", "--without-backup", checkout=newer)
    assert done["services"] == ["streaming"]
    running.finish()
    settle(settings)
    ledger = open_table(settings, LEDGER_STREAMING).to_pyarrow_table().sort_by("batch_id")
    assert ledger["written_by"].null_count >= old_rows
    assert ledger["written_by"].to_pylist()[0] is None
    assert ledger["written_by"].to_pylist()[-1] == "the newer one"
    assert said("upgrade", "plan", checkout=newer)["is_needed"] is False

    local_stack.down(say=lambda _: None)
    local_stack.up(only=("kafka", "minio", "postgres"), say=lambda _: None)
    older = subprocess.run(
        [sys.executable, "-m", "lakehouse.streams.service"],
        cwd=CHECKOUT, env=os.environ | {"GLOBALMART_SERVICE": "streaming"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert older.returncode == 1
    assert "this release of GlobalMart knows version" in older.stderr.splitlines()[-1]
    backup_of_newer = globalmart("backup", str(target), checkout=newer)
    assert backup_of_newer.returncode == 0, backup_of_newer.stderr
    refused = globalmart("restore", str(target), "--over")
    assert refused.returncode == 1
    assert "which is newer than this one" in refused.stderr
