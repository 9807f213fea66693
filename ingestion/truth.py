"""The truth ledger of a run: what was sent and where each record must end. Files outside the lake, read by tests alone.

`run.json` describes the run, `records-*.parquet` hold one row per record: the struck ones and those that they refer to, or all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.labels import Label

SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), False),
        pa.field("partition", pa.int32(), False),
        pa.field("offset", pa.int64()),  # null: the broker never acknowledged the record
        pa.field("key", pa.string()),
        pa.field("value", pa.binary()),
        pa.field("event_id", pa.string()),
        pa.field("fault", pa.string()),  # null: as it should be
        pa.field("expected", pa.string(), False),
        pa.field("reason_codes", pa.list_(pa.string()), False),
        pa.field("of_event_id", pa.string()),
    ]
)
_ROWS_PER_PART = 50_000
_BYTES_PER_PART = 64 * 1024 * 1024


class TruthLedger:
    """Writes the ledger of one run below `folder`, which must not exist yet. Not safe for several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._rows: list[tuple[Any, ...]] = []
        self._bytes = 0
        self._parts = 0

    def add(
        self, topic: str, partition: int, offset: int | None, key: bytes, value: bytes | None, label: Label
    ) -> None:
        self._rows.append(
            (
                topic,
                partition,
                offset,
                key.decode(),
                value,
                label.event_id,
                label.fault,
                label.expected,
                list(label.codes),
                label.of_event_id,
            )
        )
        self._bytes += len(value or b"")
        if len(self._rows) >= _ROWS_PER_PART or self._bytes >= _BYTES_PER_PART:
            self.flush()

    def flush(self) -> None:
        """Write what was added; a part appears under its name only when it is whole."""
        if not self._rows:
            return
        columns = [list(column) for column in zip(*self._rows, strict=True)]
        table = pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
        path = self.folder / f"records-{self._parts:05d}.parquet"
        partial = path.with_suffix(".partial")
        pq.write_table(table, partial, compression="zstd")
        partial.replace(path)
        self._rows, self._bytes, self._parts = [], 0, self._parts + 1

    def describe(self, run: dict[str, Any]) -> None:
        """Write `run.json`, whole or not at all."""
        path = self.folder / "run.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(run, indent=2) + "\n")
        partial.replace(path)


def read_run(folder: Path) -> dict[str, Any]:
    """`run.json` of a run's folder."""
    run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return run


def read_records(folder: Path) -> pa.Table:
    """All rows of a run's ledger, columns as SCHEMA."""
    parts = [pq.read_table(path, schema=SCHEMA) for path in sorted(folder.glob("records-*.parquet"))]
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()
