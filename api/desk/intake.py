"""The topic `detections` from the offsets that PostgreSQL holds, a poll at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError as ClientKafkaError
from kafka.errors import OffsetOutOfRangeError

from api.desk import store
from api.desk.core import Desk
from api.desk.incoming import Message
from lakehouse.errors import KafkaError
from lakehouse.findings import Finding, finding_id
from lakehouse.settings import Settings

TOPIC = "detections"
LOST = "detections_lost"
_MOST_MESSAGES = 1_000
_POLL_MS = 500
_METADATA_MS = 30_000  # how late a new partition is noticed


class Intake:
    """Each step is a poll and, if something came, one transaction. After an error the next step starts at the stored offsets."""

    def __init__(self, settings: Settings, desk: Desk, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._desk = desk
        self._clock = clock
        self._consumer: KafkaConsumer | None = None
        self._checked_at = clock()
        self._believed: dict[int, int] = {}  # what PostgreSQL is taken to hold
        self.taken_count = 0
        self.lag: int | None = None  # messages that wait, as of the last poll; None while there is no connection

    def step(self) -> None:
        """Raises KafkaError, OffsetsRewoundError and the errors of `database.CURABLE`; nothing is lost by any."""
        try:
            self._step()
        except BaseException:
            self.close()
            raise

    def _step(self) -> None:
        try:
            consumer = self._connected()
            polled = consumer.poll(timeout_ms=_POLL_MS, max_records=_MOST_MESSAGES)
        except OffsetOutOfRangeError as error:
            self._restart(error)
            return
        except (ClientKafkaError, OSError) as error:
            raise KafkaError(
                f"Kafka at {self._settings.kafka_bootstrap_servers} does not answer ({type(error).__name__})."
            ) from None
        messages = [Message(TOPIC, r.partition, r.offset, r.value) for records in polled.values() for r in records]
        if messages:
            self._desk.take(messages, self._believed, self._clock())
            for one in messages:
                self._believed[one.partition] = one.offset + 1
            self.taken_count += len(messages)
        self.lag = _waiting(consumer)

    def _connected(self) -> KafkaConsumer:
        now = self._clock()
        if self._consumer is not None and now - self._checked_at > timedelta(milliseconds=_METADATA_MS):
            self._checked_at = now
            if len(self._consumer.partitions_for_topic(TOPIC) or ()) != len(self._consumer.assignment()):
                self.close()
            with self._desk.engine.connect() as connection:
                store.check_offsets(store.next_offsets(connection, TOPIC), self._believed)
        if self._consumer is None:
            self._consumer = self._connect()
            self._seek(self._consumer)
        return self._consumer

    def _connect(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers.split(","),
            client_id="globalmart-desk",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            metadata_max_age_ms=_METADATA_MS,
            request_timeout_ms=10_000,
            bootstrap_timeout_ms=5_000,
            reconnect_backoff_max_ms=1_000,
            metrics_enabled=False,
        )

    def _seek(self, consumer: KafkaConsumer) -> None:
        """Read all partitions from the stored offsets on, new ones from their beginning."""
        places = [TopicPartition(TOPIC, number) for number in sorted(consumer.partitions_for_topic(TOPIC) or ())]
        if not places:
            raise KafkaError(f"Kafka has no topic {TOPIC}: `globalmart up` makes it.")
        with self._desk.engine.begin() as connection:
            store.lock_intake(connection)
            stored = store.next_offsets(connection, TOPIC)
            unknown = [place for place in places if place.partition not in stored]
            starts = {place.partition: at for place, at in consumer.beginning_offsets(unknown).items()}
            store.save_offsets(connection, TOPIC, starts)
        self._believed = {place.partition: {**stored, **starts}[place.partition] for place in places}
        consumer.assign(places)
        for place in places:
            consumer.seek(place, self._believed[place.partition])

    def _restart(self, error: OffsetOutOfRangeError) -> None:
        """Kafka no longer has what is next (retention, or the topic was made anew): say so, and go on with what there is."""
        assert self._consumer is not None  # noqa: S101 - the error came from it
        places: dict[TopicPartition, int] = error.args[0]
        starts = self._consumer.beginning_offsets(list(places))
        now = self._clock()
        where = ", ".join(f"{place.partition} at {wanted}" for place, wanted in sorted(places.items()))
        lost = Finding(
            finding_id=finding_id(LOST, *(f"{p.partition}:{wanted}" for p, wanted in sorted(places.items()))),
            kind=LOST,
            severity="critical",
            fingerprint=LOST,
            title="Findings were lost before the desk read them",
            detail=f"The topic {TOPIC} no longer holds what comes next (partition {where}); the desk goes on with what is there.",
            event_at=now,
            detected_at=now,
            evidence={"starts": {str(place.partition): start for place, start in sorted(starts.items())}},
        )
        self._desk.restart_at(TOPIC, {place.partition: start for place, start in starts.items()}, lost, now)
        self.close()

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
            self._consumer = self.lag = None


def _waiting(consumer: KafkaConsumer) -> int:
    ends = [(consumer.highwater(place), consumer.position(place)) for place in consumer.assignment()]
    return sum(int(end - at) for end, at in ends if end is not None and at is not None)
