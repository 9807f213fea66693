"""An upgrade that is cut short is noticed by every owner, and finished by the second run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import file_lake
import pyarrow as pa
import pytest

from infra.backup.manifest import BackupError
from infra.upgrade import steps
from infra.upgrade.steps import UpgradeError, evolve_lake, plan
from lakehouse import release
from lakehouse.release import LAKE_VERSION, Release
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import FINALITY, LEDGER_STREAMING, Column

NEWER = replace(
    FINALITY, columns=(*FINALITY.columns, Column("note", pa.string(), "of the newer release")), schema_version=2
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake of this release, and the code of the next, which has one more column in one table."""
    lake = Settings(_env_file=None, state_dir=tmp_path / "state", lake_uri=(tmp_path / "lake").as_uri())
    file_lake.take_batch(lake, 0)
    release.record(lake)
    for module in (release, steps):
        monkeypatch.setattr(module, "TABLES", (NEWER, LEDGER_STREAMING))
        monkeypatch.setattr(module, "LAKE_VERSION", LAKE_VERSION + 1)
    monkeypatch.setattr(steps, "load_settings", lambda *_: lake)
    monkeypatch.setattr(steps, "_pending", dict)
    monkeypatch.setattr(steps, "_migrate", lambda _: None)
    return lake


def test_the_plan_names_versions_and_columns_and_changes_nothing(settings) -> None:
    before = release.read(settings)
    found = plan(settings)
    assert (found.lake_version, found.is_unfinished, found.columns) == (
        LAKE_VERSION,
        False,
        {"gold/finality": ["note"]},
    )
    assert found.is_needed
    assert release.read(settings) == before
    assert "note" not in open_table(settings, FINALITY).to_pyarrow_table().column_names


def test_one_that_was_cut_short_is_refused_by_all_and_finished_by_the_second_run(settings, monkeypatch) -> None:
    def away(_: object) -> None:
        raise UpgradeError("PostgreSQL is away.")

    with monkeypatch.context() as broken:
        broken.setattr(steps, "_migrate", away)
        with pytest.raises(UpgradeError, match="is away"):
            evolve_lake(say=lambda _: None)
    assert plan(settings).is_unfinished
    with pytest.raises(release.UpgradeUnfinishedError, match="globalmart upgrade apply"):
        release.check(settings)
    with monkeypatch.context() as older:
        older.setattr(release, "LAKE_VERSION", LAKE_VERSION)
        with pytest.raises(release.NewerLakeError):
            release.check(settings)

    evolve_lake(say=lambda _: None)
    release.check(settings)
    assert release.read(settings) == Release(LAKE_VERSION + 1, {"gold/finality": 2, "ops/ledger_streaming": 1})
    assert not plan(settings).is_needed
    assert open_table(settings, FINALITY).to_pyarrow_table()["note"].to_pylist() == [None]


def test_a_lake_of_a_newer_release_has_no_plan(settings) -> None:
    release.write(settings, Release(LAKE_VERSION + 2))
    with pytest.raises(release.NewerLakeError):
        plan(settings)


class Supervised:
    """A supervisor under which the servers run, and `states` besides."""

    states: ClassVar[dict[str, str]] = {}
    stopped: ClassVar[list[str]] = []

    def __init__(self, _: Settings) -> None:
        pass

    def processes(self) -> dict[str, dict[str, str]]:
        return {
            name: {"statename": state}
            for name, state in (dict.fromkeys(steps.SERVERS, "RUNNING") | self.states).items()
        }

    def call(self, _: str, name: str) -> None:
        self.stopped.append(name)


@pytest.fixture
def started(settings, monkeypatch) -> list[list[str]]:
    """What `up` was asked for, under the supervisor above."""
    found: list[list[str]] = []
    monkeypatch.setattr(steps.supervision, "Supervisor", Supervised)
    monkeypatch.setattr(steps.stack, "up", lambda only, say: found.append(list(only)))  # noqa: ARG005 named by its caller
    monkeypatch.setattr(Supervised, "stopped", [])
    steps._services_file(settings).parent.mkdir(parents=True)
    return found


def test_one_that_was_cut_short_after_its_last_change_starts_what_it_had_stopped(settings, started) -> None:
    evolve_lake(say=lambda _: None)
    steps._remember(settings, ["streaming", "api"])
    assert steps.apply(None, say=lambda _: None).services == ["api", "streaming"]
    assert steps.apply(None, say=lambda _: None).services == []
    assert started == [["api", "streaming"]]


def test_a_service_between_two_tries_is_stopped_and_started_like_the_others(settings, started, monkeypatch) -> None:
    monkeypatch.setattr(Supervised, "states", {"streaming": "BACKOFF", "desk": "STARTING", "api": "STOPPED"})
    assert steps.apply(None, say=lambda _: None).services == ["desk", "streaming"]
    assert sorted(Supervised.stopped) == ["desk", "streaming"]
    assert started == [list(steps.SERVERS), ["desk", "streaming"]]


def test_after_a_backup_that_failed_nothing_is_stopped_or_written_down(settings, started) -> None:
    def full() -> None:
        raise BackupError("The target is full.")

    release.write(settings, Release(LAKE_VERSION))
    with pytest.raises(BackupError, match="is full"):
        steps.apply(full, say=lambda _: None)
    assert started == []
    assert not steps._services_file(settings).exists()
    assert not release.read(settings).upgrading_to
