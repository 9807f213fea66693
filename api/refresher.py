"""The refresher (`python -m api.refresher`): keeps the serving folder at the newest gold versions, one small step at a time.

A refresh reads only the files that new commits added. They go into a small live file, written anew each time; when the live
rows of a table have grown to FOLD_ROWS they are folded into a copy of its base file. A commit that takes rows away, or a
table made anew, reloads that table as a whole. A compaction changes no data and costs nothing.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from api.builder import read_live, remove_unused, write_base, write_live
from api.errors import ServingFileError
from api.manifest import SERVED, Manifest, TableMeta, read_manifest, serving_schema, write_manifest
from api.mirror.service import MirrorService
from api.source import Commit, GoldTable, first_line
from lakehouse.errors import GlobalMartError
from lakehouse.heartbeat import Pulse, stop_on_signals
from lakehouse.settings import Settings, load_settings
from lakehouse.tables import Table

FOLD_ROWS = 50_000
# What the world outside may do to a refresh; anything else is a bug and ends the process with its traceback.
_CURABLE = (GlobalMartError, OSError, DeltaError, pa.ArrowException, duckdb.Error)


@dataclass
class Refresher:
    """The state between two refreshes: the current set, and the live rows. Rows are read once and kept until folded."""

    settings: Settings
    fold_rows: int = FOLD_ROWS
    manifest: Manifest = field(default_factory=Manifest)
    metas: dict[str, TableMeta] = field(default_factory=dict)
    tails: dict[str, pa.Table] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.settings.serving_dir
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sources = {table.name: GoldTable(self.settings, table) for table in SERVED}
        self._resume()
        self._recent = [self.manifest]
        self._bases = dict(self.manifest.bases)
        self._unpublished = not self.manifest.live

    def refresh(self) -> bool:
        """Bring the folder to the newest gold versions; True if a new set was published.

        What cannot be read stays as it was and is named in `problems`; the other tables go on.
        """
        self.problems = {}
        for table in SERVED:
            try:
                # Kept until published: a publication that fails (a full disk) is tried again at the next refresh.
                self._unpublished |= self._refresh_table(table)
            except _CURABLE as error:
                self.problems[table.path] = str(error) if isinstance(error, GlobalMartError) else first_line(error)
        if not self._unpublished:
            return False
        self._publish()
        self._unpublished = False
        return True

    def _resume(self) -> None:
        """Go on from the files of the last run. Damaged ones are given up: everything is loaded anew."""
        try:
            manifest = read_manifest(self.folder)
            if manifest is not None:
                self.tails, metas = read_live(self.folder, manifest)
                self.metas = {meta.name: meta for meta in metas}
                self.manifest = manifest
        except ServingFileError:
            self.tails, self.metas = {}, {}
            # The names of a damaged set are never used again: a reader may still have its files open.
            self.manifest = Manifest(sequence=int(datetime.now(UTC).timestamp()))

    def _refresh_table(self, table: Table) -> bool:
        meta = self.metas.get(table.name)
        commits = self._new_commits(table, meta)
        if meta is None or commits is None:
            return self._load(table)
        if not commits:
            return False
        last = commits[-1]
        fresh = [commit for commit in commits if commit.added]
        count = sum(commit.rows for commit in fresh)
        tail = self.tails[table.name]
        if tail.num_rows + count < self.fold_rows:
            added = self._sources[table.name].added_rows(fresh).read_all()
            self.tails[table.name] = pa.concat_tables([tail, added])
            rows = meta.rows + added.num_rows
            known_at = max(meta.known_at, _known_at(added, fresh, meta.known_at))
        else:
            name = self._base_name(table)
            parts = [tail, self._sources[table.name].added_rows(fresh)]
            copy_of = self._bases.get(table.name)
            write_base(self.folder, name, table, parts, self.settings.duckdb_memory_gb, copy_of)
            rows, known_at = self._summary(table, name, last.committed_at)
            self._bases[table.name] = name
            self.tails[table.name] = serving_schema(table).empty_table()
        self.metas[table.name] = replace(
            meta, delta_version=last.version, log_digest=last.digest, rows=rows, known_at=known_at
        )
        return True

    def _new_commits(self, table: Table, meta: TableMeta | None) -> list[Commit] | None:
        """The commits since `meta`; None where only a full load will do."""
        if meta is None:
            return None
        commits = self._sources[table.name].commits_since(meta.delta_version, meta.log_digest)
        return None if commits is None or any(commit.rewrites for commit in commits) else commits

    def _load(self, table: Table) -> bool:
        """Load the table as a whole into a new base file. A table that is gone is no longer served."""
        snapshot = self._sources[table.name].snapshot()
        if snapshot is None:
            self._bases.pop(table.name, None)
            self.tails.pop(table.name, None)
            return self.metas.pop(table.name, None) is not None
        name = self._base_name(table)
        write_base(self.folder, name, table, [snapshot.batches], self.settings.duckdb_memory_gb)
        rows, known_at = self._summary(table, name, snapshot.committed_at)
        self._bases[table.name] = name
        self.tails[table.name] = serving_schema(table).empty_table()
        self.metas[table.name] = TableMeta(
            table.name, snapshot.version, snapshot.version, uuid4().hex, snapshot.digest, rows, known_at, known_at
        )
        return True

    def _base_name(self, table: Table) -> str:
        return f"{table.name}-{self.manifest.sequence + 1}.duckdb"

    def _summary(self, table: Table, name: str, committed_at: datetime) -> tuple[int, datetime]:
        """Rows of a base file, and when their newest was known: `known_at` where the table has it, else the commit's time."""
        newest = "max(known_at)" if "known_at" in table.schema.names else "NULL::TIMESTAMP"
        with duckdb.connect(str(self.folder / name), read_only=True) as con:
            row = con.execute(f'SELECT count(*), {newest} FROM "{table.name}"').fetchone()  # noqa: S608
        assert row is not None  # noqa: S101 - an aggregate always has one row
        return row[0], row[1] or committed_at

    def _publish(self) -> None:
        sequence = self.manifest.sequence + 1
        built_at = datetime.now(UTC).replace(tzinfo=None)
        self.metas = {name: replace(meta, built_at=built_at) for name, meta in self.metas.items()}
        live = f"live-{sequence}.duckdb"
        write_live(self.folder, live, self.tails, self.metas, self.settings.duckdb_memory_gb)
        self.manifest = replace(self.manifest, sequence=sequence, live=live, bases=dict(self._bases))
        write_manifest(self.folder, self.manifest)
        self._recent = [*self._recent[-10:], self.manifest]
        remove_unused(self.folder, self._recent)


def _known_at(added: pa.Table, commits: list[Commit], default: datetime) -> datetime:
    if "known_at" in added.schema.names:
        newest: datetime | None = pc.max(added["known_at"]).as_py()
        return newest or default
    return max((commit.committed_at for commit in commits), default=default)


def run(settings: Settings, stop: threading.Event) -> None:
    """Refresh every `settings.refresh_seconds` until `stop`; the heartbeat `refresher` says how it went.

    The PostgreSQL mirror is kept beside it. What that waits for is in the heartbeat too, and holds up nothing else.
    """
    with Pulse(settings, "refresher") as pulse:
        mirror = MirrorService(settings, stop)
        mirror.start()
        refresher: Refresher | None = None
        while not stop.is_set():
            try:
                refresher = refresher or Refresher(settings)
                refresher.refresh()
                reason = " ".join(refresher.problems.values())
            except _CURABLE as error:
                reason = str(error) if isinstance(error, GlobalMartError) else first_line(error)
            served = {m.name: m.delta_version for m in refresher.metas.values()} if refresher else {}
            state = "waiting" if reason else "running"
            pulse.say(state, reason=reason or None, table_versions=served, mirror=mirror.said())
            stop.wait(settings.refresh_seconds)


def main() -> int:
    stop = stop_on_signals()
    try:
        run(load_settings("serving"), stop)
    except GlobalMartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
