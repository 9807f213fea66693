"""Where a table's rows come from, by what its commits and the ledger say: versions of tables, micro-batch, Kafka offsets. No Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pydantic import BaseModel, Field

from api.errors import TableMissingError
from api.past import lake_reading
from api.serving import Generation
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import BRONZE_EVENTS, BY_PATH, LEDGER_STREAMING, Table


class Source(BaseModel):
    """One table on the way."""

    table: str = Field(description="The table, as layer/name.", examples=["silver/transactions"])
    version: int = Field(description="The Delta version that was read.", examples=[12])
    read_by: str = Field(description="The table that was made from it.", examples=["gold/fact_sales"])


class Offsets(BaseModel):
    """Records of one Kafka partition."""

    topic: str = Field(description="Kafka topic.", examples=["transactions"])
    partition: int = Field(description="Partition.", examples=[0])
    until_offset: int = Field(description="All records before this offset are in the figures.", examples=[30])


class Cut(BaseModel):
    """The last micro-batch whose records are in the figures."""

    batch_id: int = Field(description="The micro-batch.", examples=[2])
    committed_at: datetime = Field(description="When its last sink had committed (UTC).")
    offsets: list[Offsets] = Field(description="Per partition, how far it goes.")


@dataclass
class Traced:
    """A table's version, what it was made from, and the versions of streaming tables that lie at the bottom."""

    version: int
    committed_at: datetime | None
    sources: list[Source] = field(default_factory=list)
    streaming: dict[str, int] = field(default_factory=dict)


def trace(settings: Settings, table: Table, day: date | None) -> Traced | None:
    """The newest version of `table`, or the one that made `day`; None where no commit did. Raises TableMissingError, SourceError."""
    try:
        with lake_reading(table):
            return _trace(settings, table, day)
    except TableNotFoundError:
        raise TableMissingError(table.path) from None


def _trace(settings: Settings, table: Table, day: date | None) -> Traced | None:
    opened = open_table(settings, table)
    if table.owner == "streaming":
        newest = opened.history(1)[0]
        return Traced(int(newest["version"]), _moment(newest), streaming={table.path: int(newest["version"])})
    made = _made(opened, day)
    if made is None:
        return None
    version, at, sources = made
    traced = Traced(version, at)
    _descend(settings, table.path, sources, traced)
    return traced


def _descend(settings: Settings, reader: str, sources: Mapping[str, int], traced: Traced) -> None:
    """Add `sources` of `reader`, and of each batch table among them what its version was made from."""
    for path, version in sorted(sources.items()):
        if any(one.table == path and one.read_by == reader for one in traced.sources):
            continue
        traced.sources.append(Source(table=path, version=version, read_by=reader))
        table = BY_PATH.get(path)
        if table is None:
            continue
        if table.owner == "streaming":
            traced.streaming[path] = max(version, traced.streaming.get(path, -1))
        else:
            made = _made(open_table(settings, table), None, version)
            if made is not None:
                _descend(settings, path, made[2], traced)


def _made(
    opened: DeltaTable, day: date | None, until: int | None = None
) -> tuple[int, datetime | None, dict[str, int]] | None:
    """The newest commit of a batch table, up to the version `until`, that replaced rows, of `day` where given: version, time, sources.

    `opened` is at its newest version: opened at an older one, delta-rs numbers its history wrongly.
    """
    history = [commit for commit in opened.history() if until is None or commit["version"] <= until]
    for commit in history:
        note: dict[str, Any] = json.loads(commit.get("userMetadata") or "{}")
        if "sources" in note and (day is None or day.isoformat() in note.get("days", ())):
            return int(commit["version"]), _moment(commit), dict(note["sources"])
    if day is not None or not history:
        return None
    return int(history[0]["version"]), _moment(history[0]), {}


def _moment(commit: Mapping[str, Any]) -> datetime | None:
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) if "timestamp" in commit else None


def offsets_of(generation: Generation, traced: Traced) -> Cut | None:
    """The first ledger entry of the last 48 hours that holds all streaming tables at the versions of `traced`, else the newest.

    Adds the way from gold to silver and bronze. None before the first entry.
    """
    if LEDGER_STREAMING.name not in generation.metas:
        return None
    held = "".join(" AND table_versions[?] >= ?" for _ in traced.streaming)
    sql = "SELECT batch_id, committed_at, next_offsets, table_versions FROM ledger_streaming WHERE true"
    pairs = [value for pair in sorted(traced.streaming.items()) for value in pair]
    rows = generation.query(f"{sql}{held} ORDER BY batch_id LIMIT 1", pairs)
    rows = rows or generation.query(f"{sql} ORDER BY batch_id DESC LIMIT 1")
    if not rows:
        return None
    batch_id, committed_at, next_offsets, versions = rows[0]
    _add_streaming(traced, dict(versions))
    offsets = [
        Offsets(topic=name.rpartition("/")[0], partition=int(name.rpartition("/")[2]), until_offset=offset)
        for name, offset in sorted(dict(next_offsets).items())
    ]
    return Cut(batch_id=batch_id, committed_at=committed_at.replace(tzinfo=UTC), offsets=offsets)


def _add_streaming(traced: Traced, versions: Mapping[str, int]) -> None:
    """One micro-batch writes silver and live gold together, from bronze: the versions that the ledger names for it."""
    silver = [path for path in sorted(versions) if path.startswith("silver/")]
    for path in sorted(traced.streaming):
        if path.startswith("gold/"):
            traced.sources += [Source(table=below, version=versions[below], read_by=path) for below in silver]
    if BRONZE_EVENTS.path in versions:
        readers = sorted({one.table for one in traced.sources if one.table.startswith("silver/")})
        bronze = versions[BRONZE_EVENTS.path]
        traced.sources += [Source(table=BRONZE_EVENTS.path, version=bronze, read_by=path) for path in readers]
