"""Making a backup while the streams run: choose the point, copy what the target has not got, write the manifest last."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from kafka import KafkaAdminClient
from kafka.errors import KafkaError as ClientKafkaError
from pydantic import SecretStr

from infra.backup import database, manifest, point, underway
from infra.backup.manifest import LAKE, BackupError, File, Manifest, Point
from infra.backup.places import Folder, Place, lake_place
from lakehouse import release
from lakehouse.errors import KafkaError
from lakehouse.kafka import KafkaOffsets
from lakehouse.settings import PREFIX, Settings, load_settings

Say = Callable[[str], None]
Step = Callable[[int, int], None]
"""Called with files done and files in all."""
_COPIES = 8
_IN_MEMORY = 32 * 1024 * 1024


@dataclass(frozen=True)
class Made:
    """`copied_files` and `copied_bytes` are what the target had not got yet."""

    manifest: Manifest
    copied_files: int
    copied_bytes: int


def make(settings: Settings, target: Place, now: datetime, say: Say = print, step: Step = lambda *_: None) -> Made:
    """Back up everything that cannot be made again to `target`.

    `settings` are those of a reader of the lake, on the machine of the stack. Raises BackupError, LeaseHeldError, KafkaError, StorageError.
    """
    backup_id = f"{now:%Y%m%d-%H%M%S}"
    if backup_id in manifest.backup_ids(target):
        raise BackupError(f"{target} has a backup {backup_id} already: wait a second.")
    with underway.marked(target, backup_id, now):
        return _make(settings, target, backup_id, now, say, step)


def _make(settings: Settings, target: Place, backup_id: str, now: datetime, say: Say, step: Step) -> Made:
    release.check(settings, older_is_fine=True)
    of = release.read(settings) or release.current()
    with tempfile.TemporaryDirectory(prefix="globalmart-backup-") as folder:
        others = Path(folder)
        chosen = point.choose(settings, load_settings("batch"), say, lambda: _dump(settings, others, say))
        cluster, ends = kafka_state(settings)  # after the dump, so that no offset in PostgreSQL lies beyond
        entry = chosen.entry
        say(
            f"the point: batch {entry.batch_id} of {entry.committed_at:%Y-%m-%d %H:%M:%S} UTC, {len(chosen.versions)} tables"
        )
        lake = lake_place(settings)
        listed = _lake_files(settings, lake, chosen)
        copier = _Copier(target)
        wanted: list[tuple[Place, str, str]] = [(lake, path, f"{LAKE}{path}") for path in sorted(listed)]
        wanted += [(Folder(others), path, path) for path in Folder(others).files()]
        wanted += [(Folder(settings.audit_dir), path, f"audit/{path}") for path in Folder(settings.audit_dir).files()]
        files = copier.copy(wanted, step)
    made = Manifest(
        backup_id,
        now,
        manifest.project_version(),
        of.lake_version,
        Point(entry.batch_id, entry.generation, entry.committed_at, entry.next_offsets),
        tuple(point.state(settings, path, version, of) for path, version in sorted(chosen.versions.items())),
        files,
        chosen.counts,
        point.money(settings, chosen.versions),
        cluster,
        ends,
        plain_settings(settings),
    )
    manifest.write(target, made)
    return Made(made, copier.copied_files, copier.copied_bytes)


def kafka_state(settings: Settings) -> tuple[str, dict[str, int]]:
    """Kafka's cluster id, and per `topic/partition` of all its topics where it ends. Raises KafkaError."""
    offsets = KafkaOffsets(settings)
    try:
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers.split(","))
        try:
            cluster = str(admin.describe_cluster()["cluster_id"])
            topics = [name for name in admin.list_topics() if not name.startswith("__")]
        finally:
            admin.close()
        return cluster, offsets.ends(offsets.partitions(topics))
    except ClientKafkaError as error:
        raise KafkaError(
            f"Kafka at {settings.kafka_bootstrap_servers} stopped answering ({type(error).__name__})."
        ) from None
    finally:
        offsets.close()


def plain_settings(settings: Settings) -> dict[str, str]:
    """The settings that differ from their defaults, by variable; none that is a secret or names an account."""
    found = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        secret = isinstance(value, SecretStr) or name.endswith(("_access_key", "_sha256", "_user"))
        if not secret and name != "service" and value != field.default:
            found[f"{PREFIX}{name.upper()}"] = str(value)
    return found


def _dump(settings: Settings, folder: Path, say: Say) -> None:
    if not database.is_there(settings):
        say("PostgreSQL is not part of this stack: alerts, keys and decisions are not in the backup")
        return
    (folder / "postgres").mkdir()
    for name in database.DATABASES:
        say(f"dumping PostgreSQL's database {name}")
        database.dump(settings, name, folder / "postgres" / f"{name}.dump")


def _lake_files(settings: Settings, lake: Place, chosen: point.Chosen) -> set[str]:
    kept = point.kept_versions(settings, chosen.versions, chosen.pins)
    with ThreadPoolExecutor(_COPIES) as pool:
        data = pool.map(lambda item: point.data_files(settings, *item), kept.items())
        logs = pool.map(lambda item: point.log_files(lake, *item), chosen.versions.items())
        return set().union(*data, *logs)


class _Copier:
    """Copies files to a target under their hashes, each content once. Data files that an earlier backup has are not read again."""

    def __init__(self, target: Place) -> None:
        self._target = target
        self._there = target.files("objects")
        # the name of a data file is made of random bits and its content never changes; a log's and a dump's may
        self._known = {
            file.path: file
            for file in _newest_files(target)
            if file.path.startswith(LAKE) and "/_delta_log/" not in file.path and file.path.endswith(".parquet")
        }
        self.copied_files = self.copied_bytes = 0

    def copy(self, wanted: list[tuple[Place, str, str]], step: Step) -> tuple[File, ...]:
        """Copy each of (place, path there, path in the backup). Raises BackupError naming a file that is gone."""
        files: list[File] = []
        with ThreadPoolExecutor(_COPIES) as pool:
            for number, (file, copied) in enumerate(pool.map(lambda one: self._one(*one), wanted), start=1):
                files.append(file)
                self.copied_files += copied
                self.copied_bytes += file.size if copied else 0
                step(number, len(wanted))
        return tuple(files)

    def _one(self, place: Place, path: str, name: str) -> tuple[File, bool]:
        known = self._known.get(name)
        if known is not None and self._there.get(known.object) == known.size:
            return known, False
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
            try:
                place.read(path, body)
            except FileNotFoundError:
                raise BackupError(
                    f"{path} was deleted while it was to be copied: maintenance keeps what the point needs for GLOBALMART_HISTORY_DAYS. "
                    "Make the backup again; what is copied stays."
                ) from None
            digest = sha256(body)
            file = File(name, body.tell(), digest)
            if self._there.get(file.object) == file.size:
                return file, False
            body.seek(0)
            self._target.write(file.object, body)
            self._there[file.object] = file.size
        return file, True


def _newest_files(target: Place) -> tuple[File, ...]:
    ids = manifest.backup_ids(target)
    try:
        return manifest.read(target, ids[-1]).files if ids else ()
    except BackupError:  # a damaged or newer manifest says nothing about what need not be copied
        return ()


def sha256(body: IO[bytes]) -> str:
    """Of all of `body`, in hexadecimal."""
    body.seek(0)
    digest = hashlib.sha256()
    while chunk := body.read(1024 * 1024):
        digest.update(chunk)
    return digest.hexdigest()
