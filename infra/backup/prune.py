"""Dropping old backups: their manifests first, then every content that none of the kept ones names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from infra.backup import manifest, underway
from infra.backup.places import Place


@dataclass(frozen=True)
class Pruned:
    """Ids of backups, oldest first, and what no kept one needs: contents of dropped backups and of those that were cut short."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    files: int
    byte_count: int


def prune(target: Place, keep: int, now: datetime, dry_run: bool = False) -> Pruned:
    """Keep the newest `keep` backups, at least 1. With `dry_run` nothing is removed.

    A run that was cut short is finished by the next. Raises BackupError, before anything is removed, where a kept manifest cannot be read or a
    backup is under way.
    """
    if keep < 1:
        raise ValueError("at least one backup is kept")
    with underway.marked(target, underway.PRUNE, now):
        ids = manifest.backup_ids(target)
        kept, dropped = ids[-keep:], ids[:-keep]
        needed = {file.object for backup_id in kept for file in manifest.read(target, backup_id).files}
        there = (
            target.files("objects") if kept else {}
        )  # no manifest at all: a wrong target, or a first backup that was cut short
        unneeded = {path: size for path, size in there.items() if path not in needed}
        if not dry_run:
            target.delete([manifest.path(backup_id) for backup_id in dropped])
            target.delete(unneeded)
    return Pruned(tuple(kept), tuple(dropped), len(unneeded), sum(unneeded.values()))
