"""A damaged backup says which file, and a newer one that it is newer."""

from __future__ import annotations

import orjson
import pytest

from infra.backup import check, manifest
from infra.backup.manifest import BackupError, NewerBackupError


@pytest.fixture
def victim(made) -> manifest.File:
    return next(file for file in made.manifest.files if file.path.startswith("lake/gold/finality/") and file.size > 500)


def test_a_missing_file_is_named(target, made, victim) -> None:
    target.delete([victim.object])
    assert check.faults(target, made.manifest) == [f"{victim.path} is missing ({victim.object})"]
    with pytest.raises(check.DamagedBackupError) as told:
        check.check(target, made.manifest)
    assert f"{victim.path} is missing" in str(told.value)
    assert "Nothing was changed" in str(told.value)


def test_a_short_file_and_a_changed_one_are_named(target, made, victim) -> None:
    path = target._root / victim.object
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert check.faults(target, made.manifest) == [
        f"{victim.path} has {victim.size - 1:,} bytes instead of {victim.size:,} ({victim.object})"
    ]
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert check.faults(target, made.manifest) == [f"{victim.path} is not what was backed up ({victim.object})"]


def test_a_backup_of_a_newer_version_is_refused(target, made) -> None:
    path = target._root / "backups" / f"{made.manifest.backup_id}.json"
    body = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(body | {"lake_version": 99, "project_version": "7.0.0", "what_is_this": 1}))
    with pytest.raises(
        NewerBackupError, match=r"made by GlobalMart 7\.0\.0 \(lake version 99\), which is newer than this one"
    ):
        manifest.read(target)


def test_a_manifest_that_is_cut_short_is_one_sentence(target, made) -> None:
    path = target._root / "backups" / f"{made.manifest.backup_id}.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BackupError, match="is damaged"):
        manifest.read(target)


def test_an_empty_target_and_an_unknown_backup_say_what_there_is(target, made, tmp_path) -> None:
    with pytest.raises(BackupError, match="There is no backup in"):
        manifest.read(type(target)(tmp_path / "nothing"))
    with pytest.raises(BackupError, match="it has 20260301-120000"):
        manifest.read(target, "20250101-000000")


def test_a_backup_whose_manifest_was_never_written_is_none(target, made) -> None:
    target.delete([f"backups/{made.manifest.backup_id}.json"])
    assert manifest.backup_ids(target) == []
