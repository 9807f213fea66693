"""What the refresher holds of each table between two refreshes, and how it takes the news of one: pure of loops and files' pointers.

News goes into the *tail*, rows in memory that every live file carries. A tail that has grown long is folded into the base
file. A batch table is brought up to date by the days that its commits touched, any other rewrite loads the table anew, and a
compaction changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from api.builder import Kept, Rows, write_base
from api.manifest import TableMeta
from api.served import HOW, Served, serving_schema
from api.source import MOST_COMMITS, Commit, GoldTable, Snapshot, days_of, newest_value
from lakehouse.settings import Settings

# Pages of an answer can be asked for at least so long after its first one.
PINNED_SECONDS = 600.0


@dataclass(frozen=True)
class Held:
    """One table: what is known of it, its base file, and the rows that no base file has."""

    meta: TableMeta
    tail: pa.Table
    base: str | None = None


class Holding:
    """The held tables of one serving folder. Two threads may use it, each for tables of its own or to fold."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.held: dict[str, Held] = {}
        self._folder = folder
        self._memory_gb = settings.duckdb_memory_gb / 2
        self._sources = {name: GoldTable(settings, one.table) for name, one in HOW.items()}
        self._lock = threading.Lock()
        self._building: set[str] = set()
        self._published: deque[tuple[float, dict[str, int]]] = deque()

    def now(self) -> tuple[dict[str, Held], set[str]]:
        """All tables as they are held at one moment, and the files that must stay for them."""
        with self._lock:
            held = dict(self.held)
            return held, {one.base for one in held.values() if one.base} | self._building

    def published(self, held: dict[str, Held]) -> None:
        """Remember which versions can be read from now on."""
        now = time.monotonic()
        self._published.append((now, {name: one.meta.delta_version for name, one in held.items()}))
        while len(self._published) > 1 and self._published[1][0] < now - PINNED_SECONDS:
            self._published.popleft()

    def take(self, served: Served) -> bool:
        """Bring one table to its newest version, without folding; True where that changed anything. Raises SourceError."""
        name = served.table.name
        held = self.held.get(name)
        commits = self._sources[name].commits_since(held.meta.delta_version, held.meta.log_digest) if held else None
        if held is None or commits is None:
            return self._load(served)
        if not commits:
            return False
        news = [commit for commit in commits if not commit.tidies]
        if served.days is not None:
            return self._take_days(served, held, news, commits[-1])
        if any(commit.rewrites for commit in news):
            return self._load(served)
        fresh = [commit for commit in news if commit.added]
        added = self._sources[name].added_rows(fresh).read_all()
        known_at = max(held.meta.known_at, _known_at(added, fresh, held.meta.known_at))
        with self._lock:
            held = self.held[name]  # a fold may have ended meanwhile
            meta = _at(held.meta, commits[-1], held.meta.rows + added.num_rows, max(held.meta.known_at, known_at))
            self.held[name] = replace(held, meta=meta, tail=pa.concat_tables([held.tail, added]))
        return True

    def fold(self, served: Served, least_rows: int) -> bool:
        """Move the tail into a new base file where it has `least_rows`; True where it has been done."""
        name = served.table.name
        held = self.held.get(name)
        if held is None or held.tail.num_rows < least_rows:
            return False
        since, seen = None, self._horizon(held.meta)
        if served.keep is not None:
            newest = self._newest(served, held)
            since = newest - served.keep if newest is not None else None
        file, rows, known = self._write(served, [held.tail], Kept(held.base, since=since, seen=seen))
        with self._lock:
            now = self.held.get(name)
            if now is None or (now.meta.epoch, now.base) != (held.meta.epoch, held.base):  # loaded or folded meanwhile
                self._building.discard(file)
                return False
            rest = now.tail.slice(held.tail.num_rows)
            meta = replace(now.meta, rows=rows + rest.num_rows, known_at=max(now.meta.known_at, known or datetime.min))
            if served.table.reading == "snapshots":
                meta = replace(meta, loaded_version=max(meta.loaded_version, seen))
            self.held[name] = Held(meta, rest, file)
            self._building.discard(file)
        return True

    def _horizon(self, meta: TableMeta) -> int:
        """The version before which nobody may ask for pages any more."""
        known = self._published[0][1].get(meta.name) if self._published else None
        is_old = bool(self._published) and self._published[0][0] < time.monotonic() - PINNED_SECONDS
        return max(meta.loaded_version, known) if is_old and known is not None else meta.loaded_version

    def _take_days(self, served: Served, held: Held, news: list[Commit], last: Commit) -> bool:
        """Replace the days that the commits touched, as far as they are among those that are kept."""
        changed = [commit for commit in news if commit.added or commit.rewrites]
        if not changed:
            self._put(replace(held, meta=_at(held.meta, last, held.meta.rows, held.meta.known_at)))
            return True
        touched = {text for commit in changed for text in commit.partitions}
        if None in touched or len(news) == MOST_COMMITS or any(commit.reforms for commit in changed):
            return self._load(served)
        days = frozenset(date.fromisoformat(text) for text in touched if text is not None)
        kept: list[date] = []

        def wanted(dataset: pads.Dataset) -> pc.Expression:
            kept[:] = days_of(dataset, str(served.column))[: served.days]
            return pc.field(served.column).isin(pa.array(sorted(days.intersection(kept)), pa.date32()))

        snapshot = self._sources[served.table.name].snapshot(wanted, last.version)
        if snapshot is None or not kept:
            return self._load(served)
        if days.isdisjoint(kept) and self._days(served, held) == set(kept):  # days of long ago, made again
            self._put(replace(held, meta=_at(held.meta, last, held.meta.rows, held.meta.known_at)))
            return True
        file, rows, _ = self._write(served, [snapshot.batches], Kept(held.base, days, kept[-1]))
        meta = _at(held.meta, last, rows, last.committed_at)
        if any(commit.removes for commit in changed):
            meta = replace(meta, loaded_version=last.version)
        self._put(Held(meta, held.tail, file))
        return True

    def _load(self, served: Served) -> bool:
        """Load the table as a whole into a new base file. A table that is gone is no longer served."""
        name = served.table.name
        snapshot = self._sources[name].snapshot(lambda dataset: _newest_rows(served, dataset))
        if snapshot is None:
            with self._lock:
                return self.held.pop(name, None) is not None
        file, rows, known_at = self._write(served, [snapshot.batches], Kept(seen=snapshot.version))
        self._put(Held(_loaded(name, snapshot, rows, known_at), serving_schema(served.table).empty_table(), file))
        return True

    def _write(self, served: Served, parts: list[Rows], kept: Kept) -> tuple[str, int, datetime | None]:
        """A new base file: its name, its rows, and when the newest of them was known, where the table says so."""
        name = served.table.name
        file = f"{name}-{uuid4().hex[:12]}.duckdb"
        with self._lock:
            self._building.add(file)
        write_base(self._folder, file, served.table, parts, self._memory_gb, kept)
        newest = "max(known_at)" if "known_at" in served.names else "NULL::TIMESTAMP"
        with duckdb.connect(str(self._folder / file), read_only=True) as con:
            ((rows, known_at),) = con.execute(f'SELECT count(*), {newest} FROM "{name}"').fetchall()  # noqa: S608
        return file, rows, known_at

    def _newest(self, served: Served, held: Held) -> datetime | None:
        found: list[datetime] = [pc.max(held.tail[served.column]).as_py()] if held.tail.num_rows else []
        if held.base:
            with duckdb.connect(str(self._folder / held.base), read_only=True) as con:
                sql = f'SELECT max("{served.column}") FROM "{served.table.name}"'  # noqa: S608
                found += [row[0] for row in con.execute(sql).fetchall()]
        return max((moment for moment in found if moment is not None), default=None)

    def _days(self, served: Served, held: Held) -> set[date]:
        """The days that the base file has."""
        with duckdb.connect(str(self._folder / str(held.base)), read_only=True) as con:
            sql = f'SELECT DISTINCT "{served.column}" FROM "{served.table.name}"'  # noqa: S608
            return {day for (day,) in con.execute(sql).fetchall()}

    def _put(self, held: Held) -> None:
        with self._lock:
            self.held[held.meta.name] = held
            self._building.discard(held.base or "")


def _newest_rows(served: Served, dataset: pads.Dataset) -> pc.Expression | None:
    """The filter of a load: the newest rows or days of the table, where not all are served."""
    if served.column is None:
        return None
    if served.days is not None:
        days = days_of(dataset, served.column)[: served.days]
        return pc.field(served.column).isin(pa.array(days, pa.date32()))
    newest = newest_value(dataset, served.column)
    if newest is None or served.keep is None:
        return None
    since = pa.scalar(newest - served.keep, served.table.schema.field(served.column).type)
    return pc.field(served.column) >= since


def _at(meta: TableMeta, last: Commit, rows: int, known_at: datetime) -> TableMeta:
    return replace(meta, delta_version=last.version, log_digest=last.digest, rows=rows, known_at=known_at)


def _loaded(name: str, snapshot: Snapshot, rows: int, known_at: datetime | None) -> TableMeta:
    known_at = known_at or snapshot.committed_at
    version = snapshot.version
    return TableMeta(name, version, version, uuid4().hex, snapshot.digest, rows, known_at, known_at)


def _known_at(added: pa.Table, commits: list[Commit], default: datetime) -> datetime:
    if "known_at" in added.schema.names:
        newest: datetime | None = pc.max(added["known_at"]).as_py()
        return newest or default
    return max((commit.committed_at for commit in commits), default=default)
