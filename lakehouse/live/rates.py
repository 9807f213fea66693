"""Ingestion rates: what became of the records of each second, and how far the stream is behind Kafka. Table `gold/ingestion_rates`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contracts import CONTRACTS
from lakehouse.live.base import Batch, Lake, Output
from lakehouse.tables import BY_PATH, DUPLICATES, INGESTION_RATES, QUARANTINE, TIME, Table

_KEY = ("second", "topic", "reasons")
_COUNTS = ("record_count", "accepted_count", "quarantined_count", "duplicate_count", "late_count")
_SILVER = tuple(BY_PATH[f"silver/{topic}"] for topic in CONTRACTS)


class RatesView:
    """Partial sums by second of Kafka time. Each record counts once: in one row, under one outcome. There is no state."""

    tables: tuple[Table, ...] = (INGESTION_RATES,)

    def load(self, lake: Lake) -> None:
        """Nothing to load: a batch's sums need no other batch."""

    def apply(self, batch: Batch) -> Output:
        parts = [_part(batch.of(table), "accepted_count") for table in _SILVER]
        parts += [_part(batch.of(QUARANTINE), "quarantined_count"), _part(batch.of(DUPLICATES), "duplicate_count")]
        records = pa.concat_tables(parts)
        if not len(records):
            return Output()
        sums = records.group_by(list(_KEY), use_threads=False).aggregate([(name, "sum") for name in _COUNTS])
        sums = sums.rename_columns([name.removesuffix("_sum") for name in sums.column_names])
        sums = sums.append_column("batch_id", pa.array(np.full(len(sums), batch.batch_id)))
        sums = sums.append_column("known_at", pa.repeat(pa.scalar(batch.started_at, TIME), len(sums)))
        schema = INGESTION_RATES.schema
        rows = sums.select(schema.names).sort_by([(name, "ascending") for name in _KEY])
        return Output({INGESTION_RATES.path: rows.cast(schema)})


def _part(rows: pa.Table, outcome: str) -> pa.Table:
    """One row per record with its key and its counts, 0 or 1 each."""
    none = pa.array(np.zeros(len(rows), np.int64))
    one = pa.array(np.ones(len(rows), np.int64))
    counts = dict.fromkeys(_COUNTS, none) | {"record_count": one, outcome: one}
    if "is_late" in rows.column_names:
        counts["late_count"] = rows["is_late"].cast(pa.int64())
    reasons: pa.Array = pa.repeat("", len(rows))
    if "reason_codes" in rows.column_names:
        reasons = pc.binary_join(rows["reason_codes"].cast(pa.list_(pa.string())), " ")
    second = pc.floor_temporal(rows["kafka_at"], unit="second")
    return pa.table({"second": second, "topic": rows["topic"], "reasons": reasons, **counts})


@dataclass(frozen=True)
class Lag:
    """How far behind Kafka a batch leaves the stream, per topic. For `lag_records` and `lag_seconds` of the ledger.

    `records`: records that Kafka has and the lake, with this batch, has not. `seconds`: age of the newest record that the
    batch took, when the batch began; 0 where there was nothing to take; absent where only other topics' records were taken.
    """

    records: dict[str, int]
    seconds: dict[str, float]


def consumer_lag(
    records: pa.Table, started_at: datetime, next_offsets: Mapping[str, int], ends: Mapping[str, int]
) -> Lag:
    """The lag after a batch. `records` has `topic` and `kafka_at` of what was taken; `next_offsets` (after the batch) and
    `ends` (Kafka's next offsets, asked when the batch began or later) are per `topic/partition`.
    """
    behind: dict[str, int] = {}
    for name, end in ends.items():
        topic = name.rpartition("/")[0]
        behind[topic] = behind.get(topic, 0) + max(0, end - next_offsets.get(name, 0))
    seconds = {topic: 0.0 for topic, count in behind.items() if not count}
    newest = records.group_by("topic", use_threads=False).aggregate([("kafka_at", "max")])
    for topic, at in zip(newest["topic"].to_pylist(), newest["kafka_at_max"].to_pylist(), strict=True):
        seconds[topic] = max(0.0, (started_at - at).total_seconds())
    return Lag(behind, seconds)
