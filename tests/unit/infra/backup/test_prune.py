"""Old backups are dropped, the kept ones stay whole, and nobody prunes under a backup's feet."""

from __future__ import annotations

import io
from datetime import timedelta

import file_lake
import pytest

from infra.backup import check, manifest, underway
from infra.backup.make import make
from infra.backup.manifest import BackupError
from infra.backup.prune import prune

MINUTE = timedelta(minutes=1)


@pytest.fixture
def three(settings, target, made) -> list[manifest.Manifest]:
    """Backups of which each has files that the others have not: a compaction between replaces what was there."""
    found = [made.manifest]
    for number in (1, 2):
        file_lake.take_batch(settings, 2 + number)
        log = target._root.parent / "lake/gold/finality/_delta_log/00000000000000000002.json"
        log.write_text(
            log.read_text() + "\n"
        )  # written again under its name, so that the earlier content is of no later backup
        found.append(make(settings, target, file_lake.NOON + number * MINUTE, say=lambda _: None).manifest)
    return found


def test_the_kept_backups_are_whole_and_what_only_the_others_had_is_gone(target, three) -> None:
    target.write("objects/ff/of-a-backup-that-was-cut-short", io.BytesIO(b"12345"))
    only = {file.object for file in three[0].files} - {file.object for one in three[1:] for file in one.files}
    assert only
    done = prune(target, 2, file_lake.NOON + 3 * MINUTE)
    assert (done.kept, done.dropped) == (tuple(one.backup_id for one in three[1:]), (three[0].backup_id,))
    assert manifest.backup_ids(target) == list(done.kept)
    assert [check.faults(target, one) for one in three[1:]] == [[], []]
    assert set(target.files("objects")) == {file.object for one in three[1:] for file in one.files}
    assert done.files == len(only) + 1
    assert done.byte_count == 5 + sum(
        {file.object: file.size for file in three[0].files if file.object in only}.values()
    )
    assert target.files("running") == {}


def test_a_dry_run_says_the_same_and_removes_nothing(target, three) -> None:
    before = target.files()
    told = prune(target, 1, file_lake.NOON + 3 * MINUTE, dry_run=True)
    assert target.files() == before
    assert told == prune(target, 1, file_lake.NOON + 3 * MINUTE)
    again = prune(target, 1, file_lake.NOON + 3 * MINUTE)
    assert (again.dropped, again.files) == ((), 0)


def test_nothing_is_removed_where_a_kept_manifest_cannot_be_read(target, three) -> None:
    target.write(manifest.path(three[2].backup_id), io.BytesIO(b"{"))
    before = target.files()
    with pytest.raises(BackupError, match="is damaged"):
        prune(target, 1, file_lake.NOON + 3 * MINUTE)
    assert target.files() == before


def test_in_a_target_without_a_backup_nothing_is_taken_for_a_left_over(target) -> None:
    target.write("objects/of/something-else", io.BytesIO(b"1"))
    assert prune(target, 1, file_lake.NOON).files == 0
    assert target.files() == {"objects/of/something-else": 1}


def test_prune_and_a_backup_refuse_each_other_and_two_backups_do_not(settings, target, made) -> None:
    with underway.marked(target, "20260301-120001", file_lake.NOON):
        with pytest.raises(
            BackupError, match=r"Backup 20260301-120001 is under way .* remove .*running/20260301-120001"
        ):
            prune(target, 1, file_lake.NOON)
        make(settings, target, file_lake.NOON + MINUTE, say=lambda _: None)
    with (
        underway.marked(target, underway.PRUNE, file_lake.NOON),
        pytest.raises(BackupError, match="`backup prune` is under way"),
    ):
        make(settings, target, file_lake.NOON + 2 * MINUTE, say=lambda _: None)
    assert len(manifest.backup_ids(target)) == 2


def test_the_mark_of_a_killed_backup_counts_for_a_day(target, made) -> None:
    target.write("running/20260301-110000", io.BytesIO((file_lake.NOON - timedelta(days=1)).isoformat().encode()))
    target.write("running/cut-short", io.BytesIO(b""))
    assert prune(target, 1, file_lake.NOON).kept == (made.manifest.backup_id,)
