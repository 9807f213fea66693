"""The manifest of a backup: what it holds and what is true of it. Written last, so a backup without one is none.

A target holds `objects/<sha256>`, each content once whatever backup it is of, and `backups/<id>.json`, the manifests.
"""

from __future__ import annotations

import io
import tomllib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

import orjson

from infra.backup.places import Place
from lakehouse.errors import GlobalMartError
from lakehouse.release import LAKE_VERSION
from lakehouse.settings import CHECKOUT

FORMAT = 1
LAKE = "lake/"
"""Paths of a backup below this are paths below the lake's root; the others are `postgres/` and `audit/`."""


class BackupError(GlobalMartError):
    """A backup cannot be made, read or restored."""


class NewerBackupError(BackupError):
    """The backup was made by a newer version of the platform."""


@dataclass(frozen=True)
class File:
    """One file of a backup: where it came from, bytes, and SHA-256 in hexadecimal, which is its name in the target."""

    path: str
    size: int
    sha256: str

    @property
    def object(self) -> str:
        return f"objects/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class TableState:
    """A table at the point. `schema_version` as in `lakehouse.tables`, `row_count` by its files' statistics."""

    path: str
    version: int
    schema_version: int
    row_count: int | None


@dataclass(frozen=True)
class Point:
    """The ledger entry that a backup is of: all streaming tables as they were when this micro-batch was in."""

    batch_id: int
    generation: int
    committed_at: datetime
    next_offsets: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """`kafka_ends` are the ends of all topics when PostgreSQL had been dumped, by `topic/partition`; `money` sums in USD by what was summed;
    `counts` the ledger's counts over all batches up to the point; `settings` those that differ from their defaults, without secrets.
    """

    backup_id: str
    made_at: datetime
    project_version: str
    lake_version: int
    point: Point
    tables: tuple[TableState, ...]
    files: tuple[File, ...]
    counts: dict[str, int] = field(default_factory=dict)
    money: dict[str, Decimal] = field(default_factory=dict)
    kafka_cluster: str = ""
    kafka_ends: dict[str, int] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def byte_count(self) -> int:
        return sum(file.size for file in self.files)


def write(place: Place, manifest: Manifest) -> None:
    body = orjson.dumps(asdict(manifest), default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
    place.write(path(manifest.backup_id), io.BytesIO(body))


def backup_ids(place: Place) -> list[str]:
    """All backups of a target, oldest first."""
    names = place.files("backups")
    return sorted(name.removeprefix("backups/").removesuffix(".json") for name in names if name.endswith(".json"))


def read(place: Place, backup_id: str | None = None) -> Manifest:
    """The manifest of one backup, the newest where none is named. Raises BackupError, NewerBackupError."""
    ids = backup_ids(place)
    if not ids:
        raise BackupError(f"There is no backup in {place}: `globalmart backup {place}` makes one.")
    if backup_id is not None and backup_id not in ids:
        raise BackupError(f"{place} has no backup {backup_id}: it has {', '.join(ids)}.")
    wanted = backup_id or ids[-1]
    text = io.BytesIO()
    place.read(path(wanted), text)
    try:
        body = orjson.loads(text.getvalue())
        check_version(wanted, int(body["format"]), int(body["lake_version"]), str(body["project_version"]))
        return _manifest(body)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"The manifest {path(wanted)} in {place} is damaged ({error!r}): restore another backup, `globalmart backup list` names them."
        ) from None


def check_version(backup_id: str, form: int, lake_version: int, project: str) -> None:
    """Raise NewerBackupError where this version of the platform does not know what the backup holds."""
    if form > FORMAT or lake_version > LAKE_VERSION:
        raise NewerBackupError(
            f"Backup {backup_id} was made by GlobalMart {project} (lake version {lake_version}), which is newer than this one, {project_version()} "
            f"(lake version {LAKE_VERSION}). Nothing was changed. Install that version, and restore with it."
        )


@lru_cache
def project_version() -> str:
    """The platform's version, by its `pyproject.toml`."""
    return str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"])


def path(backup_id: str) -> str:
    """Where a target has the manifest of a backup."""
    return f"backups/{backup_id}.json"


def _manifest(body: dict) -> Manifest:  # type: ignore[type-arg]
    point = body["point"] | {"committed_at": datetime.fromisoformat(body["point"]["committed_at"])}
    return Manifest(
        **body
        | {
            "made_at": datetime.fromisoformat(body["made_at"]),
            "point": Point(**point),
            "tables": tuple(TableState(**one) for one in body["tables"]),
            "files": tuple(File(**one) for one in body["files"]),
            "money": {name: Decimal(amount) for name, amount in body["money"].items()},
        }
    )
