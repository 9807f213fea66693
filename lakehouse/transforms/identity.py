"""Who is first: decides for each valid record whether it is accepted, a duplicate, or in conflict. Pure but for the index it asks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.contracts import CONTRACTS
from lakehouse.dedup import NO_POSITION, Entries, IdIndex, pack_position, unpack_position

TOPICS = tuple(CONTRACTS)
Known = dict[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Indexes:
    """What is known so far: events by `event_id`, orders by `transaction_id`."""

    events: IdIndex = field(default_factory=IdIndex)
    orders: IdIndex = field(default_factory=IdIndex)


@dataclass(frozen=True)
class Outcome:
    """One topic's decision, by row of its table: `accepted` is a mask; the others name rows and why."""

    accepted: NDArray[np.bool_]
    duplicates: dict[int, tuple[str, int, int]]  # row -> winner's topic, partition, offset
    conflicts: dict[int, tuple[str, ...]]  # row -> reason codes


def decide(tables: dict[str, pa.Table], indexes: Indexes) -> dict[str, Outcome]:
    """Judge the typed records of one batch, `{topic: table}`, in the order of topic, partition and offset.

    First means: known before this batch, or lower in that order. The accepted ids are added to `indexes`.
    """
    outcomes = {}
    seen_events: Known = {}
    repeated = _repeated(tables)
    for topic in TOPICS:
        if topic in tables:
            outcomes[topic] = _decide_topic(topic, tables[topic], indexes, seen_events, repeated)
    return outcomes


def event_entries(topic: str, table: pa.Table) -> Entries:
    return _entries(topic, table, "event_hash", "event_hash2", "body_hash")


def order_entries(topic: str, table: pa.Table) -> Entries:
    """Entries by business id; only for a topic that has one."""
    name = str(CONTRACTS[topic].business_id).removesuffix("_id")
    return _entries(topic, table, f"{name}_hash", f"{name}_hash2", "order_hash")


def _entries(topic: str, table: pa.Table, first: str, second: str, body: str) -> Entries:
    position = pack_position(TOPICS.index(topic), table["partition"].to_numpy(), table["offset"].to_numpy())
    return Entries(table[first].to_numpy(), table[second].to_numpy(), position, table[body].to_numpy())


def _repeated(tables: dict[str, pa.Table]) -> NDArray[np.int64]:
    """Hashes of the events that this batch holds more than once, sorted."""
    return _more_than_once(
        np.concatenate([t["event_hash"].to_numpy() for t in tables.values()] or [np.empty(0, np.int64)])
    )


def _more_than_once(hashes: NDArray[np.int64]) -> NDArray[np.int64]:
    values, counts = np.unique(hashes, return_counts=True)
    return values[counts > 1]


def _decide_topic(
    topic: str, table: pa.Table, indexes: Indexes, seen_events: Known, repeated: NDArray[np.int64]
) -> Outcome:
    events = event_entries(topic, table)
    known = [(events, indexes.events, seen_events, "event_id", np.isin(events.hash, repeated))]
    business_id = CONTRACTS[topic].business_id
    if business_id:
        orders = order_entries(topic, table)
        known.append((orders, indexes.orders, {}, business_id, np.isin(orders.hash, _more_than_once(orders.hash))))

    found = [index.find(entries.hash, entries.hash2) for entries, index, *_ in known]
    in_question = np.zeros(len(table), dtype=bool)
    for (entries, _, _, _, again), (position, _) in zip(known, found, strict=True):
        in_question |= again | ((position != NO_POSITION) & (position != entries.position))

    accepted = ~in_question
    duplicates: dict[int, tuple[str, int, int]] = {}
    conflicts: dict[int, tuple[str, ...]] = {}
    rows = np.flatnonzero(in_question)
    for row in rows[np.argsort(events.position[rows])].tolist():
        winner, codes = NO_POSITION, []
        for (entries, _, seen, name, _), (position, body) in zip(known, found, strict=True):
            key = (int(entries.hash[row]), int(entries.hash2[row]))
            first = seen.get(key)
            if first is None and position[row] not in (NO_POSITION, entries.position[row]):
                first = (int(position[row]), int(body[row]))
            if first is not None and first[1] != entries.body[row]:
                codes.append(f"conflict.{name}")
            elif first is not None and winner == NO_POSITION:
                winner = first[0]
        if codes:
            conflicts[row] = tuple(codes)
        elif winner != NO_POSITION:
            number, partition, offset = unpack_position(winner)
            duplicates[row] = (TOPICS[number], partition, offset)
        else:
            accepted[row] = True
            for entries, _, seen, _, _ in known:
                seen[(int(entries.hash[row]), int(entries.hash2[row]))] = (
                    int(entries.position[row]),
                    int(entries.body[row]),
                )
    for entries, index, *_ in known:
        index.add(entries.take(accepted))
    return Outcome(accepted, duplicates, conflicts)
