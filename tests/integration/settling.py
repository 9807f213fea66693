"""Waiting until the stream has taken what Kafka holds. A look at the ledger is cheap; the proof reads every record and is for the end."""

from __future__ import annotations

from conftest import wait_for

from lakehouse.books.prove import Books, prove
from lakehouse.contracts import CONTRACTS
from lakehouse.kafka import KafkaOffsets
from lakehouse.ledger import last_entry
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING


def ends(settings: Settings) -> dict[str, int]:
    """Per `topic/partition` of the input topics, the offset that the next record will get."""
    offsets = KafkaOffsets(settings)
    try:
        return offsets.ends(offsets.partitions(CONTRACTS))
    finally:
        offsets.close()


def wait_taken(settings: Settings, seconds: float = 300) -> None:
    """Wait until the ledger is past all that Kafka holds now."""
    wanted = ends(settings)

    def taken() -> bool:
        entry = last_entry(open_table(settings, LEDGER_STREAMING))
        return entry is not None and all(entry.next_offsets.get(place, 0) >= end for place, end in wanted.items())

    wait_for(taken, "the stream has taken everything", seconds)


def settle(settings: Settings) -> Books:
    """Wait likewise; then the books must balance."""
    wait_taken(settings)
    books = prove(settings)
    assert books.differences == []
    assert books.balanced
    return books
