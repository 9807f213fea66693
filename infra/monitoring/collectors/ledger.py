"""The streaming ledger: the newest micro-batch, what became of records, how far watermarks are behind."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING

_OUTCOMES = {
    "accepted": "accepted_count",
    "quarantined": "quarantined_count",
    "duplicate": "duplicate_count",
}
_COLUMNS = [
    "batch_id", "started_at", "committed_at", "next_offsets", "watermarks", "lag_seconds", "record_count",
    *_OUTCOMES.values(),
]  # fmt: skip


class Ledger:
    """Reads what is new since its last look. `newest` is the last entry as a row; None before the first micro-batch."""

    name = "ledger"
    every = 1

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table: DeltaTable | None = None
        self._counts: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
        self._unaccounted = 0
        self.newest: dict[str, Any] | None = None

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002 one signature for all collectors
        for row in self._news():
            if self.newest is not None:
                self._take(row)
            self.newest = row
        if self.newest is None:
            return []
        newest = self.newest
        lasted = newest["committed_at"] - newest["started_at"]
        return [
            Sample(names.LEDGER_BATCH, newest["batch_id"]),
            Sample(names.LEDGER_COMMITTED, newest["committed_at"].timestamp()),
            Sample(names.LEDGER_BATCH_SECONDS, lasted.total_seconds()),
            Sample(names.LEDGER_UNACCOUNTED, self._unaccounted),
            *(Sample(names.LEDGER_RECORDS, count, (outcome,)) for outcome, count in self._counts.items()),
            *(Sample(names.LEDGER_LAG_SECONDS, lag, (topic,)) for topic, lag in newest["lag_seconds"] or ()),
            *(
                Sample(names.WATERMARK_DELAY, (newest["started_at"] - watermark).total_seconds(), (topic,))
                for topic, watermark in newest["watermarks"]
            ),
        ]

    def _take(self, row: dict[str, Any]) -> None:
        counts = {outcome: row[column] for outcome, column in _OUTCOMES.items()}
        self._counts.update(counts)
        self._unaccounted += abs(row["record_count"] - sum(counts.values()))

    def _news(self) -> list[dict[str, Any]]:
        """Entries after `newest`, by batch; of a ledger that is seen for the first time the newest alone."""
        table = self._opened()
        if table is None:
            return []
        if self.newest is None:
            files = pa.table(table.get_add_actions(flatten=True))
            if not files.num_rows:
                return []
            after = max(files["max.batch_id"].to_pylist()) - 1
        else:
            after = self.newest["batch_id"]
        wanted = pc.field("batch_id") > after
        rows = table.to_pyarrow_dataset().to_table(columns=_COLUMNS, filter=wanted, use_threads=False)
        return list(rows.sort_by("batch_id").to_pylist())

    def _opened(self) -> DeltaTable | None:
        try:
            if self._table is None:
                self._table = open_table(self._settings, LEDGER_STREAMING)
            else:
                self._table.update_incremental()
        except TableNotFoundError:
            return None
        return self._table
