"""A rebuild from end to end: make the tables again, compare, and swap what differs. The owner of the lake while it swaps."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession

from lakehouse import release
from lakehouse.errors import GlobalMartError
from lakehouse.lease import Lease
from lakehouse.ledger import LedgerEntry, read_entries
from lakehouse.live import views
from lakehouse.rebuild.compare import Comparison, compare
from lakehouse.rebuild.history import play, rebuilt_tables
from lakehouse.rebuild.staging import remove, staged
from lakehouse.rebuild.swap import swap, unfinished
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table
from lakehouse.streams.checkpoint import Checkpoint
from lakehouse.streams.sinks import Sinks
from lakehouse.tables import LEDGER_STREAMING, Table

Say = Callable[[str], None]


@dataclass(frozen=True)
class Rebuilt:
    """`comparisons` are of the state before; `swapped` are the paths whose content was replaced, none in a dry run."""

    batch_id: int
    record_count: int
    comparisons: list[Comparison]
    swapped: list[str]

    @property
    def is_equal(self) -> bool:
        return all(one.is_equal for one in self.comparisons)


def rebuild(
    settings: Settings,
    spark: Callable[[], SparkSession],
    now: datetime,
    dry_run: bool = False,
    swap_all: bool = False,
    say: Say = print,
) -> Rebuilt:
    """Make silver and live gold again from bronze up to the ledger's last batch, compare, and swap what differs.

    A dry run only compares, and may run beside the stream. Otherwise the streaming service must be stopped. `swap_all` also
    replaces what is equal. Raises LeaseHeldError while another process owns the tables,
    CheckpointError where the stream could not go on afterwards.
    """
    name = f"{'dry' if dry_run else 'swap'}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with nullcontext() if dry_run else Lease(settings, "streaming"):
        release.check(settings)
        if not dry_run:
            remove(settings, "swap-")  # what an earlier one left that was cut short
        entries = _entries(settings)
        if not dry_run:  # a damaged checkpoint is told before the work, not after it
            Checkpoint(settings).open(entries[-1], entries[-1].batch_id)
        tables = rebuilt_tables(views.views(settings))
        try:
            _make(settings, staged(settings, name), spark(), entries, tables, say)
            return _compare_and_swap(settings, staged(settings, name), entries, tables, now, dry_run, swap_all, say)
        finally:
            remove(settings, name)


def _entries(settings: Settings) -> list[LedgerEntry]:
    entries = read_entries(open_table(settings, LEDGER_STREAMING)) if exists(settings, LEDGER_STREAMING) else []
    if not entries:
        raise GlobalMartError(
            "Nothing has been streamed yet, so there is nothing to rebuild: `globalmart up` starts the stream."
        )
    return entries


def _make(
    settings: Settings,
    staging: Settings,
    spark: SparkSession,
    entries: list[LedgerEntry],
    tables: list[Table],
    say: Say,
) -> None:
    sinks = Sinks(staging, tables)
    sinks.create_missing()
    total = sum(entry.counts.get("record_count", 0) for entry in entries)
    say(f"making {len(tables)} tables from {total:,} records in {len(entries):,} batches")
    counts = {entry.batch_id: entry.counts.get("record_count", 0) for entry in entries}
    done = 0
    for last, rows in play(settings, staging, spark, entries):
        sinks.append(rows, last)
        done = sum(count for batch, count in counts.items() if batch <= last)
        say(f"  batch {last}: {done:,} of {total:,} records")


def _compare_and_swap(
    settings: Settings,
    staging: Settings,
    entries: list[LedgerEntry],
    tables: list[Table],
    now: datetime,
    dry_run: bool,
    swap_all: bool,
    say: Say,
) -> Rebuilt:
    last = entries[-1]
    scratch = settings.state_dir / "rebuild"
    comparisons = []
    if not dry_run:
        Sinks(settings, tables).create_missing()  # a table that is gone altogether compares as empty
    for table in tables:
        say(f"comparing {table.path}")
        comparisons.append(compare(settings, staging, table, last if dry_run else None, scratch))
    different = [table for table, found in zip(tables, comparisons, strict=True) if swap_all or not found.is_equal]
    if not dry_run and (different or unfinished(settings, tables, last)):
        say(f"swapping {len(different)} tables")
        swap(settings, staging, tables, different, last, now)
    count = sum(entry.counts.get("record_count", 0) for entry in entries)
    return Rebuilt(last.batch_id, count, comparisons, [] if dry_run else [table.path for table in different])
