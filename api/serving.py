"""The reading side of the serving folder: opens the current set read-only, follows the pointer, limits each statement's time.

A request takes one generation and keeps it to its end; a swap only changes which generation the next request takes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from api.errors import QueryLimitError, ServingFileError, TableMissingError
from api.manifest import META_COLUMNS, META_TABLE, POINTER, Manifest, TableMeta, read_manifest
from api.served import HOW, SUPERSEDED_COLUMN, VERSION_COLUMN
from lakehouse.heartbeat import read
from lakehouse.settings import Settings
from lakehouse.tables import Table

STATEMENT_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_BEAT_SECONDS = 1.0
_GIB = 1024**3
log = logging.getLogger(__name__)


class Watchdog:
    """Interrupts connections that run longer than they may; one thread for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, tuple[float, duckdb.DuckDBPyConnection]] = {}

    @contextlib.contextmanager
    def limit(self, con: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
        with self._lock:
            self._running[id(con)] = (time.monotonic() + seconds, con)
        try:
            yield
        finally:
            with self._lock:
                del self._running[id(con)]

    def look(self) -> None:
        with self._lock:
            now = time.monotonic()
            for deadline, con in self._running.values():
                if now > deadline:
                    con.interrupt()


class Generation:
    """One set of files, opened read-only in a locked DuckDB instance. Closed when the last request lets go of it."""

    def __init__(self, folder: Path, manifest: Manifest, memory_gb: float, watchdog: Watchdog) -> None:
        """Raises ServingFileError when a file of the set is missing or damaged."""
        self.manifest = manifest
        self.files = _files(folder, manifest)
        self.opened_at = datetime.now(UTC)
        self.watchdog = watchdog
        self._lock = threading.Lock()
        self._newest: dict[str, datetime | None] = {}
        try:
            # Two generations live side by side during a swap, so each gets half of the memory.
            self._con = _open(self.files, memory_gb / 2)
            rows = self._con.execute(f"SELECT {', '.join(META_COLUMNS)} FROM live.{META_TABLE}").fetchall()  # noqa: S608
            self.metas = {meta.name: meta for meta in (TableMeta(*row) for row in rows)}
            live = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'live'"
            self._in_live = {name for (name,) in self._con.execute(live).fetchall()}
            for name in self.metas:
                self._con.execute(f'CREATE VIEW "{name}" AS {self.select(name)}')
            self._con.execute("SET enable_external_access = false")
            self._con.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise ServingFileError(
                f"The serving files of set {manifest.sequence} cannot be opened ({reason})."
            ) from None

    def meta(self, table: Table) -> TableMeta:
        """Raises TableMissingError when gold does not have the table yet."""
        if table.name not in self.metas:
            raise TableMissingError(table.path)
        return self.metas[table.name]

    def rows(self, table: Table, version: int) -> str:
        """SQL of the rows of `table` at `version`, for FROM: those that count. Snapshots are read, retracted ones left out.

        `version` is not older than the table's `loaded_version`. Raises TableMissingError.
        """
        meta = self.meta(table)
        return f'"{table.name}"' if version >= meta.delta_version else f"({self.select(table.name, version)})"

    def select(self, name: str, version: int | None = None) -> str:
        """The SELECT of `rows`, by the names under which `files` are attached."""
        until = f"{VERSION_COLUMN} <= {version:d}" if version is not None else "true"
        live, base = f'live."{name}"', f'base_{name}."{name}"'
        there = {live: name in self._in_live, base: name in self.manifest.bases}
        table = HOW[name].table
        if table.reading != "snapshots":
            return " UNION ALL ".join(f"SELECT * FROM {side} WHERE {until}" for side in there if there[side])  # noqa: S608
        after = f" OR {SUPERSEDED_COLUMN} > {version:d}" if version is not None else ""
        counts = f"{until} AND ({SUPERSEDED_COLUMN} IS NULL{after}) AND NOT is_retracted"
        selects = {side: f"SELECT * FROM {side} AS here WHERE {counts}" for side in there if there[side]}  # noqa: S608
        if len(selects) > 1:  # a key of the base file may have a newer row in the live one
            same = " AND ".join(f'newer."{key}" = here."{key}"' for key in table.key)
            selects[base] += (
                f" AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM {live} WHERE {until}) AS newer WHERE {same})"  # noqa: S608
            )
        return " UNION ALL ".join(selects.values())

    def query(
        self, sql: str, parameters: Sequence[Any] = (), seconds: float = STATEMENT_SECONDS
    ) -> list[tuple[Any, ...]]:
        """The rows of one statement. Raises QueryLimitError (too long, too much memory) and ServingFileError (file damaged)."""
        with self._lock:
            cursor = self._con.cursor()
        try:
            with self.watchdog.limit(cursor, seconds):
                return cursor.execute(sql, list(parameters)).fetchall()
        except duckdb.InterruptException:
            raise QueryLimitError(
                f"The answer took longer than {seconds:g} seconds: ask for a shorter time or fewer groups."
            ) from None
        except duckdb.OutOfMemoryException:
            raise QueryLimitError(
                "The answer needs more memory than allowed: ask for a shorter time or fewer groups."
            ) from None
        except (duckdb.IOException, duckdb.FatalException) as error:
            raise ServingFileError(f"The serving file cannot be read ({str(error).splitlines()[0]}).") from None
        finally:
            cursor.close()

    def newest(self, table: Table, column: str, known_at: datetime | None = None) -> datetime | None:
        """The highest `column` that `table` has, or had at `known_at` (UTC without zone); None where it is empty.

        That of now is asked once per generation.
        """
        sql = f'SELECT max("{column}") FROM "{table.name}"'  # noqa: S608
        if known_at is not None:
            found: datetime | None = self.query(f"{sql} WHERE known_at <= ?", [known_at])[0][0]
            return found
        if table.name not in self._newest:
            self._newest[table.name] = self.query(sql)[0][0]
        return self._newest[table.name]


def _files(folder: Path, manifest: Manifest) -> dict[str, Path]:
    """The files of a set by the names under which statements attach them."""
    bases = {f"base_{table}": folder / name for table, name in manifest.bases.items()}
    return {"live": folder / manifest.live, **bases}


def _open(files: dict[str, Path], memory_gb: float) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "memory_limit": f"{int(memory_gb * _GIB)}B",
        "threads": "2",
        "temp_directory": "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    con = duckdb.connect(":memory:", config=config)
    for alias, file in files.items():
        path = str(file).replace("'", "''")
        con.execute(f"ATTACH '{path}' AS \"{alias}\" (READ_ONLY)")
    return con


class Serving:
    """The current generation, and the thread that follows the pointer. `problem` says why the newest set is not in use."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.serving_dir
        self._memory_gb = settings.duckdb_memory_gb
        self._watchdog = Watchdog()
        self._generation: Generation | None = None
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._settings = settings
        self._stale: frozenset[str] | None = frozenset()
        self._beat_at = float("-inf")
        self._thread: threading.Thread | None = None
        self.problem: str | None = None

    def start(self) -> None:
        # The first statement with a parameter makes DuckDB import pandas, which takes seconds: not within a request.
        duckdb.connect(":memory:").execute("SELECT ?", [0])
        self.look()
        self._thread = threading.Thread(target=self._follow, name="serving-follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._generation = None

    def current(self) -> Generation:
        """Raises ServingFileError before the first set is there."""
        if self._generation is None:
            raise ServingFileError(self.problem or "There is no serving file yet: the refresher has not published one.")
        return self._generation

    def look(self) -> None:
        """Open the current set if the pointer has changed. A set that cannot be opened leaves the one before in use."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        try:
            status = (self._folder / POINTER).stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen == self._seen:
                return
            manifest = read_manifest(self._folder)
            if manifest is not None:
                self._generation = Generation(self._folder, manifest, self._memory_gb, self._watchdog)
                self._seen = seen
                self.problem = None
        except FileNotFoundError:
            return
        except (ServingFileError, OSError) as error:
            if str(error) != self.problem:
                log.warning("%s", error)
            self.problem = str(error)

    def is_stale(self, name: str) -> bool:
        """Whether the table is served as it was, for the refresher is away or cannot read gold."""
        return self._stale is None or name in self._stale

    def _look_at_refresher(self) -> None:
        """What the refresher's heartbeat says of tables that it cannot read; None where it has stopped."""
        if time.monotonic() - self._beat_at < _BEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        beat = read(self._settings, "refresher")
        if beat is None:
            self._stale = frozenset()  # a serving folder without a refresher is what it is: `/ready` says so
        elif beat["is_stale"] or beat["state"] == "failed":
            self._stale = None
        else:
            self._stale = frozenset(beat.get("stale_tables", ()))

    def _follow(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.look()
            self._look_at_refresher()
            self._watchdog.look()
