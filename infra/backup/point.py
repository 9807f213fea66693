"""The point that a backup is of, and which files make up the lake there.

All streaming tables at the versions of one ledger entry; batch tables at their newest versions, taken before that entry while no batch run
is under way, so that none was made from what lies beyond the point.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from infra.backup.manifest import BackupError, TableState
from infra.backup.places import Place
from lakehouse.lease import Lease
from lakehouse.ledger import LedgerEntry, read_entries
from lakehouse.release import Release
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table
from lakehouse.tables import BY_PATH, LEDGER_STREAMING, ORDERS_BY_MINUTE, TABLES, TRANSACTIONS, Table
from lakehouse.travel import Log, paths
from lakehouse.upkeep import pinned

_COMMIT = re.compile(r"^(\d{20})\.json$")
_CHECKPOINT = re.compile(r"^(\d{20})\.checkpoint\.parquet$")


@dataclass(frozen=True)
class Chosen:
    """`versions` by table path, of the tables that exist. `counts` are the ledger's, over all entries up to `entry`. `pins` are, by path,
    the older versions of batch tables that rows of `versions` were made from.
    """

    entry: LedgerEntry
    versions: dict[str, int]
    counts: dict[str, int]
    pins: dict[str, set[int]]


def choose(settings: Settings, as_batch: Settings, say: Callable[[str], None], meanwhile: Callable[[], None]) -> Chosen:
    """The newest point. `meanwhile` is what has to be of the same time or earlier; no batch run is under way while it runs.

    `settings` read the lake, `as_batch` are those of the batch service. Raises BackupError where nothing has been streamed yet,
    LeaseHeldError where a batch run does not end within `batch_wait_minutes`.
    """
    if not exists(settings, LEDGER_STREAMING):
        raise _nothing()
    with Lease(as_batch, "batch", patience_seconds=settings.batch_wait_minutes * 60, say=say):
        meanwhile()
        versions = {
            table.path: int(open_table(settings, table).version())
            for table in TABLES
            if table.owner == "batch" and exists(settings, table)
        }
        pins = pinned(settings)  # of these versions: the next run pins what its own rows are made from
    ledger = open_table(settings, LEDGER_STREAMING)
    entries = read_entries(ledger)
    if not entries:
        raise _nothing()
    versions |= entries[-1].table_versions | {LEDGER_STREAMING.path: int(ledger.version())}
    counts = {name: sum(entry.counts[name] for entry in entries) for name in entries[-1].counts}
    return Chosen(entries[-1], {path: version for path, version in versions.items() if path in BY_PATH}, counts, pins)


def _nothing() -> BackupError:
    return BackupError(
        "Nothing has been streamed yet, so there is nothing to back up: `globalmart up` starts the stream."
    )


def state(settings: Settings, path: str, version: int, of: Release) -> TableState:
    """A table at `version` in a lake of the release `of`."""
    table = BY_PATH[path]
    counts = pa.table(open_table(settings, table, version).get_add_actions())["num_records"]
    return TableState(
        path,
        version,
        of.tables.get(path, table.schema_version),
        None if counts.null_count else pc.sum(counts).as_py() or 0,
    )


def data_files(settings: Settings, path: str, versions: set[int]) -> set[str]:
    """Data files, below the lake's root, of a table at its `versions`."""
    opened = (open_table(settings, BY_PATH[path], version) for version in versions)
    return {f"{path}/{name}" for delta in opened for name in paths(delta)}


def kept_versions(settings: Settings, versions: dict[str, int], pins: dict[str, set[int]]) -> dict[str, set[int]]:
    """By path, the version at the point, and the older ones of `pins`, as far as they are there."""
    kept = {path: {version} for path, version in versions.items()}
    for path in kept.keys() & pins.keys():
        log = Log(settings, BY_PATH[path])
        kept[path] |= {one for one in pins[path] if one < versions[path] and log.is_readable(one)}
    return kept


def log_files(place: Place, path: str, version: int) -> set[str]:
    """Files of a table's log, below the lake's root, that make up `version`.

    Of a streaming table from the last checkpoint on: what lies before it takes thousands of commits to tell what the checkpoint says. Of
    a batch table all, since its commits note what its rows were made from. Without `_last_checkpoint`: it may point beyond.
    """
    names = [name.rpartition("/")[2] for name in place.files(f"{path}/_delta_log")]
    commits = {int(found[1]) for name in names if (found := _COMMIT.match(name)) and int(found[1]) <= version}
    points = {int(found[1]) for name in names if (found := _CHECKPOINT.match(name)) and int(found[1]) <= version}
    start = max(points, default=0)
    if set(range(start + 1 if points else 0, version + 1)) - commits:
        raise BackupError(
            f"The log of {path} has a gap before version {version}: rebuild the table before you back it up."
        )
    if BY_PATH[path].owner == "streaming":
        commits = {one for one in commits if one >= start}
        points = {one for one in points if one == start}
    kept = {f"{one:020d}.json" for one in commits} | {f"{one:020d}.checkpoint.parquet" for one in points}
    return {f"{path}/_delta_log/{name}" for name in kept}


def money(settings: Settings, versions: dict[str, int]) -> dict[str, Decimal]:
    """What orders come to in silver and in gold, in USD, at these versions."""
    asked = ((TRANSACTIONS, "total_amount"), (ORDERS_BY_MINUTE, "revenue"))
    return {
        f"{table.path}.{column}": _sum(open_table(settings, table, versions[table.path]), column)
        for table, column in asked
        if table.path in versions
    }


def _sum(delta: DeltaTable, column: str) -> Decimal:
    batches = delta.to_pyarrow_dataset().scanner(columns=[column], use_threads=False).to_batches()
    return sum((total for batch in batches if (total := pc.sum(batch[column]).as_py()) is not None), Decimal(0))


def row_count(settings: Settings, table: Table, version: int) -> int:
    """Rows of a table at `version`, counted in its files."""
    return int(open_table(settings, table, version).to_pyarrow_dataset().count_rows(use_threads=False))
