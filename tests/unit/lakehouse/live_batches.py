"""Batches for tests of live views: silver rows with the columns that matter, and a lake in memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from lakehouse.catalogue import Catalogue
from lakehouse.live.base import Batch, newest
from lakehouse.tables import BY_PATH

DAY = datetime(2026, 3, 14, tzinfo=UTC)


def at(hour: float, day: int = 14) -> datetime:
    return DAY.replace(day=day) + timedelta(hours=hour)


def rows(table: Any, records: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows of `table`; what a record does not say is null."""
    records = list(records)
    fields = [field.with_nullable(True) for field in table.schema]
    return pa.table(
        [pa.array([record.get(f.name) for record in records], f.type) for f in fields], schema=pa.schema(fields)
    )


def batch(
    batch_id: int,
    tables: dict[str, Any],
    started_at: datetime = DAY,
    watermark: datetime | None = None,
    catalogue: Catalogue | None = None,
) -> Batch:
    """`tables` has records, or an Arrow table, by table path."""
    given = {path: r if isinstance(r, pa.Table) else rows(BY_PATH[path], r) for path, r in tables.items()}
    return Batch(batch_id, started_at, given, watermark, catalogue or Catalogue())


class MemoryLake:
    """What views have written, as they read it back after a restart."""

    def __init__(self) -> None:
        self.written: dict[str, list[pa.Table]] = {}

    def write(self, output: Any) -> None:
        for path, table in output.rows.items():
            self.written.setdefault(path, []).append(table)

    def read(self, table: Any, columns: list[str]) -> pa.Table:
        return pa.concat_tables([table.schema.empty_table(), *self.written.get(table.path, [])]).select(columns)

    def current(self, table: Any) -> pa.Table:
        return newest(self.read(table, table.schema.names), table)
