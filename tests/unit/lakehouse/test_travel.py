"""A table read as it was at a version or a time; and what is said of versions that never were or are gone. Lake on files, no Spark."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from infra.cli import app
from lakehouse import travel_command
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import CUSTOMER_RFM, TABLE_SIZES
from lakehouse.travel import Log, NoSuchVersionError, VersionGoneError, open_at

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state", lake_uri=(tmp_path / "lake").as_uri())


def rows(version: int) -> pa.Table:
    row = {
        "measured_at": NOON,
        "table_path": f"v{version}",
        "version": version,
        "file_count": 1,
        "byte_count": 1,
        "row_count": None,
        "oldest_version": 0,
        "oldest_at": None,
    }
    return pa.Table.from_pylist([row], TABLE_SIZES.schema)


def write(settings: Settings, versions: int) -> DeltaTable:
    """Versions 0, 1, ..., each with one row that replaces the one before, committed at 12:00, 12:01, ..."""
    uri = delta_uri(settings, TABLE_SIZES)
    for version in range(versions):
        write_deltalake(uri, rows(version), mode="overwrite", configuration={"delta.checkpointInterval": "100"})
        path = Path(uri.removeprefix("file://")) / "_delta_log" / f"{version:020d}.json"
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        for action in actions:
            if "commitInfo" in action:
                action["commitInfo"]["timestamp"] = int((NOON + timedelta(minutes=version)).timestamp() * 1000)
        path.write_text("\n".join(map(json.dumps, actions)))
    return DeltaTable(uri)


def content(settings: Settings, **when: object) -> list[str]:
    opened = open_at(settings, TABLE_SIZES, **when)  # type: ignore[arg-type]
    found: list[str] = opened.delta.to_pyarrow_table()["table_path"].to_pylist()
    assert found == [f"v{opened.version}"]
    return found


def test_each_version_and_each_time_gives_the_rows_of_then(settings: Settings) -> None:
    write(settings, 5)
    assert content(settings) == ["v4"]
    assert [content(settings, version=version) for version in range(5)] == [["v0"], ["v1"], ["v2"], ["v3"], ["v4"]]
    at = {0: "v0", 59: "v0", 60: "v1", 61: "v1", 239: "v3", 240: "v4", 90_000: "v4"}
    assert {s: content(settings, at=NOON + timedelta(seconds=s))[0] for s in at} == at
    opened = open_at(settings, TABLE_SIZES, version=3)
    assert opened.committed_at == NOON + timedelta(minutes=3)


def test_what_never_was_is_said_in_a_sentence(settings: Settings) -> None:
    with pytest.raises(NoSuchVersionError, match=r"There is no ops/table_sizes in .* yet"):
        open_at(settings, TABLE_SIZES)
    write(settings, 2)
    with pytest.raises(NoSuchVersionError, match="has no version 2: its newest is 1"):
        open_at(settings, TABLE_SIZES, version=2)
    with pytest.raises(NoSuchVersionError, match="has no version -1"):
        open_at(settings, TABLE_SIZES, version=-1)
    with pytest.raises(
        NoSuchVersionError, match="begins at 2026-03-14 12:00:00 UTC: there is nothing of 2026-03-14 11:59:59"
    ):
        open_at(settings, TABLE_SIZES, at=NOON - timedelta(seconds=1))
    with pytest.raises(ValueError, match="not both"):
        open_at(settings, TABLE_SIZES, version=0, at=NOON)


def test_a_version_whose_files_were_vacuumed_names_the_oldest_that_can_be_read(settings: Settings) -> None:
    delta = write(settings, 5)
    assert Log(settings, TABLE_SIZES).oldest_readable() == 0
    gone = delta.vacuum(0, dry_run=False, enforce_retention_duration=False, keep_versions=[3])
    assert len(gone) == 3
    log = Log(settings, TABLE_SIZES)
    assert log.oldest_readable() == 3
    with pytest.raises(VersionGoneError, match=r"Version 1 .* the oldest is version 3 of 2026-03-14 12:03:00 UTC"):
        open_at(settings, TABLE_SIZES, version=1)
    with pytest.raises(VersionGoneError, match="Version 2 "):
        open_at(settings, TABLE_SIZES, at=NOON + timedelta(minutes=2, seconds=30))
    assert content(settings, version=3) == ["v3"]


def test_a_log_that_was_cleaned_is_said_too(settings: Settings) -> None:
    delta = write(settings, 5)
    DeltaTable(delta.table_uri, version=2).create_checkpoint()
    log = Path(delta.table_uri.removeprefix("file://")) / "_delta_log"
    for version in (0, 1):
        (log / f"{version:020d}.json").unlink()
    assert Log(settings, TABLE_SIZES).oldest_in_log == 2
    assert content(settings, version=2) == ["v2"]
    with pytest.raises(VersionGoneError, match="Version 1 "):
        open_at(settings, TABLE_SIZES, version=1)
    with pytest.raises(VersionGoneError, match="goes back to 2026-03-14 12:02:00 UTC"):
        open_at(settings, TABLE_SIZES, at=NOON)
    (log / f"{2:020d}.json").unlink()  # the checkpoint says the same; only its time is unknown
    assert content(settings, version=2) == ["v2"]
    assert open_at(settings, TABLE_SIZES, version=2).committed_at is None


def test_the_command_shows_rows_of_then_as_json(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write(settings, 3)
    monkeypatch.setattr(travel_command, "get_settings", lambda: settings)
    run = CliRunner().invoke(app, ["read", "table_sizes", "--at", "2026-03-14T13:01:30+01:00", "--json"])
    assert run.exit_code == 0, run.output
    body = json.loads(run.output)
    assert (body["table"], body["version"], body["committed_at"]) == ("ops/table_sizes", 1, "2026-03-14T12:01:00Z")
    assert body["rows"][0]["table_path"] == "v1"
    assert body["rows"][0]["measured_at"] == "2026-03-14T12:00:00Z"
    shown = CliRunner().invoke(app, ["read", "ops/table_sizes", "--version", "0", "--limit", "0"])
    assert "ops/table_sizes at version 0, committed at 2026-03-14 12:00:00 UTC: 0 rows shown." in shown.output


def test_an_unknown_table_names_those_there_are() -> None:
    with pytest.raises(travel_command.UnknownTableError, match=f"no table 'rfm'.*{CUSTOMER_RFM.path}"):
        travel_command.table_named("rfm")
