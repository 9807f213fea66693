"""Maintenance of the batch side's tables: compaction, clustering, VACUUM, log; and the sizes of all tables, kept in `ops/table_sizes`.

delta-rs does it and no JVM is needed: under the batch lease there is no Spark driver that it could race with.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError

from lakehouse import release
from lakehouse.lease import Lease
from lakehouse.maintenance import ALONE, HOOKS, TARGET_BYTES
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri, exists, open_table
from lakehouse.tables import TABLE_SIZES, TABLES, Table
from lakehouse.travel import Log, paths

log = logging.getLogger(__name__)

CLUSTERED_BY = {"gold/customer_rfm": "user_id", "gold/customer_lifetime_value": "user_id"}
"""Tables in which one row of millions is looked up; sorted by that column a look-up reads one file of a day (docs/adr/0011)."""
# Small row groups: a look-up in a sorted file reads one, and who reads a whole table holds one or two in memory.
_WRITER = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=131_072)


@dataclass(frozen=True)
class Kept:
    """What a run did to one table. `deleted` counts data files, `files` are those before and after."""

    table: Table
    files_before: int
    files_after: int
    clustered: tuple[str, ...]
    deleted: int
    pinned: tuple[int, ...]


def run(settings: Settings, now: datetime, say: Callable[[str], None] = print) -> tuple[list[Kept], pa.Table]:
    """Maintain all tables of the batch side, then measure all tables of the lake and append that to `ops/table_sizes`.

    `settings` are those of the batch service. While a batch run owns the tables it waits, as such a run waits for another, and says so.
    Raises LeaseHeldError where that takes longer than `batch_wait_minutes`.
    """
    with Lease(settings, "batch", patience_seconds=settings.batch_wait_minutes * 60, say=say):
        release.check(settings)
        done = maintain(settings, [table for table in TABLES if table.owner == "batch"])
        sizes = measure(settings, TABLES, now)
        append(settings, TABLE_SIZES, sizes)
    return done, sizes


def maintain(settings: Settings, tables: Iterable[Table]) -> list[Kept]:
    """Compact, cluster and sweep those of `tables` that exist. The caller holds the batch lease."""
    pins = pinned(settings)
    return [maintain_table(settings, table, pins.get(table.path, set())) for table in tables if exists(settings, table)]


def maintain_table(settings: Settings, table: Table, pins: set[int]) -> Kept:
    """Maintain one table. Files that any version of the last `batch_history_days` needs stay, and those of `pins`."""
    delta = open_table(settings, table)
    before = len(delta.file_uris())
    _declare(delta, table)
    clustered = _cluster(delta, table)
    delta.optimize.compact(
        target_size=TARGET_BYTES,
        writer_properties=_WRITER,
        commit_properties=ALONE,
        post_commithook_properties=HOOKS,
    )
    newest, oldest = delta.version(), Log(settings, table).oldest_in_log
    kept = sorted(version for version in pins if oldest <= version <= newest)
    gone = delta.vacuum(
        settings.batch_history_days * 24,
        dry_run=False,
        enforce_retention_duration=False,  # the setting has its own floor
        keep_versions=kept or None,
        commit_properties=ALONE,
    )
    delta.create_checkpoint()  # a log is only cleaned up to a checkpoint
    delta.cleanup_metadata()
    after = len(delta.file_uris())
    log.info("maintained %s: %d to %d files, %d deleted", table.path, before, after, len(gone))
    return Kept(table, before, after, clustered, len(gone), tuple(kept))


def _declare(delta: DeltaTable, table: Table) -> None:
    """Give a table that was made by an older release the properties that `lakehouse.tables` declares now."""
    there = delta.metadata().configuration
    missing = {name: value for name, value in table.properties.items() if there.get(name) != value}
    if missing:
        delta.alter.set_table_properties(missing, commit_properties=ALONE)


def _cluster(delta: DeltaTable, table: Table) -> tuple[str, ...]:
    """Sort the partitions whose files overlap in the clustering column; a sorted one is left alone. Returns their values."""
    column = CLUSTERED_BY.get(table.path)
    if column is None:
        return ()
    (partition,) = table.partition_by
    ranges: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        ranges[str(file[f"partition.{partition}"])].append((file.get(f"min.{column}"), file.get(f"max.{column}")))
    mixed = tuple(sorted(value for value, spans in ranges.items() if _overlap(spans)))
    for value in mixed:  # one at a time: what is sorted is held in memory up to the spill
        delta.optimize.z_order(
            [column],
            partition_filters=[(partition, "=", value)],
            target_size=TARGET_BYTES,
            writer_properties=_WRITER,
            commit_properties=ALONE,
            post_commithook_properties=HOOKS,
        )
    return mixed


def _overlap(spans: list[tuple[Any, Any]]) -> bool:
    """Whether two of the (lowest, highest) share a value; a file without statistics may share any. A border may be shared."""
    if len(spans) < 2:
        return False
    if any(low is None or high is None for low, high in spans):
        return True
    ordered = sorted(spans)
    return any(after[0] < before[1] for before, after in pairwise(ordered))


def pinned(settings: Settings) -> dict[str, set[int]]:
    """Per batch table, the versions that may be read however old they are: each one's last made rows, and what others were made from.

    A table that is seldom made (a dimension, the day of a country's last sale) is checked and joined at these versions.
    """
    batch = {table.path: table for table in TABLES if table.owner == "batch"}
    pins: dict[str, set[int]] = defaultdict(set)
    for path, table in batch.items():
        try:
            history = open_table(settings, table).history()
        except TableNotFoundError:
            continue
        version, note = next(
            ((one["version"], note) for one in history if (note := _note(one)) is not None), (None, {})
        )
        if version is None:
            continue
        pins[path].add(int(version))
        for source, version in note.items():
            if source in batch:
                pins[source].add(version)
    return dict(pins)


def _note(entry: dict[str, Any]) -> dict[str, int] | None:
    """The versions by table path that a commit of `lakehouse.batch` says its rows were made from; None of any other commit."""
    try:
        note = json.loads(entry.get("userMetadata") or "null")
    except ValueError:
        return None
    return note.get("sources") if isinstance(note, dict) else None


def measure(settings: Settings, tables: Iterable[Table], now: datetime) -> pa.Table:
    """Rows of `ops/table_sizes` for those of `tables` that exist, measured from their logs and folders."""
    found = [_measured(settings, table, now) for table in tables if exists(settings, table)]
    return pa.Table.from_pylist(found, TABLE_SIZES.schema)


def _measured(settings: Settings, table: Table, now: datetime) -> dict[str, Any]:
    history = Log(settings, table)
    delta = open_table(settings, table, history.newest)
    actions = pa.table(delta.get_add_actions())
    counts = actions["num_records"].to_pylist()
    oldest = history.oldest_readable()
    return {
        "measured_at": now,
        "table_path": table.path,
        "version": history.newest,
        "file_count": len(paths(delta)),
        "byte_count": sum(actions["size_bytes"].to_pylist()),
        "row_count": None if None in counts else sum(counts),
        "oldest_version": oldest,
        "oldest_at": history.committed_at(oldest),
    }


def append(settings: Settings, table: Table, rows: pa.Table) -> int:
    """Append to a batch table that no Spark run writes, made where it is missing; its version. The caller holds the batch lease."""
    delta = DeltaTable.create(
        delta_uri(settings, table),
        schema=Schema.from_arrow(table.schema),
        mode="ignore",
        name=table.name,
        description=table.grain,
        configuration=dict(table.properties),
        storage_options=delta_options(settings),
    )
    write_deltalake(delta, rows, mode="append")
    return int(delta.version())


def sentence(done: Kept) -> str:
    """What a run did to one table, in words."""
    words = f"{done.table.path:<32} {done.files_before} to {done.files_after} files"
    words += f", sorted {', '.join(done.clustered)}" if done.clustered else ""
    return words + (f", {done.deleted} old files deleted" if done.deleted else "")
