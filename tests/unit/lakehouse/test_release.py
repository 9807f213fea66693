"""A lake knows its release; owners of another one are refused; columns are added to what is there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import file_lake
import pyarrow as pa
import pytest

from lakehouse import release
from lakehouse.evolution import evolve, missing_columns
from lakehouse.release import LAKE_VERSION, Release
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import FINALITY, TABLES, Column

SCHEMAS = {1: "e6acc68b"}
"""Per lake version the first digits of a hash over all schemas. One that changed wants a higher `schema_version` of its table, a higher
LAKE_VERSION, and a line here."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state", lake_uri=(tmp_path / "lake").as_uri())


def test_no_schema_changes_without_a_new_version() -> None:
    schemas = [(t.path, t.schema_version, [(c.name, str(c.type), c.nullable) for c in t.columns]) for t in TABLES]
    assert SCHEMAS[LAKE_VERSION] == hashlib.sha256(repr(sorted(schemas)).encode()).hexdigest()[:8]


def test_a_lake_without_a_record_is_taken_and_recorded_once(settings) -> None:
    release.check(settings)
    assert release.read(settings) is None
    release.record(settings)
    assert release.read(settings) == release.current()
    release.write(settings, Release(LAKE_VERSION, {"kept": 3}))
    release.record(settings)
    assert release.read(settings) == Release(LAKE_VERSION, {"kept": 3})


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        (Release(LAKE_VERSION + 1), release.NewerLakeError, "Start the newer release"),
        (Release(LAKE_VERSION, upgrading_to=LAKE_VERSION + 1), release.NewerLakeError, "Start the newer release"),
        (Release(LAKE_VERSION - 1), release.OlderLakeError, "globalmart upgrade apply"),
        (Release(LAKE_VERSION - 1, upgrading_to=LAKE_VERSION), release.UpgradeUnfinishedError, "goes on where it was"),
        (Release(LAKE_VERSION, restoring="20260301-120000"), release.RestoreUnfinishedError, "backup 20260301-120000"),
    ],
)
def test_owners_of_another_release_are_refused_with_a_way_out(settings, found, error, words) -> None:
    release.write(settings, found)
    with pytest.raises(error, match=words):
        release.check(settings)


def test_a_record_that_a_newer_release_wrote_more_into_is_told_as_newer(settings, tmp_path) -> None:
    release.write(settings, Release(LAKE_VERSION + 1))
    path = tmp_path / "lake" / release.PATH
    path.write_text(json.dumps(json.loads(path.read_text()) | {"what_is_this": 1}))
    with pytest.raises(release.NewerLakeError):
        release.check(settings)


def test_a_backup_may_be_made_of_an_older_lake(settings) -> None:
    release.write(settings, Release(LAKE_VERSION - 1))
    release.check(settings, older_is_fine=True)


def test_a_new_column_is_empty_in_older_rows_and_adding_it_twice_changes_nothing(settings) -> None:
    file_lake.take_batch(settings, 0)
    newer = replace(FINALITY, columns=(*FINALITY.columns, Column("note", pa.string(), "of a newer release", False)))
    opened = open_table(settings, FINALITY)
    assert missing_columns(opened, newer) == ["note"]
    assert evolve(opened, newer) == ["note"]
    version = opened.version()
    assert evolve(open_table(settings, FINALITY), newer) == []
    rows = open_table(settings, FINALITY).to_pyarrow_table()
    assert open_table(settings, FINALITY).version() == version
    assert rows["note"].to_pylist() == [None]
