"""The control topic `markers` as the streaming service sees it: marks come with the batch, and an idle service adds its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from kafka import KafkaProducer
from kafka.errors import KafkaError as ClientKafkaError

from lakehouse.errors import KafkaError
from lakehouse.findings import DETECTIONS, Finding
from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings
from lakehouse.transforms.watermarks import Mark, read_mark

MARKERS = "markers"


def split_marks(records: pa.Table) -> tuple[pa.Table, list[Mark]]:
    """The records of the input topics, and the marks among the others."""
    is_mark = pc.equal(records["topic"], MARKERS)
    if not pc.any(is_mark).as_py():
        return records, []
    marks = records.filter(is_mark).select(["value", "kafka_at"]).to_pylist()
    found = [read_mark(row["value"], row["kafka_at"]) for row in marks]
    return records.filter(pc.invert(is_mark)), [mark for mark in found if mark is not None]


def closing_span(settings: Settings) -> timedelta:
    """How far behind the last event the watermark must be for all sessions and carts to be closed."""
    return timedelta(minutes=max(settings.session_gap_minutes, settings.cart_abandon_minutes) + 1)


class IdleWatch:
    """When an idle mark is due: nothing has come for a while, and something may still be open."""

    def __init__(self, settings: Settings) -> None:
        self._quiet = timedelta(seconds=settings.stream_idle_seconds)
        self._enough = closing_span(settings) + timedelta(minutes=settings.watermark_delay_minutes)
        self._last_data_at: datetime | None = None

    def is_due(self, last: LedgerEntry | None, lag: int | None, now: datetime) -> bool:
        """`last` is the newest ledger entry, `lag` the records that wait in Kafka."""
        if last is None or lag != 0:
            return False
        if self._last_data_at is None or last.counts.get("record_count"):
            self._last_data_at = last.committed_at
        return now - last.committed_at > self._quiet and last.committed_at < self._last_data_at + self._enough


class Outbox:
    """What a service itself says to Kafka: findings, at least once, and idle marks."""

    def __init__(self, settings: Settings, client_id: str = "globalmart-streaming") -> None:
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
                client_id=client_id,
                acks="all",
                linger_ms=0,
                request_timeout_ms=10_000,
                delivery_timeout_ms=20_000,
                bootstrap_timeout_ms=10_000,
                max_block_ms=10_000,
                metrics_enabled=False,
            )
        except ClientKafkaError as error:
            raise KafkaError(f"No Kafka broker answers at {settings.kafka_bootstrap_servers}.") from error

    def tell(self, findings: list[Finding]) -> None:
        """Send findings to `detections` and wait until Kafka has them. Raises KafkaError."""
        self._send([(DETECTIONS, finding.finding_id.encode(), finding.to_json()) for finding in findings])

    def mark_idle(self, next_offsets: Mapping[str, int], at: datetime) -> None:
        """Say that nothing has come since `next_offsets`; `at` is for people, the broker's time is what counts."""
        body = {"kind": "idle", "said_at": at.isoformat(), "next_offsets": dict(sorted(next_offsets.items()))}
        self._send([(MARKERS, b"idle", orjson.dumps(body))])

    def close(self) -> None:
        self._producer.close(timeout=5)

    def _send(self, messages: list[tuple[str, bytes, bytes]]) -> None:
        try:
            futures = [self._producer.send(topic, key=key, value=value) for topic, key, value in messages]
            for future in futures:
                future.get(timeout=30)
        except ClientKafkaError as error:
            raise KafkaError(f"Kafka did not take what the stream has to say ({type(error).__name__}).") from error
