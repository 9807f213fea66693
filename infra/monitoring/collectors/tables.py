"""Delta tables by their logs: version, files, size, and when they last changed. No row is read."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import TABLES, Table

_SMALL_BYTES = 2**20
# Commits of maintenance and upgrades: the rows are those of before.
_NO_NEW_ROWS = {"OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMN"}


class Tables:
    """A few tables in each round, so that no round is long; a table that has not changed costs one look at its log."""

    name = "tables"
    every = 1
    _AT_ONCE = 6

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: dict[str, DeltaTable] = {}
        self._seen: dict[str, list[Sample]] = {}
        self._next = 0

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002 one signature for all collectors
        for _ in range(min(self._AT_ONCE, len(TABLES))):
            table = TABLES[self._next]
            self._next = (self._next + 1) % len(TABLES)
            self._look(table)
        return [sample for samples in self._seen.values() for sample in samples]

    def _look(self, table: Table) -> None:
        known = self._opened.get(table.path)
        try:
            opened = known or open_table(self._settings, table)
        except TableNotFoundError:
            return
        before = opened.version()
        if known is not None:
            known.update_incremental()
        self._opened[table.path] = opened
        if known is None or opened.version() != before:
            self._seen[table.path] = _measure(table, opened)


def _measure(table: Table, opened: DeltaTable) -> list[Sample]:
    files = pa.table(opened.get_add_actions(flatten=True))
    sizes = files["size_bytes"] if files.num_rows else pa.chunked_array([], pa.int64())
    small = pc.sum(pc.less(sizes, _SMALL_BYTES)).as_py() or 0
    return [
        Sample(names.TABLE_VERSION, opened.version(), (table.path,)),
        Sample(names.TABLE_FILES, len(sizes), (table.path,)),
        Sample(names.TABLE_SMALL_FILES, small, (table.path,)),
        Sample(names.TABLE_BYTES, pc.sum(sizes).as_py() or 0, (table.path,)),
        Sample(names.TABLE_COMMITTED, _written_at(opened), (table.path, table.owner)),
    ]


def _written_at(opened: DeltaTable) -> float:
    """When rows were last written, in seconds since 1970: a table that is only tidied each night is as old as its rows."""
    for most in (1, 20, None):
        commits = opened.history(most)
        written = [one for one in commits if str(one.get("operation", "")).upper() not in _NO_NEW_ROWS]
        if written:
            break
    return float((written or commits)[0]["timestamp"]) / 1000
