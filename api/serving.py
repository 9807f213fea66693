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
from lakehouse.settings import Settings
from lakehouse.tables import Table

STATEMENT_SECONDS = 10.0
_LOOK_SECONDS = 0.1
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
        self.opened_at = datetime.now(UTC)
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._newest: dict[str, datetime | None] = {}
        try:
            # Two generations live side by side during a swap, so each gets half of the memory.
            self._con = _open(folder, manifest, memory_gb / 2)
            rows = self._con.execute(f"SELECT {', '.join(META_COLUMNS)} FROM live.{META_TABLE}").fetchall()  # noqa: S608
            self.metas = {meta.name: meta for meta in (TableMeta(*row) for row in rows)}
            for meta in self.metas.values():
                parts = [f'live."{meta.name}"'] + ([f'base_{meta.name}."{meta.name}"'] * (meta.name in manifest.bases))
                union = " UNION ALL ".join(f"SELECT * FROM {part}" for part in parts)  # noqa: S608
                self._con.execute(f'CREATE VIEW "{meta.name}" AS {union}')
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

    def query(
        self, sql: str, parameters: Sequence[Any] = (), seconds: float = STATEMENT_SECONDS
    ) -> list[tuple[Any, ...]]:
        """The rows of one statement. Raises QueryLimitError (too long, too much memory) and ServingFileError (file damaged)."""
        with self._lock:
            cursor = self._con.cursor()
        try:
            with self._watchdog.limit(cursor, seconds):
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

    def newest_minute(self, table: Table, known_at: datetime | None = None) -> datetime | None:
        """Start of the newest minute that `table` has, or had at `known_at` (UTC without zone); None where it is empty.

        That of now is asked once per generation.
        """
        newest = f'SELECT max(minute) FROM "{table.name}"'  # noqa: S608
        if known_at is not None:
            found: datetime | None = self.query(f"{newest} WHERE known_at <= ?", [known_at])[0][0]
            return found
        if table.name not in self._newest:
            self._newest[table.name] = self.query(newest)[0][0]
        return self._newest[table.name]


def _open(folder: Path, manifest: Manifest, memory_gb: float) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "memory_limit": f"{int(memory_gb * _GIB)}B",
        "threads": "2",
        "temp_directory": "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    con = duckdb.connect(":memory:", config=config)
    for alias, name in [("live", manifest.live), *((f"base_{table}", name) for table, name in manifest.bases.items())]:
        path = str(folder / name).replace("'", "''")
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

    def _follow(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.look()
            self._watchdog.look()
