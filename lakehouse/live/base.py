"""What a live view is: state, loaded from the lake as of a ledger entry, and a function of one batch that brings it up to date."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.catalogue import Catalogue
from lakehouse.findings import Finding
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import Table

Conditions = list[tuple[str, str, Any]]
"""(column, operator, value), all of them: operators are those of deltalake's filters, such as `<=` and `in`."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch as the views see it; the same each time it is tried.

    `rows`: new rows by table path, as they go to silver and quarantine (tables that get none are absent).
    `started_at`: the batch's own time, used as `known_at` and `detected_at`.
    `watermark`: event time up to which all is believed to have come, after this batch; None before the first event.
    """

    batch_id: int
    started_at: datetime
    rows: dict[str, pa.Table]
    watermark: datetime | None
    catalogue: Catalogue

    def of(self, table: Table) -> pa.Table:
        """This batch's new rows of `table`, none included."""
        rows = self.rows.get(table.path)
        return table.schema.empty_table() if rows is None else rows


@dataclass(frozen=True)
class Output:
    """What a view adds: rows by table path, with all columns of the table; and findings, to be told at once."""

    rows: dict[str, pa.Table] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class View(Protocol):
    """One subject. Pure but for its own state: no clock, no randomness; `apply` reads the lake at most for what it let go of."""

    tables: tuple[Table, ...]

    def load(self, lake: Lake) -> None:
        """Set the state to what it was after the ledger entry that `lake` stands for."""

    def apply(self, batch: Batch) -> Output:
        """Take the batch into the state. A view that gets the same batches in the same order says the same."""


class Lake:
    """The streaming tables at the versions of one ledger entry; at none, empty."""

    def __init__(self, settings: Settings, versions: dict[str, int], watermark: datetime | None = None) -> None:
        self._settings = settings
        self._versions = versions
        self.watermark = watermark

    def read(
        self, table: Table, columns: list[str], filter: pc.Expression | None = None, files: Conditions | None = None
    ) -> pa.Table:
        """`columns` of the rows of `table` that pass `filter`, as written; see `so_far` for `files`."""
        version = self._versions.get(table.path, 0)
        if version == 0:
            return pa.schema([table.schema.field(name) for name in columns]).empty_table()
        dataset = open_table(self._settings, table, version).to_pyarrow_dataset(file_pruning_predicate=files)
        return dataset.to_table(columns=columns, filter=filter).combine_chunks()

    def current(self, table: Table, filter: pc.Expression | None = None) -> pa.Table:
        """The rows of a table of snapshots, once read: all columns, one row per key."""
        rows = self.read(table, table.schema.names)
        rows = newest(rows, table)
        return rows if filter is None else rows.filter(filter)

    def so_far(self, table: Table, batch_id: int, filter: pc.Expression, files: Conditions | None = None) -> pa.Table:
        """Rows of a table of snapshots, once read, as all batches before `batch_id` left them, those after the ledger entry too.

        For what a view no longer holds. Those batches must be committed; `filter` passes a key's newest row if it passes an older one.
        `files` are conditions that every row which passes `filter` meets: files whose statistics rule that out are not
        looked at, which counts, because each one looked at costs a millisecond or more.
        """
        dataset = open_table(self._settings, table).to_pyarrow_dataset(file_pruning_predicate=files)
        rows = dataset.to_table(columns=table.schema.names, filter=filter & (pc.field("batch_id") < batch_id))
        return newest(rows.combine_chunks(), table)


def newest(rows: pa.Table, table: Table) -> pa.Table:
    """Of snapshots, the row with the highest `batch_id` per key, retracted keys left out."""
    if not len(rows):
        return rows
    numbered = rows.select([*table.key, "batch_id"]).append_column("_row", pa.array(range(len(rows)), pa.int64()))
    ordered = numbered.sort_by([("batch_id", "ascending")])
    last = ordered.group_by(list(table.key), use_threads=False).aggregate([("_row", "last")])
    kept = rows.take(last["_row_last"].combine_chunks().sort())
    if "is_retracted" in kept.column_names:
        kept = kept.filter(pc.invert(kept["is_retracted"]))
    return kept
