"""A live table against its rebuilt twin: rows, content whatever its order, money to the cent, and the first keys that differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.books.reading import read_up_to
from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import MONEY, Table

_FIRST_KEYS = 5


@dataclass(frozen=True)
class Content:
    """What a table holds once read: rows, a hash of them whatever their order, and the sums of its money columns in USD."""

    row_count: int
    content_hash: str
    money: dict[str, Decimal]


@dataclass(frozen=True)
class Comparison:
    """`live` is None where the live table cannot be read; `damage` says why. `first_keys` are those of rows that differ."""

    table: str
    live: Content | None
    rebuilt: Content
    damage: str = ""
    first_keys: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return self.live == self.rebuilt


def compare(settings: Settings, rebuilt: Settings, table: Table, cut: LedgerEntry | None, scratch: Path) -> Comparison:
    """Compare `table` in two lakes. `cut` restricts the live one to what this entry and those before it made; None: all counts.

    `scratch` is a folder for what does not fit into memory.
    """
    twin = _content(rebuilt, table, None, scratch)
    try:
        live = _content(settings, table, cut, scratch)
        keys = [] if live == twin else _first_keys(settings, rebuilt, table, cut, scratch)
    except (OSError, DeltaError, TableNotFoundError, pa.ArrowInvalid, duckdb.Error) as error:
        return Comparison(table.path, None, twin, _damage(settings, table, error))
    return Comparison(table.path, live, twin, first_keys=keys)


def content_sql(table: Table, source: str) -> str:
    """A query for the rows of `source` as a reader of `table` sees them: sums added up, of snapshots the newest."""
    columns = ", ".join(_quoted(table.schema.names))
    if table.reading == "sums":
        key = ", ".join(_quoted(table.key))
        added = ", ".join(
            f'{"sum" if _is_number(item.type) else "max"}("{item.name}") AS "{item.name}"'
            for item in table.schema
            if item.name not in table.key
        )
        return f"SELECT {key}, {added} FROM {source} GROUP BY {key}"  # noqa: S608 names come from the code
    if table.reading == "snapshots":
        key = ", ".join(_quoted(table.key))
        newest = (
            f"SELECT {columns} FROM {source} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY batch_id DESC) = 1"  # noqa: S608
        )
        return f"SELECT * FROM ({newest}) WHERE NOT is_retracted" if "is_retracted" in table.schema.names else newest  # noqa: S608
    return f"SELECT {columns} FROM {source}"  # noqa: S608


def content_of(table: Table, rows: pa.RecordBatchReader | pa.Table, connection: duckdb.DuckDBPyConnection) -> Content:
    """Rows of `table`, as written, summed up."""
    connection.register("source", rows)
    money = [item.name for item in table.schema if item.type == MONEY]
    sums = "".join(f', sum("{name}")' for name in money)
    query = (
        f"SELECT count(*), coalesce(sum(hash(body)::HUGEINT), 0){sums} FROM ({content_sql(table, 'source')}) AS body"  # noqa: S608
    )
    count, total, *amounts = connection.execute(query).fetchone() or (0, 0)
    connection.unregister("source")
    named = {name: amount or Decimal("0.00") for name, amount in zip(money, amounts, strict=True)}
    return Content(int(count), f"{int(total) % 2**64:016x}", named)


def _content(settings: Settings, table: Table, cut: LedgerEntry | None, scratch: Path) -> Content:
    with connect(settings, scratch) as connection:
        return content_of(table, _reader(settings, table, cut), connection)


def _first_keys(
    settings: Settings, rebuilt: Settings, table: Table, cut: LedgerEntry | None, scratch: Path
) -> list[dict[str, Any]]:
    key = ", ".join(_quoted(table.key))
    sides = [("live", settings, cut, 1), ("rebuilt", rebuilt, None, -1)]
    with connect(settings, scratch) as connection:
        for name, side, side_cut, _ in sides:
            connection.register(name, _reader(side, table, side_cut))
        both = " UNION ALL ".join(
            f"SELECT {key}, hash(body) AS h, {sign} AS side FROM ({content_sql(table, name)}) AS body"  # noqa: S608
            for name, _, _, sign in sides
        )
        rows = connection.execute(
            f"SELECT {key}, sum(side) > 0 AS in_live FROM ({both}) GROUP BY {key}, h HAVING sum(side) <> 0 "  # noqa: S608
            f"ORDER BY {key} LIMIT {_FIRST_KEYS}"
        )
        found: list[dict[str, Any]] = rows.to_arrow_table().to_pylist()
        return found


def connect(settings: Settings, scratch: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, spilling to `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    limits = {"memory_limit": f"{settings.duckdb_memory_gb}GB", "temp_directory": str(scratch)}
    return duckdb.connect(config={**limits, "threads": 2, "preserve_insertion_order": "false"})


def _reader(settings: Settings, table: Table, cut: LedgerEntry | None) -> pa.RecordBatchReader:
    """Of snapshots the version that `cut` names: its owner's compaction may have removed them since for newer ones."""
    version = cut.table_versions.get(table.path) if cut and table.reading == "snapshots" else None
    up_to = None if cut is None else pc.field("batch_id") <= cut.batch_id
    dataset = open_table(settings, table, version).to_pyarrow_dataset()
    return dataset.scanner(columns=table.schema.names, filter=up_to, use_threads=False).to_reader()


def _damage(settings: Settings, table: Table, error: Exception) -> str:
    lost = read_up_to(settings, table, 2**62, ["batch_id"], with_position=False).lost_files
    return "; ".join(f"{name} cannot be read" for name in lost) or str(error).splitlines()[0]


def _quoted(names: Any) -> list[str]:
    return [f'"{name}"' for name in names]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind))
