"""The streaming ledger, `ops/ledger_streaming`: one entry per micro-batch that every sink has committed. Its last entry is the cut."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse.tables import LEDGER_STREAMING
from lakehouse.transforms.watermarks import Mark, read_mark

NO_BATCH = -1
"""`spark_batch_id` of ledger entries that a rebuild writes: they stand for no micro-batch."""


@dataclass(frozen=True)
class LedgerEntry:
    """What is true once the batch is in. Maps are keyed `topic/partition`, `topic` and table path."""

    generation: int
    batch_id: int
    spark_batch_id: int
    started_at: datetime
    committed_at: datetime
    next_offsets: dict[str, int]
    watermarks: dict[str, datetime]
    table_versions: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)
    waiting_marks: tuple[Mark, ...] = ()
    lag_records: dict[str, int] = field(default_factory=dict)
    lag_seconds: dict[str, float] = field(default_factory=dict)

    def to_rows(self) -> pa.Table:
        """One row of `ops/ledger_streaming`."""
        row = asdict(self)
        row |= row.pop("counts")
        row["waiting_marks"] = [mark.to_json() for mark in self.waiting_marks]
        row |= {name: sorted(row[name].items()) for name in _MAPS}
        return pa.Table.from_pylist([row], schema=LEDGER_STREAMING.schema)


_MAPS = ("next_offsets", "watermarks", "table_versions", "lag_records", "lag_seconds")
_COUNTS = tuple(c.name for c in LEDGER_STREAMING.columns if c.name.endswith("_count"))


def last_entry(table: DeltaTable) -> LedgerEntry | None:
    """The entry with the highest batch; None in an empty ledger."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return None
    newest = max(actions["max.batch_id"].to_pylist())
    rows = table.to_pyarrow_dataset().to_table(filter=pc.field("batch_id") == newest, use_threads=False)
    return _entry(rows.slice(0, 1).to_pylist()[0])


def read_entries(table: DeltaTable) -> list[LedgerEntry]:
    """All entries, by batch."""
    rows = table.to_pyarrow_dataset().to_table(use_threads=False).sort_by("batch_id")
    return [_entry(row) for row in rows.to_pylist()]


def rebuilt_since(table: DeltaTable, batch_id: int) -> bool:
    """Whether a rebuild has replaced tables' content after the micro-batch `batch_id`."""
    swaps = (pc.field("batch_id") > batch_id) & (pc.field("spark_batch_id") == NO_BATCH)
    return bool(table.to_pyarrow_dataset().count_rows(filter=swaps, use_threads=False))


def _entry(row: dict[str, Any]) -> LedgerEntry:
    fields: dict[str, Any] = {
        name: row[name] for name in ("generation", "batch_id", "spark_batch_id", "started_at", "committed_at")
    }
    fields |= {name: dict(row[name] or ()) for name in _MAPS}
    marks = (read_mark(mark) for mark in row["waiting_marks"] or ())
    return LedgerEntry(
        **fields,
        counts={name: row[name] for name in _COUNTS},
        waiting_marks=tuple(mark for mark in marks if mark is not None),
    )
