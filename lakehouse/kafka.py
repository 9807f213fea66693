"""What the lakehouse asks of Kafka outside Spark: which topics there are and where their partitions end."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError as ClientKafkaError

from lakehouse.errors import KafkaError
from lakehouse.settings import Settings

_FIRST_MS, _SECOND_MS = 3_000, 10_000  # an answer takes some milliseconds


class KafkaOffsets:
    """A connection for metadata alone. Raises KafkaError, in one sentence, when no broker answers."""

    def __init__(self, settings: Settings) -> None:
        self._servers = settings.kafka_bootstrap_servers
        self._consumer = self._connect()

    def _connect(self) -> KafkaConsumer:
        try:
            return KafkaConsumer(
                bootstrap_servers=self._servers.split(","),
                group_id=None,
                enable_auto_commit=False,
                request_timeout_ms=10_000,
                bootstrap_timeout_ms=10_000,
            )
        except ClientKafkaError as error:
            raise KafkaError(f"No Kafka broker answers at {self._servers}: start it with `globalmart up`.") from error

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Number of partitions of each topic. Raises KafkaError naming the topics that do not exist."""
        try:
            there = self._consumer.topics()
            counts = {
                topic: len(self._consumer.partitions_for_topic(topic) or ()) for topic in topics if topic in there
            }
        except ClientKafkaError as error:
            raise self._away(error) from error
        missing = sorted(set(topics) - {topic for topic, count in counts.items() if count})
        if missing:
            raise KafkaError(f"Kafka at {self._servers} has no topic {', '.join(missing)}: `globalmart up` makes them.")
        return counts

    def ends(self, partitions: dict[str, int]) -> dict[str, int]:
        """Per `topic/partition`, the offset that the next record will get."""
        return self._offsets(partitions, KafkaConsumer.end_offsets)

    def starts(self, partitions: dict[str, int]) -> dict[str, int]:
        """Per `topic/partition`, the first offset that is still there."""
        return self._offsets(partitions, KafkaConsumer.beginning_offsets)

    def _offsets(self, partitions, ask) -> dict[str, int]:  # type: ignore[no-untyped-def]
        asked = [TopicPartition(topic, p) for topic, count in partitions.items() for p in range(count)]
        try:
            try:
                found = ask(self._consumer, asked, timeout_ms=_FIRST_MS)
            except ClientKafkaError:
                # When partitions have another leader, kafka-python asks the former one on and on: a new client looks for them
                fresh = self._connect()
                self._consumer.close()
                self._consumer = fresh
                fresh.topics()
                found = ask(self._consumer, asked, timeout_ms=_SECOND_MS)
        except ClientKafkaError as error:
            raise self._away(error) from error
        return {f"{tp.topic}/{tp.partition}": offset for tp, offset in found.items()}

    def close(self) -> None:
        self._consumer.close()

    def _away(self, error: Exception) -> KafkaError:
        return KafkaError(f"Kafka at {self._servers} stopped answering ({type(error).__name__}).")
