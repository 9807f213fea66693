"""Delta tables by their logs: version, files, size, and when they last changed. No row is read."""

from __future__ import annotations

from datetime import UTC, datetime

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
    commit = opened.history(1)[0]  # more than one where a commit came meanwhile
    small = pc.sum(pc.less(sizes, _SMALL_BYTES)).as_py() or 0
    committed = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).timestamp()
    return [
        Sample(names.TABLE_VERSION, opened.version(), (table.path,)),
        Sample(names.TABLE_FILES, len(sizes), (table.path,)),
        Sample(names.TABLE_SMALL_FILES, small, (table.path,)),
        Sample(names.TABLE_BYTES, pc.sum(sizes).as_py() or 0, (table.path,)),
        Sample(names.TABLE_COMMITTED, committed, (table.path, table.owner)),
    ]
