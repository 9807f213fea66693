"""Playing repaired records again: into the topic and partition they came from, linked to their origin, each of them once.

A replay that was cut short may have put records into Kafka that its books do not have yet. They are looked for by their headers, in
bronze and in what Kafka holds above the cut, before anything is sent. Should one be missed, the stream finds the duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow.compute as pc
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError as ClientKafkaError

from lakehouse import tables as t
from lakehouse.errors import KafkaError
from lakehouse.kafka import KafkaOffsets
from lakehouse.quarantine.lake import POSITION, QuarantineLake
from lakehouse.quarantine.positions import ORIGIN_HEADER, REPAIR_HEADER, Position
from lakehouse.quarantine.store import Decided, Decision, Store
from lakehouse.settings import Settings

_BLOCK = 1_000
_MAX_BYTES = 4 * 1024 * 1024
_DELIVERY_SECONDS = 20
_SILENCE_SECONDS = 20

Origin = tuple[str, Position]  # decision and position of the quarantined record


@dataclass(frozen=True)
class Replayed:
    """`sent` records were played now; `found` had reached Kafka before, and only the books did not know it."""

    sent: list[Decided]
    found: list[Decided]


def replay_pending(settings: Settings, store: Store, now: datetime, only: str | None = None) -> Replayed:
    """Play what was decided (by the decision `only`, or any) and is not known to be in Kafka; done twice, the second finds nothing to do.

    Raises KafkaError where the broker does not take the records; they stay pending.
    """
    decisions, records = store.pending(only)
    if not records:
        return Replayed([], [])
    there = _already_there(settings, [one for one in decisions if one.attempted_at is not None])
    found = [
        replace(one, replay=there[one.decision_id, one.position], replayed_at=now)
        for one in records
        if (one.decision_id, one.position) in there
    ]
    store.replayed(found)
    store.attempt([one.decision_id for one in decisions], now)
    missing = [one for one in records if (one.decision_id, one.position) not in there]
    return Replayed(_send(settings, missing, now, store.replayed), found)


def _send(
    settings: Settings, records: Sequence[Decided], now: datetime, done: Callable[[list[Decided]], None]
) -> list[Decided]:
    """Send each record with its headers, in order, and tell `done` of each block that Kafka has."""
    if not records:
        return []
    producer = None
    sent: list[Decided] = []
    try:
        producer = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
            client_id="globalmart-operator",
            acks="all",
            enable_idempotence=True,
            max_request_size=_MAX_BYTES,
            delivery_timeout_ms=_DELIVERY_SECONDS * 1000,
            request_timeout_ms=_DELIVERY_SECONDS * 500,
            bootstrap_timeout_ms=10_000,
            max_block_ms=10_000,
            metrics_enabled=False,
        )
        for start in range(0, len(records), _BLOCK):
            block = records[start : start + _BLOCK]
            futures = [
                producer.send(
                    one.position.topic,
                    key=one.key,
                    value=one.value,
                    partition=one.position.partition,
                    headers=[(ORIGIN_HEADER, str(one.position).encode()), (REPAIR_HEADER, one.decision_id.encode())],
                )
                for one in block
            ]
            places = [future.get(timeout=_DELIVERY_SECONDS + 10) for future in futures]
            block = [
                replace(one, replay=Position(place.topic, place.partition, place.offset), replayed_at=now)
                for one, place in zip(block, places, strict=True)
            ]
            done(block)
            sent += block
    except ClientKafkaError as error:
        raise KafkaError(
            f"Kafka at {settings.kafka_bootstrap_servers} took {len(sent)} of {len(records)} repaired records "
            f"({type(error).__name__}); the decision is on record: when Kafka answers, run `globalmart quarantine replay`."
        ) from error
    finally:
        if producer is not None:
            producer.close(timeout=2)
    return sent


def _already_there(settings: Settings, decisions: Sequence[Decision]) -> dict[Origin, Position]:
    """Replays of these decisions by origin, wherever they are: in bronze, or in Kafka above the cut."""
    if not decisions:
        return {}
    wanted = {one.decision_id for one in decisions}
    starts: dict[str, int] = {}
    for decision in decisions:
        for name, offset in decision.scan_from.items():
            starts[name] = min(offset, starts.get(name, offset))
    lake = QuarantineLake(settings)
    found: dict[Origin, Position] = {}
    for name, start in starts.items():
        topic, partition = name.rsplit("/", 1)
        where = (pc.field("topic") == topic) & (pc.field("partition") == int(partition)) & (pc.field("offset") >= start)
        rows = lake.read(t.BRONZE_EVENTS, [*POSITION, "headers"], where)
        rows = rows.filter(pc.greater(pc.fill_null(pc.list_value_length(rows["headers"]), 0), 0))
        for row in rows.to_pylist():
            headers = [(header["key"], header["value"]) for header in row["headers"]]
            found |= _origin(headers, Position(topic, int(partition), row["offset"]), wanted)
    above = {name: max(start, lake.cut.next_offsets.get(name, 0)) for name, start in starts.items()}
    return found | _in_kafka(settings, above, wanted)


def _in_kafka(settings: Settings, starts: dict[str, int], wanted: set[str]) -> dict[Origin, Position]:
    offsets = KafkaOffsets(settings)
    try:
        partitions = offsets.partitions({name.rsplit("/", 1)[0] for name in starts})
        ends = {name: end for name, end in offsets.ends(partitions).items() if end > starts.get(name, end)}
    finally:
        offsets.close()
    if not ends:
        return {}
    found: dict[Origin, Position] = {}
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers.split(","), group_id=None, enable_auto_commit=False
    )
    try:
        places = {name: TopicPartition(name.rsplit("/", 1)[0], int(name.rsplit("/", 1)[1])) for name in ends}
        consumer.assign(list(places.values()))
        for name, place in places.items():
            consumer.seek(place, starts[name])
        heard = time.monotonic()
        while any(consumer.position(place) < ends[name] for name, place in places.items()):
            answer = consumer.poll(timeout_ms=1000, max_records=10_000)
            for place, records in answer.items():
                for record in records:
                    found |= _origin(record.headers, Position(place.topic, place.partition, record.offset), wanted)
            heard = time.monotonic() if answer else heard
            if time.monotonic() - heard > _SILENCE_SECONDS:
                raise KafkaError(
                    f"Kafka at {settings.kafka_bootstrap_servers} has not answered for {_SILENCE_SECONDS} s."
                )
    finally:
        consumer.close()
    return found


def _origin(headers: Iterable[tuple[str, bytes | None]], place: Position, wanted: set[str]) -> dict[Origin, Position]:
    """{origin: place} where the headers are those of a replay of one of the `wanted` decisions."""
    origin, decision = link(headers)
    return {(decision, origin): place} if origin is not None and decision in wanted else {}


def link(headers: Iterable[tuple[str, bytes | None]]) -> tuple[Position | None, str]:
    """(origin, decision) that the headers of a record name; (None, "") where it is no replay."""
    said: dict[str, Any] = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
    try:
        return Position.parse(said[ORIGIN_HEADER]), said[REPAIR_HEADER]
    except (KeyError, ValueError):
        return None, ""


def wait_for_outcomes(settings: Settings, replays: Sequence[Position], seconds: float) -> dict[Position, str]:
    """Where the stream has put the replays, once its cut has passed them or `seconds` are over; absent: still in flight."""
    deadline = time.monotonic() + seconds
    lake = QuarantineLake(settings)
    while not all(lake.is_taken(place) for place in replays) and time.monotonic() < deadline:
        time.sleep(0.5)
        lake = QuarantineLake(settings)
    return lake.outcomes(replays)
