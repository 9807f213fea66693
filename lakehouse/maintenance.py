"""Keeping tables small: compaction, and taking away what no reader may still need. Run by the table's owner, between batches.

Between batches and in the owner's own process because whoever else wrote to the table would make the owner's next commit fail.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from lakehouse.errors import FencedError
from lakehouse.live.base import newest
from lakehouse.settings import Settings
from lakehouse.tables import Table

log = logging.getLogger(__name__)

TARGET_BYTES = 32 * 1024 * 1024
"""Files above this are left alone, so that a compaction rewrites little of what an earlier one wrote."""
WRITER = WriterProperties(compression="ZSTD", compression_level=1)
HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
ALONE = CommitProperties(max_commit_retries=0)
TIDIED = "globalmart.tidied"
"""In the log's entry of a compaction of snapshots: rows went that do not count, so whoever follows the table need not look."""
_SWEEP_EVERY = timedelta(hours=24)
_REST = 9
"""After a compaction the stream has this many times its duration to itself: tables that gain files alike become due all at once."""


class Maintenance:
    """The maintenance of one owner's open tables. `after_batch` is to be called once a batch is in the ledger."""

    def __init__(self, settings: Settings, tables: dict[str, Table], opened: dict[str, DeltaTable]) -> None:
        self._tables, self._opened = tables, opened
        self._most_files = settings.compact_files
        self._retention_hours = settings.history_days * 24
        self._commits = {path: len(delta.file_uris()) for path, delta in opened.items()}
        self._versions = {path: delta.version() for path, delta in opened.items()}
        self._swept_at: datetime | None = None
        self._rests_until = datetime.min.replace(tzinfo=UTC)

    def after_batch(self, now: datetime, is_idle: bool) -> None:
        """Compact the table that needs it most, one at most and of snapshots one partition, so that the stream hardly waits; all snapshots
        once it is idle.

        Under load compactions take a tenth of the time, more only where a table has gained twice the files that it may.
        Once a day, and then only while idle, files that no version within `history_days` names are deleted.
        Raises FencedError when another process has written to a table.
        """
        for path, delta in self._opened.items():
            self._commits[path] += max(0, delta.version() - self._versions[path])
            self._versions[path] = delta.version()
        worst = max(self._commits, key=lambda path: self._commits[path])
        most = self._most_files if now >= self._rests_until else 2 * self._most_files
        if self._commits[worst] > most:
            began = time.monotonic()
            self._compact(worst, partitions=1)
            self._rests_until = now + _REST * timedelta(seconds=time.monotonic() - began)
        if is_idle:
            for path, table in self._tables.items():
                if table.reading == "snapshots" and self._commits[path] > 1:
                    self._compact(path)
            if self._swept_at is None or now - self._swept_at > _SWEEP_EVERY:
                self._swept_at = now
                self._sweep()

    def _compact(self, path: str, partitions: int | None = None) -> None:
        """`partitions` at most of a table of snapshots, all where None; the rest of them is due next."""
        began = time.monotonic()
        left = 0
        table, delta = self._tables[path], self._opened[path]
        before = len(delta.file_uris())
        try:
            if table.reading == "snapshots":
                left = compact_snapshots(table, delta, partitions)
            else:
                delta.optimize.compact(
                    target_size=TARGET_BYTES,
                    writer_properties=WRITER,
                    commit_properties=ALONE,
                    post_commithook_properties=HOOKS,
                )
        except CommitFailedError as error:
            raise FencedError(
                f"Another process has written to {path}: this one has been replaced and stops."
            ) from error
        self._commits[path], self._versions[path] = left, delta.version()
        log.info(
            "compacted %s: %d to %d files in %.1f s", path, before, len(delta.file_uris()), time.monotonic() - began
        )

    def _sweep(self) -> None:
        for path, delta in self._opened.items():
            gone = delta.vacuum(self._retention_hours, dry_run=False, enforce_retention_duration=False)
            delta.cleanup_metadata()
            self._versions[path] = delta.version()
            if gone:
                log.info("deleted %d files of %s that no version of the last days names", len(gone), path)


def compact_snapshots(table: Table, delta: DeltaTable, partitions: int | None = None) -> int:
    """Leave one row per key, in one commit per partition that has more than one file; what it says once read stays the same.

    With `partitions` only in as many as that, those with most files. Returns the most files that a partition left out still has.
    """
    if not table.partition_by:
        _overwrite(table, delta, delta.to_pyarrow_dataset().to_table(), None)
        return 0
    (column,) = table.partition_by
    actions = pa.table(delta.get_add_actions(flatten=True))
    files = Counter(actions[f"partition.{column}"].to_pylist()).most_common()
    taken = len(files) if partitions is None else partitions
    for value, count in files[:taken]:
        if count > 1:
            rows = delta.to_pyarrow_dataset().to_table(filter=pc.field(column) == value)
            _overwrite(table, delta, rows, f"{column} = '{value}'")
    return max((count for _, count in files[taken:]), default=0)


def _overwrite(table: Table, delta: DeltaTable, rows: pa.Table, predicate: str | None) -> None:
    write_deltalake(
        delta,
        newest(rows.select(table.schema.names).cast(table.schema), table),
        mode="overwrite",
        predicate=predicate,
        writer_properties=WRITER,
        commit_properties=CommitProperties(max_commit_retries=0, custom_metadata={TIDIED: "snapshots"}),
        post_commithook_properties=HOOKS,
    )
