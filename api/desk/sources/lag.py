"""Records that wait in Kafka for the streaming service: too many, or none taken for too long."""

from __future__ import annotations

from datetime import datetime

from api.desk.rules import Watch
from api.desk.sources.base import Condition
from api.desk.sources.recent import RecentLedger
from ingestion.topics import INPUT_NAMES
from lakehouse.kafka import KafkaOffsets
from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings

BEHIND = "stream_behind"
STALLED = "stream_stalled"
_SUBJECT = "streaming"


class Lag:
    """Kafka's ends against the offsets of the ledger's newest entry: right also when the service is dead."""

    kinds = (BEHIND, STALLED)

    def __init__(self, settings: Settings, rules: Watch, ledger: RecentLedger) -> None:
        self._settings = settings
        self._rules = rules
        self._ledger = ledger

    def conditions(self, now: datetime) -> list[Condition]:
        last = self._ledger.last()
        if last is None:
            return []
        kafka = KafkaOffsets(self._settings)
        try:
            ends = kafka.ends(kafka.partitions(INPUT_NAMES))
        finally:
            kafka.close()
        return judge(last, ends, self._rules, now)


def judge(last: LedgerEntry, ends: dict[str, int], rules: Watch, now: datetime) -> list[Condition]:
    """`ends`: per `topic/partition` the offset that Kafka will give next."""
    waiting = sum(max(0, end - last.next_offsets.get(place, 0)) for place, end in ends.items())
    quiet = (now - last.committed_at).total_seconds()
    evidence = {"waiting_records": waiting, "committed_at": last.committed_at.isoformat(), "batch_id": last.batch_id}
    found = []
    if waiting > rules.lag_records:
        words = f"{waiting:,} records wait in Kafka for the streaming service, more than {rules.lag_records:,}."
        found.append(Condition(BEHIND, _SUBJECT, "warning", "The stream is behind", words, evidence))
    if waiting and quiet > rules.stalled_seconds:
        words = f"{waiting:,} records wait in Kafka, and no micro-batch was committed for more than {rules.stalled_seconds:g} s."
        found.append(Condition(STALLED, _SUBJECT, "critical", "The stream stands still", words, evidence))
    return found
