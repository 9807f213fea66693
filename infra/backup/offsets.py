"""Kafka after a restore: whether it is the one that the lake was filled from, and an empty one that goes on where the lake ends.

Bronze holds every record with its offset, so Kafka's own data is in no backup; but offsets must never be given twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from infra import stack
from infra.backup.manifest import BackupError
from infra.servers import kafka
from infra.supervision import Supervisor
from lakehouse.settings import Settings
from lakehouse.streams.retention import lost_records
from lakehouse.streams.source import ALL_TOPICS

Way = Literal["goes on", "begins anew"]


@dataclass(frozen=True)
class Plan:
    """`goes on`: `waiting_count` records of the same Kafka lie beyond the point; `lost_count` more its retention took.

    `begins anew`: a Kafka whose empty partitions are to begin at the offsets `begin`, all of them or those that are left to do.
    """

    way: Way
    waiting_count: int = 0
    lost_count: int = 0
    begin: dict[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        if self.way == "begins anew":
            return (
                "Kafka is a new one: its partitions begin at the offsets where the lake ends; what the old one held beyond the point is "
                "not in the lake, unless its producers send it again"
            )
        if self.lost_count:
            return (
                f"Kafka has {self.waiting_count:,} records beyond the point, and its retention took {self.lost_count:,} between: the stream "
                "refuses to start until it is told to go on without them (GLOBALMART_STREAM_ACCEPT_LOSS=true for one start)"
            )
        return f"Kafka is the same: the stream goes on with {self.waiting_count:,} records beyond the point"


def plan(
    is_same: bool,
    next_offsets: Mapping[str, int],
    others: Mapping[str, int],
    starts: Mapping[str, int],
    ends: Mapping[str, int],
) -> Plan:
    """What is to be done about Kafka. `next_offsets` are the ledger's, `others` ends of topics that the lake does not read.

    Raises BackupError for another Kafka that holds records already, for one that has lost some, and for one with fewer partitions.
    """
    missing = sorted(next_offsets.keys() - ends.keys())
    if missing:
        raise BackupError(
            f"Kafka has no partition {missing[0]}, of which the lake holds records: set GLOBALMART_KAFKA_PARTITIONS as it was, and run "
            "`globalmart up --only kafka`. Nothing was changed."
        )
    wanted = {**others, **next_offsets}
    begin = {name: offset for name, offset in wanted.items() if offset and ends.get(name) == 0}
    clash = [
        name
        for name, offset in next_offsets.items()
        if name not in begin and (ends[name] < offset or (not is_same and starts.get(name, 0) < offset))
    ]
    if clash:
        name = clash[0]
        raise BackupError(
            f"Kafka is not the one that the backup was made beside, and holds records: {name} has offsets {starts.get(name, 0)} to "
            f"{ends[name]}, and the lake would end at {next_offsets[name]}. The same offsets would mean two records. Nothing was changed. "
            "Restore beside that Kafka, or beside an empty one."
        )
    if begin.keys() & next_offsets.keys():
        return Plan("begins anew", begin=begin)
    inputs = {name: end for name, end in ends.items() if name.rsplit("/", 1)[0] in ALL_TOPICS}
    waiting = sum(end - max(next_offsets.get(name, 0), starts.get(name, 0)) for name, end in inputs.items())
    lost = sum(last - first + 1 for first, last in lost_records(next_offsets, starts).values())
    return Plan("goes on", waiting_count=waiting, lost_count=lost, begin=begin)


def begin(settings: Settings, offsets: dict[str, int], say: stack.Say) -> None:
    """Let the local stack's empty Kafka begin at `offsets`; it is stopped and started for that, with all its brokers."""
    if not offsets:
        return
    for broker in kafka.brokers(settings):
        Supervisor(settings).call("stopProcess", broker)
    try:
        kafka.begin_at(settings, offsets)
    finally:
        stack.up(only=("kafka",), say=say)
