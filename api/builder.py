"""Builds the DuckDB files of the serving folder: base files, live files, what they say of themselves, and their removal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from api.errors import ServingFileError
from api.manifest import META_COLUMNS, META_TABLE, SERVED, Manifest, TableMeta, serving_schema
from lakehouse.tables import Table

# Files of older sets stay for readers that have read the pointer but not opened its files yet.
_KEPT_SETS = 5


def open_for_build(path: Path, memory_gb: float) -> duckdb.DuckDBPyConnection:
    """A connection that may write `path`, within `memory_gb`; what does not fit spills beside the file."""
    config: dict[str, Any] = {
        "memory_limit": f"{memory_gb}GB",
        "threads": "1",
        "temp_directory": str(path.parent / "spill"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    return duckdb.connect(str(path), config=config)


def create_table(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    con.register("shape", serving_schema(table).empty_table())
    con.execute(f'CREATE TABLE "{table.name}" AS SELECT * FROM shape')  # noqa: S608 - names from lakehouse.tables
    con.unregister("shape")


def insert(con: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table | pa.RecordBatchReader, ordered: bool) -> None:
    """Add `rows`, sorted by the table's key if `ordered`, so that a range of keys lies in few blocks."""
    con.register("incoming", rows)
    order = " ORDER BY " + ", ".join(f'"{name}"' for name in table.key) if ordered else ""
    con.execute(f'INSERT INTO "{table.name}" SELECT * FROM incoming{order}')  # noqa: S608 - names from lakehouse.tables
    con.unregister("incoming")


def write_base(
    folder: Path,
    name: str,
    table: Table,
    rows: Iterable[pa.Table | pa.RecordBatchReader],
    memory_gb: float,
    copy_of: str | None = None,
) -> None:
    """Write the base file `name`: the rows of the base file `copy_of`, if given, and then each of `rows`."""
    partial = _partial(folder, name)
    if copy_of:
        shutil.copyfile(folder / copy_of, partial)
    with open_for_build(partial, memory_gb) as con:
        if not copy_of:
            create_table(con, table)
        for part in rows:
            insert(con, table, part, ordered=True)
    _finish(partial, folder / name)


def write_live(
    folder: Path, name: str, tails: dict[str, pa.Table], metas: dict[str, TableMeta], memory_gb: float
) -> None:
    """Write the live file `name`: the rows that no base file has, and `serving_meta`."""
    partial = _partial(folder, name)
    with open_for_build(partial, memory_gb) as con:
        for table in SERVED:
            if (rows := tails.get(table.name)) is None:
                continue
            create_table(con, table)
            if rows.num_rows:
                insert(con, table, rows, ordered=False)
        columns = ", ".join(f'"{column}" {kind}' for column, kind in META_COLUMNS.items())
        con.execute(f"CREATE TABLE {META_TABLE} ({columns})")
        for meta in metas.values():
            con.execute(f"INSERT INTO {META_TABLE} VALUES ({', '.join('?' * len(META_COLUMNS))})", list(astuple(meta)))  # noqa: S608
    _finish(partial, folder / name)


def read_live(folder: Path, manifest: Manifest) -> tuple[dict[str, pa.Table], list[TableMeta]]:
    """The live rows and the metas of the current set, with which a refresher goes on where the last one ended.

    Raises ServingFileError for a file that is missing or damaged.
    """
    tails: dict[str, pa.Table] = {}
    try:
        with duckdb.connect(str(folder / manifest.live), read_only=True) as con:
            rows = con.execute(f"SELECT {', '.join(META_COLUMNS)} FROM {META_TABLE}").fetchall()  # noqa: S608
            metas = [TableMeta(*row) for row in rows]
            names = {meta.name for meta in metas}
            for table in SERVED:
                if table.name in names:
                    found = con.execute(f'SELECT * FROM "{table.name}"').to_arrow_table()  # noqa: S608
                    tails[table.name] = found.cast(serving_schema(table))
    except (duckdb.Error, pa.ArrowException, TypeError) as error:
        raise ServingFileError(f"{folder / manifest.live} is damaged ({str(error).splitlines()[0]}).") from None
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    if missing:
        raise ServingFileError(f"The serving folder {folder} lacks {', '.join(sorted(missing))}.")
    return tails, metas


def remove_unused(folder: Path, recent: list[Manifest]) -> None:
    """Delete the files that none of the last few sets names. A reader that has one open keeps it until it closes it."""
    kept = set().union(*(manifest.files for manifest in recent[-_KEPT_SETS:]))
    for path in folder.iterdir():
        if path.is_file() and path.name not in kept and (path.suffix == ".duckdb" or ".duckdb." in path.name):
            path.unlink(missing_ok=True)


def _partial(folder: Path, name: str) -> Path:
    partial = folder / f"{name}.partial"
    partial.unlink(missing_ok=True)
    Path(f"{partial}.wal").unlink(missing_ok=True)
    return partial


def _finish(partial: Path, path: Path) -> None:
    """Give a closed file its name once its bytes are on the disk: the pointer must never outlive what it points to."""
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
