"""The proof itself: Kafka, bronze and the three outcomes against each other up to the ledger's cut, by joins on positions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from lakehouse import tables as t
from lakehouse.books.kafka_log import record_positions
from lakehouse.books.money import MoneyLine, compare
from lakehouse.books.positions import EMPTY, Difference, count_in, missing, ranges, repeated
from lakehouse.books.reading import Read, read_up_to
from lakehouse.contracts import CONTRACTS
from lakehouse.dedup import OFFSET_BITS, PARTITION_BITS, Int64s, pack_position
from lakehouse.errors import GlobalMartError
from lakehouse.kafka import KafkaOffsets
from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table
from lakehouse.transforms.identity import TOPICS

_MOST_DIFFERENCES = 1000


@dataclass(frozen=True)
class PartitionBooks:
    """Counts of records of one partition up to the cut; `in_flight` lies above it. `kafka` counts what Kafka still keeps."""

    topic: str
    partition: int
    kafka: int
    bronze: int
    silver: int
    quarantine: int
    duplicates: int
    in_flight: int


@dataclass(frozen=True)
class Books:
    """The whole statement. Money in USD."""

    balanced: bool
    cut_at: datetime
    batch_id: int
    topics: list[PartitionBooks]
    money: list[MoneyLine]
    differences: list[Difference]


def prove(settings: Settings) -> Books:
    """Prove the books up to the newest ledger entry; safe while the stream runs.

    Raises KafkaError or StorageError when a side cannot be asked, GlobalMartError when nothing has been streamed yet.
    """
    offsets = KafkaOffsets(settings)
    try:
        partitions = offsets.partitions(CONTRACTS)
        cut = _cut(settings)
        starts, ends = offsets.starts(partitions), offsets.ends(partitions)
    finally:
        offsets.close()
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(record_positions, settings, starts, ends)
        lake = _read_lake(settings, cut)
        kafka = asked.result()
    lows = _per_position(kafka, cut.next_offsets)
    below, in_flight = kafka[kafka < lows], kafka[kafka >= lows]
    money, money_differences = compare(lake["orders"], lake["items"], lake["sales"], lake["by_payment"])
    differences = [*_differences(below, lake, starts), *money_differences]
    statement = [
        PartitionBooks(
            topic,
            p,
            count_in(below, topic, p),
            count_in(lake["bronze"].positions, topic, p),
            count_in(lake[topic].positions, topic, p),
            count_in(lake["quarantine"].positions, topic, p),
            count_in(lake["duplicates"].positions, topic, p),
            count_in(in_flight, topic, p),
        )
        for topic in TOPICS
        for p in range(partitions[topic])
    ]
    balanced = not differences and all(line.silver == line.gold for line in money)
    return Books(balanced, cut.committed_at, cut.batch_id, statement, money, differences[:_MOST_DIFFERENCES])


def _cut(settings: Settings) -> LedgerEntry:
    entry = last_entry(open_table(settings, t.LEDGER_STREAMING)) if exists(settings, t.LEDGER_STREAMING) else None
    if entry is None:
        raise GlobalMartError(
            "Nothing has been streamed yet, so there is nothing to prove: `globalmart up` starts the stream."
        )
    return entry


def _read_lake(settings: Settings, cut: LedgerEntry) -> dict[str, Read]:
    def read(table: t.Table, *columns: str, with_position: bool = True) -> Read:
        return read_up_to(settings, table, cut.batch_id, list(columns), with_position)

    winner = ("winner_topic", "winner_partition", "winner_offset")
    lake = {topic: read(t.BY_PATH[f"silver/{topic}"]) for topic in TOPICS if topic != "transactions"}
    orders = read(t.TRANSACTIONS, "total_amount", "products", "batch_id")
    return lake | {
        "transactions": orders,
        "orders": orders,
        "bronze": read(t.BRONZE_EVENTS),
        "quarantine": read(t.QUARANTINE),
        "duplicates": read(t.DUPLICATES, *winner),
        "items": read(t.TRANSACTION_ITEMS, "line_amount", "batch_id"),
        "sales": read(t.SALES_BY_MINUTE, "revenue", "batch_id", with_position=False),
        "by_payment": read(t.ORDERS_BY_MINUTE, "revenue", "batch_id", with_position=False),
    }


def _per_position(positions: Int64s, next_offsets: dict[str, int]) -> Int64s:
    """For each position, the first position of its partition that lies above the cut."""
    shifted = positions >> OFFSET_BITS
    limits = np.zeros(len(positions), dtype=np.int64)
    for key in np.unique(shifted).tolist():
        topic, partition = TOPICS[key >> PARTITION_BITS], key & ((1 << PARTITION_BITS) - 1)
        limits[shifted == key] = (key << OFFSET_BITS) | next_offsets.get(f"{topic}/{partition}", 0)
    return limits


def _differences(kafka: Int64s, lake: dict[str, Read], starts: dict[str, int]) -> list[Difference]:
    """`kafka`: sorted positions below the cut. After retention bronze is the source for what Kafka no longer keeps."""
    bronze = lake["bronze"].positions
    outcomes = {"quarantine": lake["quarantine"].positions, "duplicates": lake["duplicates"].positions}
    outcomes |= {topic: lake[topic].positions for topic in TOPICS}
    everywhere = np.sort(np.concatenate(list(outcomes.values())))
    kept = bronze[bronze >= _per_position(bronze, starts)]
    differences = [
        *ranges(missing(kafka, bronze), "in Kafka but not in bronze"),
        *ranges(missing(kept, kafka), "in bronze but not in Kafka"),
        *ranges(repeated(bronze), "more than once in bronze"),
        *ranges(missing(np.union1d(bronze, kafka), everywhere), "in none of silver, quarantine and duplicates"),
        *ranges(missing(everywhere, np.union1d(bronze, kafka)), "has an outcome but is not in bronze"),
        *ranges(repeated(everywhere), "has more than one outcome"),
        *ranges(missing(_winners(lake), everywhere), "named as a winner but not in silver"),
        *ranges(missing(np.unique(lake["items"].positions), outcomes["transactions"]), "has lines but no transaction"),
        *ranges(missing(outcomes["transactions"], lake["items"].positions), "is a transaction without lines"),
    ]
    lost = sorted({name for read in lake.values() for name in read.lost_files})
    return differences + [Difference("", -1, -1, -1, f"the file {name} cannot be read") for name in lost]


def _winners(lake: dict[str, Read]) -> Int64s:
    rows = lake["duplicates"].rows
    if not len(rows):
        return EMPTY
    topics = np.array([TOPICS.index(topic) for topic in rows["winner_topic"].to_pylist()], dtype=np.int64)
    return np.unique(pack_position(topics, rows["winner_partition"].to_numpy(), rows["winner_offset"].to_numpy()))
