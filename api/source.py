"""The gold tables as the refresher sees them: which commits are new, and the rows they added, read by delta-rs.

Looking for news is two small reads per table (the commit file last seen, and the next one), whatever the table's size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from api.errors import SourceError
from api.served import VERSION_COLUMN, serving_schema
from lakehouse.maintenance import TIDIED
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri
from lakehouse.tables import Table

# A store that is away must be noticed while the heartbeat is still fresh, not after delta-rs's three minutes of retries.
_IMPATIENCE = {"timeout": "10s", "connect_timeout": "2s", "max_retries": "1", "retry_timeout": "5s"}
_BATCH_ROWS = 65_536
# After a long absence news is taken in portions, so that a round ends and its result is published.
MOST_COMMITS = 500


@dataclass(frozen=True)
class Commit:
    """One commit: the data files it added, and whether it also took rows away (`removes`) or changed the table's form (`reforms`).

    `partitions` are the values of the first partition column whose rows it changed. `tidies`: it only took out of a table of
    snapshots what does not count, so that the table says the same once read.
    """

    version: int
    digest: str
    committed_at: datetime
    added: tuple[dict[str, Any], ...]
    removes: bool
    reforms: bool
    partitions: frozenset[str | None]
    tidies: bool

    @property
    def rewrites(self) -> bool:
        return self.removes or self.reforms

    @property
    def rows(self) -> int:
        return sum(json.loads(file.get("stats") or "{}").get("numRecords", _BATCH_ROWS) for file in self.added)


@dataclass(frozen=True)
class Snapshot:
    """The table, or the rows of it that were asked for, at one version; `batches` is read once."""

    version: int
    digest: str
    committed_at: datetime
    batches: pa.RecordBatchReader


class GoldTable:
    """One gold table in the lake. Every method raises SourceError, in one sentence, when the table cannot be read.

    Rows come with the columns of `schema`; without one with those of `serving_schema`.
    """

    def __init__(self, settings: Settings, table: Table, schema: pa.Schema | None = None) -> None:
        self.table = table
        self._uri = delta_uri(settings, table)
        options = delta_options(settings)
        self._options = {**options, **_IMPATIENCE} if options else {}
        self._schema = schema or serving_schema(table)
        self._folder: pafs.PyFileSystem | None = None

    def commit(self, version: int) -> Commit | None:
        """The commit `version`, or None where there is none (not yet, or its log was cleaned away)."""
        try:
            with self._files().open_input_stream(f"_delta_log/{version:020d}.json") as stream:
                raw = stream.read()
            return _parse(version, bytes(raw))
        except (FileNotFoundError, TableNotFoundError):
            return None
        except (OSError, DeltaError, ValueError, KeyError) as error:
            raise self._error(f"its commit {version}", error) from None

    def commits_since(self, version: int, digest: str) -> list[Commit] | None:
        """The commits after `version`, a portion at most; None where its commit is no longer the one with `digest`."""
        seen = self.commit(version)
        if seen is None or seen.digest != digest:
            return None
        commits: list[Commit] = []
        while len(commits) < MOST_COMMITS:
            commit = self.commit(version + len(commits) + 1)
            if commit is None:
                break
            commits.append(commit)
        return commits

    def snapshot(
        self, where: Callable[[pads.Dataset], pc.Expression | None] = lambda _: None, version: int | None = None
    ) -> Snapshot | None:
        """The table at `version` or its newest, as a whole or the rows that pass `where`; None where it does not exist.

        `where` gets the table at that version as a dataset.
        """
        try:
            delta = DeltaTable(self._uri, version=version, storage_options=self._options or None)
            version = delta.version()
            commit = self.commit(version)
            dataset = delta.to_pyarrow_dataset()
            rows = _by_row_group(dataset, where(dataset))
        except TableNotFoundError:
            return None
        except (OSError, DeltaError, pa.ArrowException, ValueError) as error:
            raise self._error("it", error) from None
        if commit is None:
            raise SourceError(
                f"The log of {self.table.path} has no commit {version}: the table is damaged, rebuild it."
            )
        batches = pa.RecordBatchReader.from_batches(self._schema, self._shaped(rows, version))
        return Snapshot(version, commit.digest, commit.committed_at, batches)

    def added_rows(self, commits: list[Commit]) -> pa.RecordBatchReader:
        """The rows of all files that `commits` added, each with its version, in the columns of `serving_schema`."""
        return pa.RecordBatchReader.from_batches(self._schema, self._read(commits))

    def _read(self, commits: list[Commit]) -> Iterator[pa.RecordBatch]:
        files = self._files()
        for commit in commits:
            for added in commit.added:
                with files.open_input_file(unquote(added["path"])) as file:
                    for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS):
                        yield self._shape(batch, commit.version, added.get("partitionValues") or {})

    def _shaped(self, rows: Iterator[pa.RecordBatch], version: int) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield self._shape(batch, version, {})

    def _shape(self, batch: pa.RecordBatch, version: int, partition: dict[str, str | None]) -> pa.RecordBatch:
        """`batch` with the declared columns in order: partition values filled in, absent columns null, version added."""
        columns = []
        for field in self._schema:
            if field.name == VERSION_COLUMN:
                columns.append(pa.repeat(pa.scalar(version, field.type), batch.num_rows))
            elif field.name in batch.schema.names:
                columns.append(batch.column(field.name).cast(field.type, safe=False))
            else:
                value = _partition_value(partition.get(field.name), field.type)
                columns.append(pa.repeat(pa.scalar(value, field.type), batch.num_rows))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _files(self) -> pafs.PyFileSystem:
        """The table's folder; opened once, so that its connections are kept."""
        if self._folder is None:
            self._folder = pafs.PyFileSystem(DeltaStorageHandler(self._uri, self._options or None))
        return self._folder

    def _error(self, what: str, error: Exception) -> SourceError:
        return SourceError(f"{self.table.path}: {what} cannot be read ({first_line(error)}).")


def _by_row_group(dataset: pads.Dataset, where: pc.Expression | None) -> Iterator[pa.RecordBatch]:
    """The rows that pass, one row group in memory at a time: a scan of the dataset would read some files ahead as a whole."""
    for file in dataset.get_fragments(where):
        for group in file.split_by_row_group(where, dataset.schema):
            yield from group.to_batches(dataset.schema, filter=where, batch_size=_BATCH_ROWS)


def newest_value(dataset: pads.Dataset, column: str) -> Any:
    """The highest value of one column, which is all that is read; None without rows."""
    newest: Any = None
    for batch in dataset.scanner(columns=[column], use_threads=False).to_batches():
        found = pc.max(batch.column(0)).as_py()
        newest = found if newest is None or (found is not None and found > newest) else newest
    return newest


def days_of(dataset: pads.Dataset, column: str) -> list[date]:
    """The days of a table partitioned by the day `column`, newest first; no row is read."""
    keys = (pads.get_partition_keys(fragment.partition_expression) for fragment in dataset.get_fragments())
    return sorted({date.fromisoformat(str(key[column])) for key in keys}, reverse=True)


def first_line(error: Exception) -> str:
    """The error's first line: what is below it are the layers of a library."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _parse(version: int, raw: bytes) -> Commit:
    """Read a commit file.

    A compaction says of both its removed and its added files that no data changed: there is nothing to read.
    """
    actions = [json.loads(line) for line in raw.splitlines() if line.strip()]
    added = tuple(a["add"] for a in actions if "add" in a and a["add"].get("dataChange", True))
    removed = [a["remove"] for a in actions if "remove" in a and a["remove"].get("dataChange", True)]
    info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
    millis = info.get("timestamp") or max((a["modificationTime"] for a in added), default=0)
    return Commit(
        version,
        hashlib.sha256(raw).hexdigest(),
        datetime.fromtimestamp(millis / 1000, UTC).replace(tzinfo=None),
        added,
        bool(removed),
        any("metaData" in a or (a.get("add") or {}).get("deletionVector") for a in actions),
        frozenset(next(iter((file.get("partitionValues") or {}).values()), None) for file in (*added, *removed)),
        TIDIED in info,
    )


def _partition_value(text: str | None, kind: pa.DataType) -> Any:
    if text is None or text == "":
        return None
    return date.fromisoformat(text) if pa.types.is_date(kind) else text
