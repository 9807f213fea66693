"""Tables as they were: the version that held at a moment, and statements over versions that the serving files no longer have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake.exceptions import DeltaError, TableNotFoundError

from api.errors import CursorGoneError, NotFoundError, QueryLimitError, SourceError
from api.served import HOW, VERSION_COLUMN
from api.serving import STATEMENT_SECONDS, Watchdog
from api.source import GoldTable, first_line
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.travel import Log, NoSuchVersionError, VersionGoneError

_MEMORY = "256MB"
_READERS = threading.BoundedSemaphore(4)
_TURN_SECONDS = 1.0
Where = Callable[[pads.Dataset], pc.Expression | None]


def version_at(settings: Settings, table: Table, at: datetime) -> tuple[int, datetime]:
    """The version of `table` at `at`, and when it was committed (both times UTC without zone).

    Raises NotFoundError before its first, CursorGoneError where it is deleted, SourceError where its log cannot be read.
    """
    try:
        with lake_reading(table):
            log = Log(settings, table)
            version = log.version_at(at.replace(tzinfo=UTC))
            if not log.is_readable(version):
                raise CursorGoneError(
                    f"Version {version} of {table.path} can no longer be read, since maintenance deleted files of it: "
                    f"the oldest is version {log.oldest_readable()}."
                )
            committed_at = log.committed_at(version)
    except NoSuchVersionError as error:
        raise NotFoundError(str(error)) from None
    except VersionGoneError as error:
        raise CursorGoneError(str(error)) from None
    return version, committed_at.replace(tzinfo=None) if committed_at else at


def query(
    settings: Settings,
    watchdog: Watchdog,
    table: Table,
    version: int,
    where: Where,
    sql: str,
    parameters: Sequence[Any],
) -> list[tuple[Any, ...]]:
    """The rows of `sql` over the rows of `table` at `version`, which it calls `past`; `where` says which of them to read at all.

    Raises NotFoundError where there is no such table, SourceError where it cannot be read, QueryLimitError.
    """
    with lake_reading(table):
        snapshot = GoldTable(settings, HOW[table.name].table).snapshot(where, version)
        if snapshot is None:
            raise NotFoundError(f"There is no {table.path} any more.")
        with duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "threads": "1", "temp_directory": ""}) as con:
            con.register("lake", snapshot.batches)
            con.execute(f"CREATE TEMP VIEW past AS {_counting(table)}")
            try:
                with watchdog.limit(con, STATEMENT_SECONDS):
                    return con.execute(sql, list(parameters)).fetchall()
            except duckdb.InterruptException:
                raise QueryLimitError(
                    f"Reading the table as it was took longer than {STATEMENT_SECONDS:g} seconds: name a day or a country."
                ) from None
            except duckdb.OutOfMemoryException:
                raise QueryLimitError(
                    "Reading the table as it was needs more memory than allowed: ask for fewer rows."
                ) from None
            except duckdb.Error as error:  # what failed while the rows came in
                raise SourceError(f"{table.path} cannot be read as it was ({first_line(error)}).") from None


@contextmanager
def lake_reading(table: Table) -> Iterator[None]:
    """Few requests at a time read the lake: while the store is away each waits long, and the others must not wait for them.

    Raises SourceError where the store is away or enough requests read it already.
    """
    if not _READERS.acquire(timeout=_TURN_SECONDS):
        raise SourceError("Enough requests read the lake already: ask again in some seconds.")
    try:
        yield
    except TableNotFoundError:
        raise
    except (OSError, DeltaError) as error:
        raise SourceError(f"{table.path} cannot be read ({first_line(error)}).") from None
    finally:
        _READERS.release()


def _counting(table: Table) -> str:
    if table.reading != "snapshots":
        return "SELECT * FROM lake"
    key = ", ".join(f'"{name}"' for name in table.key)
    newest = f"row_number() OVER (PARTITION BY {key} ORDER BY batch_id DESC, {VERSION_COLUMN} DESC) = 1"
    return f"SELECT * FROM (SELECT * FROM lake QUALIFY {newest}) WHERE NOT is_retracted"  # noqa: S608
