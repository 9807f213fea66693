"""What the lake says of records: the quarantined ones by filters, and where given positions ended. Reads up to the ledger's cut."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.errors import GlobalMartError, StorageError
from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.quarantine.positions import Position
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table

POSITION = ["topic", "partition", "offset"]
_MOST_LISTED = 500  # positions named one by one in a filter; beyond that their range is read and sifted


class NothingStreamedError(GlobalMartError):
    """There is no ledger entry yet."""


@dataclass(frozen=True)
class Filters:
    """Which quarantined records are meant; what is None or empty does not restrict.

    reason: a rule's id (`missing.user_id`) or its kind (`missing`). Times are of Kafka, UTC, `until` not included.
    """

    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    positions: tuple[Position, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What is restricted, as text, for people and for the books of decisions."""
        said = {
            "reason": self.reason,
            "topic": self.topic,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "positions": [str(position) for position in self.positions],
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class BadRecord:
    """One row of `silver/quarantine`."""

    position: Position
    key: bytes | None
    value: bytes | None
    kafka_at: datetime
    reason_codes: tuple[str, ...]
    detail: str | None


class QuarantineLake:
    """The lake at its cut. Raises NothingStreamedError where there is none, StorageError where S3 does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        try:
            known = exists(settings, t.LEDGER_STREAMING)
            entry = last_entry(open_table(settings, t.LEDGER_STREAMING)) if known else None
        except OSError as error:
            first = str(error).splitlines()[0]
            raise StorageError(
                f"The lake {settings.lake_uri} does not answer ({first}): run `globalmart up`."
            ) from error
        if entry is None:
            raise NothingStreamedError(
                "Nothing has been streamed yet, so nothing is quarantined: `globalmart up` starts the stream."
            )
        self.cut: LedgerEntry = entry

    def read(self, table: t.Table, columns: list[str], *conditions: pc.Expression) -> pa.Table:
        """Rows of complete batches that meet all `conditions`; files that cannot hold such rows are not opened."""
        up_to = pc.field("batch_id") <= self.cut.batch_id
        dataset = open_table(self._settings, table).to_pyarrow_dataset()
        # Arrow's own threads, still busy with a file system in Python when a command ends, abort it
        return dataset.to_table(columns=columns, filter=reduce(and_, conditions, up_to), use_threads=False)

    def quarantined(self, filters: Filters, columns: list[str]) -> pa.Table:
        """Rows of `silver/quarantine` with `columns`, a position and `reason_codes`, ordered by position."""
        conditions = []
        if filters.topic:
            conditions.append(pc.field("topic") == filters.topic)
        if filters.since:
            conditions.append(pc.field("kafka_at") >= filters.since)
        if filters.until:
            conditions.append(pc.field("kafka_at") < filters.until)
        if filters.positions:
            conditions.append(_among(filters.positions))
        wanted = list(dict.fromkeys([*POSITION, "reason_codes", *columns]))
        rows = self.read(t.QUARANTINE, wanted, *conditions)
        if filters.positions:
            rows = rows.filter(_exactly(rows, set(filters.positions)))
        if filters.reason:
            rows = rows.filter(_has_reason(rows["reason_codes"], filters.reason))
        return rows.sort_by([(name, "ascending") for name in POSITION])

    def records(self, filters: Filters) -> list[BadRecord]:
        """The quarantined records with their raw values, ordered by position."""
        rows = self.quarantined(filters, ["key", "value", "kafka_at", "detail"]).to_pylist()
        return [
            BadRecord(
                Position(row["topic"], row["partition"], row["offset"]),
                row["key"],
                row["value"],
                row["kafka_at"],
                tuple(row["reason_codes"]),
                row["detail"],
            )
            for row in rows
        ]

    def outcomes(self, positions: Collection[Position]) -> dict[Position, str]:
        """`silver`, `quarantine` or `duplicates` for each position that a complete batch has taken."""
        found: dict[Position, str] = {}
        for topic in CONTRACTS:
            of_topic = {position for position in positions if position.topic == topic}
            places = (
                (t.BY_PATH[f"silver/{topic}"], "silver"),
                (t.QUARANTINE, "quarantine"),
                (t.DUPLICATES, "duplicates"),
            )
            for table, outcome in places if of_topic else ():
                rows = self.read(table, POSITION, pc.field("topic") == topic, _among(of_topic))
                found |= dict.fromkeys(positions_of(rows).intersection(of_topic), outcome)
        return found

    def is_taken(self, position: Position) -> bool:
        """Whether the position lies below the cut."""
        return position.offset < self.cut.next_offsets.get(f"{position.topic}/{position.partition}", 0)

    def ends(self, positions: Iterable[Position]) -> dict[str, int]:
        """Per `topic/partition` of `positions`, the first offset above the cut."""
        names = {f"{position.topic}/{position.partition}" for position in positions}
        return {name: self.cut.next_offsets.get(name, 0) for name in sorted(names)}


def positions_of(rows: pa.Table) -> set[Position]:
    return {Position(*row) for row in zip(*(rows[name].to_pylist() for name in POSITION), strict=True)}


def at(position: Position) -> pc.Expression:
    """The condition that a row is at this very position."""
    values = (pc.field(name) == value for name, value in zip(POSITION, position, strict=True))
    return reduce(and_, values)


def _among(positions: Iterable[Position]) -> pc.Expression:
    """A condition that all `positions` meet, and not many more."""
    offsets = sorted({position.offset for position in positions})
    between = (pc.field("offset") >= offsets[0]) & (pc.field("offset") <= offsets[-1])
    return between & pc.field("offset").isin(offsets) if len(offsets) <= _MOST_LISTED else between


def _exactly(rows: pa.Table, positions: set[Position]) -> pa.Array:
    there = zip(*(rows[name].to_pylist() for name in POSITION), strict=True)
    return pa.array([Position(*row) in positions for row in there], pa.bool_())


def _has_reason(codes: pa.ChunkedArray, reason: str) -> pa.Array:
    """Which lists have `reason`, as an id or as the kind before the first point."""
    lists = codes.combine_chunks()
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    flat = pc.list_flatten(lists)
    fits = pc.or_(pc.equal(flat, reason), pc.starts_with(flat, f"{reason}."))
    rows = pc.unique(pc.list_parent_indices(lists).filter(fits))
    return pc.is_in(pa.array(range(len(lists)), pa.int64()), value_set=rows.cast(pa.int64()))
