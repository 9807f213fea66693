"""A backup is of the ledger's point, is whole only with its manifest, and copies what is new."""

from __future__ import annotations

import json
from datetime import timedelta

import file_lake
import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from infra.backup import check, manifest
from infra.backup import make as making
from infra.backup.make import make
from infra.backup.manifest import BackupError
from infra.backup.places import lake_place
from infra.backup.restore import compare, restore_lake
from lakehouse import release
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, DIM_COUNTRY, FINALITY, LEDGER_STREAMING, Table
from lakehouse.travel import paths

LATER = file_lake.NOON + timedelta(minutes=1)


def test_it_is_of_the_ledgers_last_entry_and_not_of_what_is_under_way(settings, target) -> None:
    proven = open_table(settings, FINALITY).version()
    write_deltalake(
        delta_uri(settings, FINALITY), file_lake.rows(FINALITY, 3), mode="append"
    )  # its ledger row is yet to come
    one = make(settings, target, file_lake.NOON, say=lambda _: None).manifest
    assert one.point.batch_id == 2
    assert one.point.next_offsets == {"transactions/0": 30}
    assert {state.path: (state.version, state.row_count) for state in one.tables} == {
        "gold/finality": (proven, 3),
        "ops/ledger_streaming": (3, 3),
    }
    assert one.counts["record_count"] == 30
    assert not [file.path for file in one.files if file.path.endswith(f"{proven + 1:020d}.json")]


def test_what_is_read_back_is_what_was_written(target, made) -> None:
    assert manifest.read(target) == made.manifest
    assert manifest.backup_ids(target) == ["20260301-120000"]
    assert check.faults(target, made.manifest) == []


def test_a_second_backup_copies_only_what_is_new(settings, target, made) -> None:
    assert made.copied_files == len(made.manifest.files)
    file_lake.take_batch(settings, 3)
    second = make(settings, target, LATER, say=lambda _: None)
    assert second.copied_files == 4  # a data file and a commit for each of the two tables
    assert len(second.manifest.files) == made.copied_files + 4
    third = make(settings, target, LATER + timedelta(minutes=1), say=lambda _: None)
    assert third.copied_files == 0
    assert [check.faults(target, one.manifest) for one in (made, second, third)] == [[], [], []]


def test_a_log_that_was_rewritten_under_the_same_name_is_copied_again(settings, target, made) -> None:
    commit = "gold/finality/_delta_log/00000000000000000003.json"
    place = lake_place(settings)._root / commit
    place.write_text(place.read_text() + "\n")
    second = make(settings, target, LATER, say=lambda _: None)
    hashes = {file.path: file.sha256 for file in made.manifest.files}
    assert [file.path for file in second.manifest.files if hashes[file.path] != file.sha256] == [f"lake/{commit}"]


def test_of_a_long_log_only_the_last_checkpoint_and_what_follows_is_copied(settings, target) -> None:
    open_table(settings, FINALITY).create_checkpoint()
    file_lake.take_batch(settings, 3)
    files = {file.path for file in make(settings, target, LATER, say=lambda _: None).manifest.files}
    log = {path.rpartition("/")[2] for path in files if path.startswith("lake/gold/finality/_delta_log")}
    assert log == {
        "00000000000000000003.checkpoint.parquet",
        "00000000000000000003.json",
        "00000000000000000004.json",
    }


def test_what_rows_were_made_from_is_in_it_though_a_batch_run_begins_meanwhile(settings, target, monkeypatch) -> None:
    def write(table: Table, version: int, **sources: int) -> None:
        """As `lakehouse.batch` does: no rows, in a file, with a note of what they were made from."""
        note = json.dumps({"sources": {path.replace("__", "/"): at for path, at in sources.items()}})
        write_deltalake(
            delta_uri(settings, table), pa.table({"value": [version]}), mode="overwrite",
            commit_properties=CommitProperties(custom_metadata={"userMetadata": note}),
        )  # fmt: skip

    for version in range(3):
        write(DIM_COUNTRY, version)
    write(CUSTOMER_RFM, 0, gold__dim_country=1)
    (source,) = paths(open_table(settings, DIM_COUNTRY, 1))

    def next_run(_: Settings) -> tuple[str, dict[str, int]]:
        write(DIM_COUNTRY, 3)
        write(CUSTOMER_RFM, 1, gold__dim_country=3)
        return "cluster", {}

    monkeypatch.setattr(making, "kafka_state", next_run)  # it is asked when the lease has been given back
    one = make(settings, target, file_lake.NOON, say=lambda _: None).manifest
    assert {state.path: state.version for state in one.tables if state.path.startswith("gold/")} == {
        "gold/finality": open_table(settings, FINALITY).version(),
        "gold/dim_country": 2,
        "gold/customer_rfm": 0,
    }
    assert f"lake/{DIM_COUNTRY.path}/{source}" in {file.path for file in one.files}


def test_a_lake_without_a_batch_is_refused(tmp_path, target) -> None:
    empty = Settings(_env_file=None, state_dir=tmp_path / "other", lake_uri=(tmp_path / "empty").as_uri())
    with pytest.raises(BackupError, match="Nothing has been streamed yet"):
        making.point.choose(empty, empty, lambda _: None, lambda: None)


def test_secrets_and_accounts_are_left_out() -> None:
    made_with = Settings(
        _env_file=None,
        s3_access_key="somebody",
        s3_secret_key="hidden",
        postgres_url="postgresql://a:hidden@b/c",
        api_key="hidden",
        smtp_user="somebody",
        session_gap_minutes=45,
    )
    kept = making.plain_settings(made_with)
    assert kept.pop("GLOBALMART_CHECKPOINT_URI").startswith("file:")
    assert kept == {"GLOBALMART_SESSION_GAP_MINUTES": "45.0"}


def test_restored_elsewhere_the_rows_are_equal_and_the_stream_can_go_on(settings, target, made, tmp_path) -> None:
    before = {table.path: open_table(settings, table).to_pyarrow_table() for table in file_lake.TABLES}
    other = Settings(_env_file=None, state_dir=tmp_path / "other", lake_uri=(tmp_path / "new").as_uri())
    restore_lake(target, made.manifest, {"streaming": lake_place(other)})
    compare(other, made.manifest)
    assert {table.path: open_table(other, table).to_pyarrow_table() for table in file_lake.TABLES} == before
    entry = file_lake.take_batch(other, 3)
    assert entry.table_versions[FINALITY.path] == open_table(settings, FINALITY).version() + 1
    assert open_table(other, LEDGER_STREAMING).to_pyarrow_table()["batch_id"].to_pylist() == [3, 2, 1, 0]


def test_what_came_after_the_point_is_gone_after_a_restore_over_it(settings, target, made) -> None:
    file_lake.take_batch(settings, 3)
    restore_lake(target, made.manifest, {"streaming": lake_place(settings)})
    compare(settings, made.manifest)
    assert sorted(open_table(settings, FINALITY).to_pyarrow_table()["batch_id"].to_pylist()) == [0, 1, 2]


def test_of_a_lake_that_is_half_restored_no_backup_is_made(settings, target) -> None:
    release.write(settings, release.Release(1, restoring="20260301-120000"))
    with pytest.raises(release.RestoreUnfinishedError, match="was cut short"):
        make(settings, target, LATER, say=lambda _: None)
