"""Tables as they were: the version that held at a moment, and statements over versions that the serving files no longer have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as pads

from api.errors import CursorGoneError, NotFoundError, QueryLimitError
from api.served import HOW, VERSION_COLUMN
from api.serving import STATEMENT_SECONDS, Watchdog
from api.source import GoldTable
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.travel import Log, NoSuchVersionError, VersionGoneError

_MEMORY = "256MB"
Where = Callable[[pads.Dataset], pc.Expression | None]


def version_at(settings: Settings, table: Table, at: datetime) -> int:
    """The version of `table` at `at` (UTC without zone). Raises NotFoundError before its first, CursorGoneError where it is deleted."""
    try:
        log = Log(settings, table)
        version = log.version_at(at.replace(tzinfo=UTC))
        if not log.is_readable(version):
            raise CursorGoneError(
                f"Version {version} of {table.path} can no longer be read, since maintenance deleted files of it: "
                f"the oldest is version {log.oldest_readable()}."
            )
    except NoSuchVersionError as error:
        raise NotFoundError(str(error)) from None
    except VersionGoneError as error:
        raise CursorGoneError(str(error)) from None
    return version


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


def _counting(table: Table) -> str:
    if table.reading != "snapshots":
        return "SELECT * FROM lake"
    key = ", ".join(f'"{name}"' for name in table.key)
    newest = f"row_number() OVER (PARTITION BY {key} ORDER BY batch_id DESC, {VERSION_COLUMN} DESC) = 1"
    return f"SELECT * FROM (SELECT * FROM lake QUALIFY {newest}) WHERE NOT is_retracted"  # noqa: S608
