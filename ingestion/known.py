"""What Kafka knows already: the users and products that earlier runs sent, read from the keys on their topics."""

from __future__ import annotations

import contextlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import TopicPartition

from ingestion.producers import quiet_client
from ingestion.topics import admin_client
from lakehouse.errors import KafkaError
from lakehouse.settings import Settings

_KEY_LENGTH = 8
_POLL_MS = 1_000
_QUIET_POLLS = 30


@dataclass
class Known:
    """`ids[i]`: the topic holds a record with the key of id i. `ends[p]`: up to which offset of partition p that is so.
    `topic_id` tells the topic from an earlier one of the same name."""

    topic: str
    topic_id: str
    ids: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]


def known_ids(settings: Settings, topic: str, count: int) -> Known:
    """Which ids below `count` the topic holds a record of. Keys are a letter and seven digits.

    Goes on where `remember` left off, as reading a key takes ten microseconds. Raises KafkaError where no broker answers.
    """
    with admin_client(settings) as client:
        topic_id = str(client.describe_topics([topic])[0]["topic_id"])
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
                known = _recall(settings, topic, topic_id, count)
                _read(consumer, known)
            finally:
                consumer.close()
    except (kafka_errors.KafkaError, OSError) as error:
        raise KafkaError(
            f"Kafka at {settings.kafka_bootstrap_servers} could not be asked which {topic} it knows "
            f"({type(error).__name__}). Start the stack with `globalmart up`."
        ) from None
    return known


def remember(settings: Settings, known: Known, ends: npt.NDArray[np.int64], sent: int) -> None:
    """Keep `known` for the next run, as of the offsets `ends` that this one's `sent` records reached; only where nobody else
    wrote to the topic meanwhile, for otherwise there are keys that were not read."""
    if len(known.ends) != len(ends) or int((ends - known.ends).sum()) != sent:
        return
    path = _file(settings, known.topic)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, topic_id=known.topic_id, count=len(known.ids), ids=np.packbits(known.ids), ends=ends)
    partial.replace(path)


def _recall(settings: Settings, topic: str, topic_id: str, count: int) -> Known:
    # A file that is missing, damaged or of another topic only costs the time to read the topic again.
    with (
        contextlib.suppress(FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(_file(settings, topic)) as kept,
    ):
        if str(kept["topic_id"]) == topic_id and int(kept["count"]) == count:
            ids = np.unpackbits(kept["ids"], count=count).astype(np.bool_)
            return Known(topic, topic_id, ids, kept["ends"].astype(np.int64))
    return Known(topic, topic_id, np.zeros(count, dtype=np.bool_), np.zeros(0, dtype=np.int64))


def _file(settings: Settings, topic: str) -> Path:
    return settings.state_dir / "generator" / f"known-{topic}.npz"


def _read(consumer: KafkaConsumer, known: Known) -> None:
    places = [
        TopicPartition(known.topic, number) for number in sorted(consumer.partitions_for_topic(known.topic) or ())
    ]
    ends = consumer.end_offsets(places)
    starts = np.zeros(len(places), dtype=np.int64)
    starts[: len(known.ends)] = known.ends[: len(places)]
    known.ends = np.array([ends[place] for place in places], dtype=np.int64)
    unread = {place for place in places if ends[place] > starts[place.partition]}
    if not unread:
        return
    consumer.assign(list(unread))
    for place in unread:
        consumer.seek(place, int(starts[place.partition]))
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
            known.ids[found[found < len(known.ids)]] = True
        unread = {place for place in unread if consumer.position(place) < ends[place]}
