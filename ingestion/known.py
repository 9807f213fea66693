"""What Kafka knows already: the users and products that earlier runs sent, read from the keys on their topics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import TopicPartition

from ingestion.producers import quiet_client
from lakehouse.errors import KafkaError
from lakehouse.settings import Settings

_KEY_LENGTH = 8
_POLL_MS = 1_000
_QUIET_POLLS = 30


def known_ids(settings: Settings, topic: str, count: int) -> npt.NDArray[np.bool_]:
    """For each id below `count` whether the topic holds a record with its key (a letter and seven digits).

    Raises KafkaError where no broker answers or it stops answering.
    """
    known = np.zeros(count, dtype=np.bool_)
    try:
        with quiet_client():
            consumer = KafkaConsumer(
                bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
                bootstrap_timeout_ms=5_000,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_poll_records=20_000,
                fetch_max_bytes=16 * 1024 * 1024,
                max_partition_fetch_bytes=4 * 1024 * 1024,
                check_crcs=False,
                metrics_enabled=False,
            )
            try:
                _read(consumer, topic, known)
            finally:
                consumer.close()
    except (kafka_errors.KafkaError, OSError) as error:
        raise KafkaError(
            f"Kafka at {settings.kafka_bootstrap_servers} could not be asked which {topic} it knows ({type(error).__name__}). "
            "Start the stack with `globalmart up`."
        ) from None
    return known


def _read(consumer: KafkaConsumer, topic: str, known: npt.NDArray[np.bool_]) -> None:
    places = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic) or ()]
    ends = consumer.end_offsets(places)
    if len(known) <= sum(ends.values()) - sum(consumer.beginning_offsets(places).values()) and topic == "products":
        known[:] = True  # the catalogue is sent whole and first; reading it all again would cost seconds
        return
    unread = {place for place, end in ends.items() if end > 0}
    if not unread:
        return
    consumer.assign(list(unread))
    consumer.seek_to_beginning()
    quiet = 0
    while unread:
        fetched = consumer.poll(timeout_ms=_POLL_MS)
        quiet = 0 if fetched else quiet + 1
        if quiet > _QUIET_POLLS:
            raise kafka_errors.KafkaTimeoutError("no answer")
        for records in fetched.values():
            numbers = [
                int(record.key[1:])
                for record in records
                if len(record.key or b"") == _KEY_LENGTH and record.key[1:].isdigit()
            ]
            found = np.array(numbers, dtype=np.int64)
            known[found[found < len(known)]] = True
        unread = {place for place in unread if consumer.position(place) < ends[place]}
