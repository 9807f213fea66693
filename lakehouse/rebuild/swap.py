"""Rebuilt content put in the place of the live tables' content: one commit for each table, made true by one entry in the ledger.

The ledger gets two entries, each of a checkpoint generation that does not exist. The first has the versions from before the swap: should it
be cut short, the next start of the stream takes the tables back to them, and a second rebuild does the rest. The last has the versions after
it: the next start opens a new generation there and goes on at the ledger's offsets.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from lakehouse import tables as t
from lakehouse.errors import FencedError
from lakehouse.ledger import NO_BATCH, LedgerEntry
from lakehouse.maintenance import HOOKS, WRITER
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.streams.checkpoint import Checkpoint
from lakehouse.streams.sinks import Sinks
from lakehouse.tables import Table


def swap(
    settings: Settings,
    rebuilt: Settings,
    made: Collection[Table],
    different: Collection[Table],
    last: LedgerEntry,
    now: datetime,
) -> dict[str, int]:
    """Replace the content of the `different` of all tables `made`; returns the version of each streaming table afterwards.

    The caller holds the streaming lease. Raises FencedError when somebody else writes all the same, CheckpointError when the
    streaming checkpoint is damaged.
    """
    sinks = Sinks(settings, [table for table in t.TABLES if table.owner == "streaming"])
    sinks.create_missing()
    batch_id = max(sinks.last_batch(), last.batch_id)
    newest = Checkpoint(settings).open(last, batch_id)
    generation = newest.number if newest.is_new else newest.number + 1
    note = replace(
        last,
        generation=generation,
        spark_batch_id=NO_BATCH,
        committed_at=now,
        counts=dict.fromkeys(last.counts, 0),
    )

    begun = replace(note, batch_id=batch_id + 1)
    sinks.append({t.LEDGER_STREAMING.path: begun.to_rows()}, begun.batch_id)
    swapped = {table.path: _replace(settings, rebuilt, table) for table in different}
    versions = last.table_versions | _unproven(settings, made, last) | swapped
    done = replace(note, batch_id=batch_id + 2, table_versions=versions)
    sinks.append({t.LEDGER_STREAMING.path: done.to_rows()}, done.batch_id)
    return versions


def unfinished(settings: Settings, made: Collection[Table], last: LedgerEntry) -> bool:
    """Whether an earlier swap was cut short: `last` is its first entry, and some table has left the version that it names."""
    now = _unproven(settings, made, last)
    return last.spark_batch_id == NO_BATCH and any(now[path] != last.table_versions.get(path, 0) for path in now)


def _unproven(settings: Settings, made: Collection[Table], last: LedgerEntry) -> dict[str, int]:
    """Newest versions of tables that hold nothing above the ledger: those `made`, which were compared, and others by their files."""
    versions = {}
    for table in t.TABLES:
        if table.owner != "streaming" or table.path == t.LEDGER_STREAMING.path:
            continue
        opened = open_table(settings, table)
        if table in made or _highest_batch(opened) <= last.batch_id:
            versions[table.path] = opened.version()
    return versions


def _highest_batch(table: DeltaTable) -> int:
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return -1
    return max(2**62 if batch is None else batch for batch in actions["max.batch_id"].to_pylist())


def _replace(settings: Settings, rebuilt: Settings, table: Table) -> int:
    """One commit that takes all files out and the rebuilt rows in; returns its version."""
    live = open_table(settings, table)
    rows = open_table(rebuilt, table).to_pyarrow_dataset().scanner(columns=table.schema.names, use_threads=False)
    try:
        write_deltalake(
            live,
            rows.to_reader(),
            mode="overwrite",
            writer_properties=WRITER,
            commit_properties=CommitProperties(max_commit_retries=0, custom_metadata={"globalmart.rebuild": "swap"}),
            post_commithook_properties=HOOKS,
        )
    except CommitFailedError as error:
        raise FencedError(f"Another process has written to {table.path}: the rebuild stops ({error}).") from error
    return int(live.version())
