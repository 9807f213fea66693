"""A lake on files as the streaming service leaves it: a few tables, and a ledger whose last entry names their versions."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings
from lakehouse.streams.sinks import Sinks
from lakehouse.tables import FINALITY, LEDGER_STREAMING, Table
from lakehouse.tables.base import TIME

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLES = (FINALITY, LEDGER_STREAMING)


def rows(table: Table, batch_id: int) -> pa.Table:
    """One row of `table`, of a batch; what has no other value is the smallest of its type."""
    made = {column.name: _value(column.type) for column in table.columns if not column.nullable}
    return pa.Table.from_pylist([made | {"batch_id": batch_id}], schema=table.schema)


def _value(kind: pa.DataType) -> object:
    if kind == TIME:
        return NOON
    return "" if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else 0


def take_batch(settings: Settings, batch_id: int) -> LedgerEntry:
    """A micro-batch, as the sinks write it; returns its entry."""
    sinks = Sinks(settings, TABLES)
    sinks.create_missing()
    sinks.append({FINALITY.path: rows(FINALITY, batch_id)}, batch_id)
    entry = LedgerEntry(
        generation=1,
        batch_id=batch_id,
        spark_batch_id=batch_id,
        started_at=NOON,
        committed_at=NOON,
        next_offsets={"transactions/0": 10 * (batch_id + 1)},
        watermarks={"transactions": NOON},
        table_versions={FINALITY.path: sinks.versions()[FINALITY.path]},
        counts={
            "record_count": 10, "accepted_count": 9, "quarantined_count": 1, "duplicate_count": 0, "warning_count": 0,
        },
    )  # fmt: skip
    sinks.append({LEDGER_STREAMING.path: entry.to_rows()}, batch_id)
    return entry
