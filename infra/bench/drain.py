"""A backlog from Kafka to bronze, silver, quarantine, duplicates and live gold, beside a script without any guarantee."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
from deltalake import write_deltalake
from kafka import KafkaConsumer

from infra.bench.base import FAULTS, Result, throwaway, up, wait_for_lag
from ingestion import options as traffic
from ingestion.run import run
from lakehouse.contracts import CONTRACTS
from lakehouse.kafka import KafkaOffsets
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING

_HOURS = 24  # the shop's whole day, 2.8 million records: a cold virtual machine costs what it costs after an outage


def drain(_seconds: int) -> Result:
    """A backlog from Kafka to bronze, silver, quarantine, duplicates and live gold, against a script without any guarantee."""
    with throwaway():
        settings = up("kafka", "minio")
        start = int((datetime.now(UTC) - timedelta(days=3)).timestamp() * 1000)
        report = run(
            settings,
            traffic.history(timedelta(hours=_HOURS).total_seconds(), start, scale=1.0, shares=FAULTS, catalogue=False),
        )
        records = sum(report.acknowledged.values())
        peer = records / _plain_script(settings)
        up("streaming")
        wait_for_lag(settings, 0)
        ledger = open_table(settings, LEDGER_STREAMING).to_pyarrow_table().sort_by("batch_id").to_pylist()
    took = (ledger[-1]["committed_at"] - ledger[0]["started_at"]).total_seconds()
    batches = [
        {"records": row["record_count"], "seconds": round((row["committed_at"] - row["started_at"]).total_seconds(), 2)}
        for row in ledger
    ]
    warm = [one for one in batches[1:] if one["records"]]
    details = {
        "records": records,
        "seconds_with_warm_up": round(took, 2),
        "events_per_second_without_first_batch": round(
            sum(b["records"] for b in warm) / (sum(b["seconds"] for b in warm) or 1)
        ),
        "batches": batches,
        "peer_is": "consume, orjson, Arrow, delta-rs append to three local tables: no validation, no duplicates, not exactly once",
    }
    return Result("drain", "events/s", round(records / took), round(peer), round(records / took / peer, 2), details)


def _plain_script(settings: Settings) -> float:
    """Seconds that the plain script takes for what Kafka holds now."""
    offsets = KafkaOffsets(settings)
    left = sum(offsets.ends(offsets.partitions(CONTRACTS)).values())
    offsets.close()
    consumer = KafkaConsumer(
        *CONTRACTS,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
        max_poll_records=20_000,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        while left > 0:
            rows: dict[str, list[dict[str, Any]]] = {}
            for records in consumer.poll(timeout_ms=1000, max_records=20_000).values():
                left -= len(records)
                for record in records:
                    try:
                        body = orjson.loads(record.value or b"")
                        rows.setdefault(record.topic, []).append(
                            {"id": str(body["event_id"]), "user": str(body.get("user_id")), "body": record.value}
                        )
                    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                        continue
            for topic, parsed in rows.items():
                write_deltalake(f"{folder}/{topic}", pa.Table.from_pylist(parsed), mode="append")
    consumer.close()
    return time.monotonic() - began
