"""What lies in the serving folder: the files, the pointer to the current set of them, and the record of what they hold.

A set is one *live* file, written anew at each refresh, and one *base* file per table, written when the live rows have grown
many, or when a batch run has made days of it. `current.json` names the set; it is replaced atomically, so a reader sees the
old set or the new one, never a mixture. Every row carries `delta_version`, the version that brought it, so that pages of one
answer can be pinned to a version.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from api.errors import ServingFileError

META_TABLE = "serving_meta"
POINTER = "current.json"

META_COLUMNS = {
    "name": "VARCHAR",
    "delta_version": "BIGINT",
    "loaded_version": "BIGINT",
    "epoch": "VARCHAR",
    "log_digest": "VARCHAR",
    "rows": "BIGINT",
    "known_at": "TIMESTAMP",
    "built_at": "TIMESTAMP",
}


@dataclass(frozen=True)
class TableMeta:
    """What the files hold of one table: a row of `serving_meta`. Times are UTC without a zone, as DuckDB keeps them.

    `loaded_version` is the version of the last full load: rows of earlier versions cannot be told apart. `epoch` names that
    load. `log_digest` is the SHA-256 of the commit file of `delta_version`, by which a table made anew is recognised.
    """

    name: str
    delta_version: int
    loaded_version: int
    epoch: str
    log_digest: str
    rows: int
    known_at: datetime
    built_at: datetime


@dataclass(frozen=True)
class Manifest:
    """The current set of files, by name in the serving folder. `cursor_key` signs the cursors of the API (hexadecimal)."""

    sequence: int = 0
    live: str = ""
    bases: dict[str, str] = field(default_factory=dict)
    cursor_key: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def files(self) -> set[str]:
        return {self.live, *self.bases.values()}


def read_manifest(folder: Path) -> Manifest | None:
    """The current set; None before the first. Raises ServingFileError for a pointer that is not ours."""
    try:
        body = json.loads((folder / POINTER).read_text(encoding="utf-8"))
        return Manifest(int(body["sequence"]), str(body["live"]), dict(body["bases"]), str(body["cursor_key"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise ServingFileError(
            f"{folder / POINTER} is damaged: stop the refresher, delete {folder} and start it again; it is rebuilt."
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make `manifest` the current set, atomically and lastingly. Only its owner may read it, for it holds the cursor key."""
    partial = folder / f"{POINTER}.partial"
    body = {
        "sequence": manifest.sequence,
        "live": manifest.live,
        "bases": manifest.bases,
        "cursor_key": manifest.cursor_key,
    }
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / POINTER)
