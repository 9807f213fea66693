"""A stream that has come to some time, as its ledger says it, and rows of its tables. Helper of the tests of batch runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri
from lakehouse.tables import LEDGER_STREAMING, Table
from lakehouse.transforms.watermarks import SESSION_TOPICS

BEGAN = datetime(2026, 3, 14, tzinfo=UTC)


def entry(
    batch_id: int, watermark: str | None, versions: dict[str, int] | None = None, waiting: int = 0
) -> LedgerEntry:
    """The ledger's entry of a batch after which all topics' watermarks are at `watermark`."""
    marks = dict.fromkeys(SESSION_TOPICS, datetime.fromisoformat(watermark)) if watermark else {}
    made = LedgerEntry(1, batch_id, batch_id, BEGAN, BEGAN, {}, marks, versions or {})
    counts = {name: 0 for name in LEDGER_STREAMING.schema.names if name.endswith("_count")}
    return replace(made, counts=counts, lag_records={"transactions": waiting})


def commit(settings: Settings, *entries: LedgerEntry) -> None:
    for one in entries:
        append(settings, LEDGER_STREAMING, one.to_rows())


def append(settings: Settings, table: Table, rows: list[dict[str, Any]] | pa.Table) -> None:
    """Rows as they are; a table that is not there is made, without rows as well."""
    data = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=table.schema)
    write_deltalake(delta_uri(settings, table), data, mode="append", storage_options=delta_options(settings))
