"""Builds the DuckDB files of the serving folder: base files, live files, what they say of themselves, and their removal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from api.errors import ServingFileError
from api.manifest import META_COLUMNS, META_TABLE, Manifest, TableMeta
from api.served import HOW, SERVED, SUPERSEDED_COLUMN, VERSION_COLUMN, serving_schema
from lakehouse.tables import Table

# Files of older sets stay for readers that have read the pointer but not opened its files yet.
_KEPT_SETS = 5
Rows: TypeAlias = pa.Table | pa.RecordBatchReader


@dataclass(frozen=True)
class Kept:
    """What a new base file takes over of the base file `name`.

    Rows of the days `without` and rows older than `since` (day or moment of the served column) stay behind, and so do
    snapshots that were superseded at the version `seen` or before.
    """

    name: str | None = None
    without: frozenset[date] = frozenset()
    since: date | datetime | None = None
    seen: int = 0


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


def create_table(con: duckdb.DuckDBPyConnection, table: Table, kind: str = "TABLE") -> None:
    con.register("shape", serving_schema(table).empty_table())
    con.execute(f'CREATE {kind} "{table.name}" AS SELECT * FROM shape')  # noqa: S608 - names from lakehouse.tables
    con.unregister("shape")


def insert(con: duckdb.DuckDBPyConnection, table: Table, rows: Rows, order: str = "") -> None:
    con.register("incoming", rows)
    con.execute(f'INSERT INTO "{table.name}" SELECT * FROM incoming{order}')  # noqa: S608 - names from lakehouse.tables
    con.unregister("incoming")


def write_base(
    folder: Path, name: str, table: Table, rows: Iterable[Rows], memory_gb: float, kept: Kept | None = None
) -> None:
    """Write the base file `name`: what is `kept` of another one, and each of `rows`, so that a range of keys lies in few blocks."""
    kept = kept or Kept()
    partial = _partial(folder, name)
    is_copy = kept.name is not None and HOW[table.name].column is None and table.reading != "snapshots"
    if is_copy:
        shutil.copyfile(folder / str(kept.name), partial)
    with open_for_build(partial, memory_gb) as con:
        if kept.name is not None and not is_copy:
            path = str(folder / kept.name).replace("'", "''")
            con.execute(f"ATTACH '{path}' AS old (READ_ONLY)")
        if table.reading == "snapshots":
            _settle_snapshots(con, table, rows, kept)
        else:
            if not is_copy:
                create_table(con, table)
            if kept.name is not None and not is_copy:
                where, parameters = _staying(table, kept)
                con.execute(f'INSERT INTO "{table.name}" SELECT * FROM old."{table.name}" WHERE {where}', parameters)  # noqa: S608
            for part in rows:
                insert(con, table, part, f" ORDER BY {_order(table)}")
    _finish(partial, folder / name)


def _settle_snapshots(con: duckdb.DuckDBPyConnection, table: Table, rows: Iterable[Rows], kept: Kept) -> None:
    """Say of each row which version superseded it, and leave out what no reader may ask for any more."""
    create_table(con, table, "TEMP TABLE")
    for part in rows:
        con.register("incoming", part)
        con.execute(f'INSERT INTO temp."{table.name}" SELECT * FROM incoming')  # noqa: S608
        con.unregister("incoming")
    old = f'SELECT * FROM old."{table.name}" UNION ALL ' if kept.name is not None else ""  # noqa: S608
    where, parameters = _staying(table, kept)
    main = con.execute("SELECT current_database()").fetchall()[0][0]
    con.execute(
        f"""CREATE TABLE "{main}"."{table.name}" AS
            SELECT * FROM ({superseding(table, f'{old}SELECT * FROM temp."{table.name}"')})
            WHERE ({SUPERSEDED_COLUMN} IS NULL OR {SUPERSEDED_COLUMN} > ?) AND {where} ORDER BY {_order(table)}""",  # noqa: S608
        [kept.seen, *parameters],
    )
    con.execute(f'DROP TABLE temp."{table.name}"')


def superseding(table: Table, rows: str) -> str:
    """SQL of snapshots `rows` with `superseded_version` filled in."""
    following = f"lead({VERSION_COLUMN}) OVER (PARTITION BY {_key(table)} ORDER BY batch_id, {VERSION_COLUMN})"
    return f"SELECT * REPLACE ({following} AS {SUPERSEDED_COLUMN}) FROM ({rows})"  # noqa: S608


def _staying(table: Table, kept: Kept) -> tuple[str, list[Any]]:
    column = HOW[table.name].column
    if column is None:
        return "true", []
    where, parameters = ["true"], []
    if kept.since is not None:
        where.append(f'"{column}" >= ?')
        parameters.append(kept.since)
    if kept.without:
        where.append(f'"{column}" NOT IN ({", ".join("?" * len(kept.without))})')
        parameters += sorted(kept.without)
    return " AND ".join(where), parameters


def _order(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in HOW[table.name].order or table.key)


def _key(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.key)


def write_live(
    folder: Path,
    name: str,
    tails: Mapping[str, pa.Table],
    bases: Collection[str],
    metas: Iterable[TableMeta],
    memory_gb: float,
) -> None:
    """Write the live file `name`: the rows that no base file has, and `serving_meta`. Tables with neither are left to `bases`."""
    partial = _partial(folder, name)
    with open_for_build(partial, memory_gb) as con:
        for table in SERVED:
            rows = tails.get(table.name)
            if rows is None or (not rows.num_rows and table.name in bases):
                continue
            if table.reading == "snapshots" and rows.num_rows:
                con.register("incoming", rows)
                con.execute(f'CREATE TABLE "{table.name}" AS {superseding(table, "SELECT * FROM incoming")}')  # noqa: S608
                con.unregister("incoming")
            else:
                create_table(con, table)
                insert(con, table, rows)
        columns = ", ".join(f'"{column}" {kind}' for column, kind in META_COLUMNS.items())
        con.execute(f"CREATE TABLE {META_TABLE} ({columns})")
        for meta in metas:
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
            there = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
            for name in {meta.name for meta in metas}:
                table = HOW[name].table
                tails[name] = serving_schema(table).empty_table()
                if name in there:
                    tails[name] = con.execute(f'SELECT * FROM "{name}"').to_arrow_table().cast(serving_schema(table))  # noqa: S608
    except (duckdb.Error, pa.ArrowException, TypeError, KeyError) as error:
        raise ServingFileError(f"{folder / manifest.live} is damaged ({str(error).splitlines()[0]}).") from None
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    if missing:
        raise ServingFileError(f"The serving folder {folder} lacks {', '.join(sorted(missing))}.")
    return tails, metas


def remove_unused(folder: Path, recent: list[Manifest], building: Collection[str] = ()) -> None:
    """Delete the files that none of the last few sets names, and that are not `building`.

    A reader that has one open keeps it until it closes it.
    """
    kept = set(building).union(*(manifest.files for manifest in recent[-_KEPT_SETS:]))
    for path in folder.iterdir():
        name = path.name.partition(".duckdb")[0] + ".duckdb"
        if path.is_file() and ".duckdb" in path.name and name not in kept:
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
