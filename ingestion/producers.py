"""Kafka producers, one per stream: every record sent is accounted for by the broker's acknowledgement, or the run waits."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.structs import TopicPartition

from ingestion.labels import Label
from ingestion.records import EVENT_ID_PLACE, Records
from ingestion.topics import INPUT_NAMES, MARKERS, MAX_MESSAGE_BYTES
from ingestion.truth import TruthLedger
from lakehouse.errors import KafkaError
from lakehouse.settings import Settings

# Never give up on a record: a broker that is away pauses the run, and retries keep their sequence numbers.
_DELIVERY_TIMEOUT_MS = 30 * 24 * 3_600_000
_MOST_WAITING = 60_000
_MOST_WAITING_BYTES = 128 * 1024 * 1024
_QUIET_SECONDS = 5.0
_DAY_MS = 86_400_000


@contextlib.contextmanager
def quiet_client() -> Iterator[None]:
    """Without kafka-python's log lines: an outage is told in one sentence of ours."""
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class StreamProducer:
    """The producer of one topic, and what it waits for."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self.topic = topic
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
            client_id=f"globalmart-generator-{topic}",
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=20,
            batch_size=256 * 1024,
            max_request_size=MAX_MESSAGE_BYTES,
            delivery_timeout_ms=_DELIVERY_TIMEOUT_MS,
            reconnect_backoff_max_ms=1_000,
            bootstrap_timeout_ms=5_000,
            max_block_ms=10_000,
            metrics_enabled=False,
        )
        partitions = self._producer.partitions_for(topic) or set()
        self._places = [TopicPartition(topic, partition) for partition in range(len(partitions))]
        # `KafkaProducer.send` costs as much again as the append that it wraps, in checks and log lines that are not needed
        # for bytes with a known partition: without it one process sends twice as much. The library is pinned.
        self._append = self._producer._accumulator.append
        self._wakeup = self._producer._sender.wakeup

    @property
    def partition_count(self) -> int:
        return len(self._places)

    def send(self, partition: int, key: bytes, value: bytes | None) -> Any:
        """Hand over one record; the future resolves with the broker's acknowledgement."""
        future, is_full, is_new, _ = self._append(self._places[partition], None, key, value, [])
        if is_full or is_new:
            self._wakeup()
        return future

    def close(self, wait_seconds: float) -> None:
        with quiet_client():
            try:
                self._producer.close(timeout=wait_seconds)
            except kafka_errors.KafkaTimeoutError:
                self._producer._sender.force_close()


class Producers:
    """All producers of one run with their accounts. `say` gets sentences for people; `stop` ends every waiting.

    Raises KafkaError where no broker answers, and later where the broker refuses a record for good.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: TruthLedger,
        keep_all: bool,
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self.produced: Counter[str] = Counter()
        self.acknowledged: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.next_offsets: dict[str, int] = {}
        self._ledger = ledger
        self._keep_all = keep_all
        self._say = say
        self._stop = stop
        self._too_old_ms = settings.too_old_days * _DAY_MS if settings.too_old_days else None
        self._clean: deque[Any] = deque()
        self._kept: deque[tuple[Any, str, bytes, bytes | None, Label]] = deque()
        self._waiting_bytes = 0
        self._last_progress = time.monotonic()
        self._is_quiet = False
        try:
            with quiet_client():
                self._streams = [StreamProducer(settings, name) for name in (*INPUT_NAMES, MARKERS.name)]
        except (kafka_errors.KafkaError, OSError) as error:
            raise KafkaError(
                f"No Kafka broker answers at {settings.kafka_bootstrap_servers} ({type(error).__name__}). "
                "Start the stack with `globalmart up`."
            ) from None

    @property
    def partition_counts(self) -> dict[str, int]:
        return {stream.topic: stream.partition_count for stream in self._streams}

    @property
    def waiting(self) -> int:
        """Records sent and not acknowledged yet."""
        return len(self._clean) + len(self._kept)

    def send(self, records: Records, labels: dict[int, Label], first: int, last: int) -> None:
        """Send records `first` to `last - 1`; waits while too much is unacknowledged, and returns early when stopped."""
        senders = [stream.send for stream in self._streams]
        clean = self._clean.append
        block = 200
        for start in range(first, last, block):
            if not self._make_room():
                return
            end = min(start + block, last)
            for place in range(start, end):
                kind, key, value = records.kinds[place], records.keys[place], records.values[place]
                future = senders[kind](records.partitions[place], key, value)
                label = labels.get(place)
                if label is None and self._keep_all:
                    label = self._plain(value)
                if label is None:
                    clean(future)
                else:
                    self._kept.append((future, INPUT_NAMES[kind], key, value, label))
                    self._waiting_bytes += len(value or b"")
            for kind in records.kinds[start:end]:
                self.produced[INPUT_NAMES[kind]] += 1

    def mark(self, marker: dict[str, Any]) -> None:
        """Send an end marker and wait for it."""
        future = self._streams[-1].send(0, str(marker["run_id"]).encode(), orjson.dumps(marker))
        self._clean.append(future)
        self.produced[MARKERS.name] += 1
        self.wait_for_all()

    def collect(self) -> None:
        """Account for what the broker has acknowledged so far. Raises KafkaError where it refused a record."""
        before = self.waiting
        while self._clean and self._clean[0].is_done:
            self._acknowledge(self._clean.popleft())
        while self._kept and self._kept[0][0].is_done:
            future, topic, key, value, label = self._kept.popleft()
            self._waiting_bytes -= len(value or b"")
            offset, kafka_ms = self._acknowledge(future)
            judged = label.judged(kafka_ms, too_old_ms=self._too_old_ms)
            self._ledger.add(topic, future.value.partition, offset, key, value, judged)
            if label.fault:
                self.faults[label.fault] += 1
        now = time.monotonic()
        if self.waiting < before or not self.waiting:
            if self._is_quiet:
                self._say("Kafka answers again; going on.")
            self._last_progress, self._is_quiet = now, False
        elif now - self._last_progress > _QUIET_SECONDS and not self._is_quiet:
            self._is_quiet = True
            self._say(
                f"Kafka has not answered for {_QUIET_SECONDS:.0f} s; {self.waiting:,} records wait for it and none is lost."
            )

    def wait_for_all(self, at_most_seconds: float | None = None) -> bool:
        """Wait until all is acknowledged; False where it was stopped, or `at_most_seconds` passed, before that."""
        started = time.monotonic()
        while True:
            self.collect()
            if not self.waiting:
                return True
            passed = time.monotonic() - started
            if passed > (at_most_seconds if at_most_seconds is not None else float("inf")):
                return False
            if at_most_seconds is None and self._stop.is_set():
                return False
            time.sleep(0.005)

    def close(self) -> None:
        """Close the producers. What is unacknowledged stays in the ledger with no offset: its fate is unknown."""
        for stream in self._streams:
            stream.close(2.0 if not self.waiting else 0.0)
        with contextlib.suppress(KafkaError):
            self.collect()
        for future, topic, key, value, label in self._kept:
            self._ledger.add(topic, future._produce_future.topic_partition.partition, None, key, value, label)
        self._kept.clear()

    def _make_room(self) -> bool:
        self.collect()
        while self.waiting > _MOST_WAITING or self._waiting_bytes > _MOST_WAITING_BYTES:
            if self._stop.is_set():
                return False
            time.sleep(0.005)
            self.collect()
        return not self._stop.is_set()

    def _acknowledge(self, future: Any) -> tuple[int, int]:
        if future.exception is not None:
            raise KafkaError(
                f"Kafka refused a record for good: {type(future.exception).__name__}: {future.exception}. "
                "Look at the broker's log; the truth ledger says what was acknowledged."
            ) from future.exception
        sent = future.value
        self.acknowledged[sent.topic] += 1
        place = f"{sent.topic}/{sent.partition}"
        if sent.offset >= self.next_offsets.get(place, 0):
            self.next_offsets[place] = sent.offset + 1
        return sent.offset, sent.timestamp

    def _plain(self, value: bytes | None) -> Label:
        """The label of an ordinary record, for a ledger that holds all."""
        data = value or b""
        at_ms = None
        if self._too_old_ms is not None:
            place = data.index(b'"timestamp":"') + 13
            at_ms = _time_ms(data[place : place + 23])
        return Label(None, "silver", (), data[EVENT_ID_PLACE].decode(), None, at_ms)


def _time_ms(text: bytes) -> int:
    return int(np.datetime64(text.decode(), "ms").astype(np.int64))
