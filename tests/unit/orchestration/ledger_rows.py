"""A stream that has come to some time, as its ledger says it, on a lake of local files. Helper of the tests beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
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
        write_deltalake(delta_uri(settings, LEDGER_STREAMING), one.to_rows(), mode="append")


def append(settings: Settings, table: Table, rows: list[dict[str, Any]]) -> None:
    write_deltalake(delta_uri(settings, table), pa.Table.from_pylist(rows, schema=table.schema), mode="append")
