"""Kafka's topics: how many records they got, and how many of them the lake does not have yet."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from infra.monitoring.collectors.ledger import Ledger
from ingestion.topics import INPUT_NAMES, TOPICS
from lakehouse.errors import KafkaError
from lakehouse.kafka import KafkaOffsets
from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings


class Kafka:
    """Against the ledger's newest entry, so it is right also when the streaming service is dead."""

    name = "kafka"
    every = 1

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._offsets: KafkaOffsets | None = None
        self._partitions: dict[str, int] = {}
        self._idle_at: datetime | None = None  # the last look at which no record waited

    def collect(self, now: datetime) -> list[Sample]:
        try:
            ends = self._ends()
        except KafkaError:
            if self._offsets is not None:
                self._offsets.close()
            self._offsets = None
            raise
        newest = self._ledger.newest
        taken = dict(newest["next_offsets"]) if newest else {}
        records: Counter[str] = Counter()
        waiting: Counter[str] = Counter(dict.fromkeys(INPUT_NAMES, 0))
        for place, end in ends.items():
            topic = place.rpartition("/")[0]
            records[topic] += end
            if topic in INPUT_NAMES:
                waiting[topic] += max(0, end - taken.get(place, 0))
        return [
            *(Sample(names.KAFKA_RECORDS, count, (topic,)) for topic, count in sorted(records.items())),
            *(Sample(names.KAFKA_LAG, count, (topic,)) for topic, count in sorted(waiting.items())),
            Sample(
                names.GOLD_STALENESS, self._staleness(now, newest["committed_at"] if newest else None, waiting.total())
            ),
        ]

    def _staleness(self, now: datetime, committed_at: datetime | None, waiting: int) -> float:
        """After a quiet hour the first record has waited for seconds, though the last commit is an hour old."""
        if not waiting:
            self._idle_at = now
            return 0.0
        since = max((one for one in (committed_at, self._idle_at) if one), default=now)
        return (now - since).total_seconds()

    def _ends(self) -> dict[str, int]:
        if self._offsets is None:
            self._offsets = KafkaOffsets(self._settings)
            self._partitions = self._offsets.partitions(topic.name for topic in TOPICS)
        return self._offsets.ends(self._partitions)
