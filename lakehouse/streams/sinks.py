"""The sinks of the streaming service: Delta appends that happen exactly once, in parallel, through delta-rs.

Each append carries an application transaction (`APP_ID`, batch number), so a repeated batch finds its own commit and
skips it. A commit is a conditional PUT without retries: whoever is not alone on a table is refused and stops.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError

from lakehouse.errors import FencedError
from lakehouse.evolution import evolve
from lakehouse.maintenance import HOOKS, WRITER, Maintenance
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri
from lakehouse.tables import Table

APP_ID = "globalmart-streaming"
_PARALLEL = 4


class Sinks:
    """Open tables of one owner process. Not for use from several threads at once."""

    def __init__(self, settings: Settings, tables: Iterable[Table]) -> None:
        self._settings = settings
        self._tables = {table.path: table for table in tables}
        self._open: dict[str, DeltaTable] = {}
        self._committed: dict[str, int] = {}
        self._running: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="sink")

    def create_missing(self) -> None:
        """Create what does not exist yet and open every table at its newest version."""
        for path, opened in zip(self._tables, self._pool.map(self._create, self._tables.values()), strict=True):
            self._open[path] = opened
            self._committed[path] = opened.transaction_version(APP_ID) if opened.version() else -1

    def _create(self, table: Table) -> DeltaTable:
        opened = self._make(table)
        evolve(opened, table)
        return opened

    def _make(self, table: Table) -> DeltaTable:
        return DeltaTable.create(
            delta_uri(self._settings, table),
            schema=Schema.from_arrow(table.schema),
            mode="ignore",
            name=table.name,
            description=table.grain,
            partition_by=list(table.partition_by),
            configuration=dict(table.properties),
            storage_options=delta_options(self._settings),
        )

    def versions(self) -> dict[str, int]:
        """The version of each table as this process knows it."""
        return {path: table.version() for path, table in self._open.items()}

    def last_batch(self) -> int:
        """The highest batch that any table has committed, -1 where none has."""
        return max((-1 if batch is None else batch for batch in self._committed.values()), default=-1)

    def append(self, rows: dict[str, pa.Table], batch_id: int) -> None:
        """Append each table's rows, once per batch. Raises FencedError when another process has written meanwhile."""
        self.begin(rows, batch_id)
        self.finish()

    def begin(self, rows: dict[str, pa.Table], batch_id: int) -> None:
        """Start what `append` does, in the background. To be followed by `finish` whatever happens in between."""
        self._running += [
            self._pool.submit(copy_context().run, self._append, path, table, batch_id) for path, table in rows.items()
        ]

    def finish(self) -> None:
        """Wait until all that was begun has ended, well or not. Raises the first error among them."""
        running, self._running = self._running, []
        wait(running)
        for one in running:
            one.result()

    def _append(self, path: str, rows: pa.Table, batch_id: int) -> None:
        committed = self._committed[path]
        if committed is not None and committed >= batch_id:
            return
        try:
            write_deltalake(
                self._open[path],
                rows,
                mode="append",
                writer_properties=WRITER,
                commit_properties=CommitProperties(
                    max_commit_retries=0, app_transactions=[Transaction(APP_ID, batch_id)]
                ),
                post_commithook_properties=HOOKS,
            )
        except CommitFailedError as error:
            raise FencedError(
                f"Another process has written to {path}: this one has been replaced and stops ({error})."
            ) from error
        self._committed[path] = batch_id

    def maintenance(self) -> Maintenance:
        """The maintenance of these tables, to be run between appends."""
        return Maintenance(self._settings, self._tables, self._open)

    def restore(self, versions: dict[str, int], spared: Table) -> None:
        """Bring each table but `spared` back to its version in `versions` (0, empty, where it has none): what lies above was not proven."""
        for path, table in self._open.items():
            version = versions.get(path, 0)
            if path != spared.path and table.version() > version:
                table.restore(version)
                table.update_incremental()
