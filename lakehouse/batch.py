"""How batch work reads and writes the lake with Spark: silver at one consistent cut, gold one partition at a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.functions as F
from delta.tables import DeltaTable
from deltalake import CommitProperties, write_deltalake
from deltalake import DeltaTable as DeltaLog
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql.pandas.types import from_arrow_type

from lakehouse.errors import GlobalMartError
from lakehouse.ledger import rebuilt_since
from lakehouse.maintenance import HOOKS, TARGET_BYTES
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table, spark_uri
from lakehouse.tables import LEDGER_STREAMING, Table
from lakehouse.travel import Log

log = logging.getLogger(__name__)

# By session: what was opened at a version, which never changes
_OPENED: WeakKeyDictionary[SparkSession, dict[tuple[str, int], DataFrame]] = WeakKeyDictionary()


class TableMissingError(GlobalMartError):
    """A table that batch work reads does not exist yet."""


class NotMadeError(GlobalMartError, LookupError):
    """A batch table has not been made, or not for the day that is asked for."""


@dataclass(frozen=True)
class Written:
    """What one write left behind: the Delta version, and by path the versions of the tables it was made from.

    `batches` are, by path of streaming tables, the last micro-batches that it has seen, where the writer said so. `totals` are the sums
    that the writer asked for; they are not kept with the commit. `days` are those whose rows it replaced, none for a whole table.
    """

    version: int
    sources: dict[str, int]
    batches: dict[str, int] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    days: tuple[date, ...] = ()


def cut(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """The Delta version of each streaming table, by path, at the last micro-batch that every sink has committed.

    Tables read at these versions agree with each other while the stream runs. Empty before the first micro-batch.
    """
    if not exists(settings, LEDGER_STREAMING):
        return {}
    ledger = spark.read.format("delta").load(spark_uri(settings, LEDGER_STREAMING))
    row = ledger.agg(F.max_by("table_versions", "batch_id").alias("versions")).collect()[0]
    return dict(row["versions"] or {})


def version_at(settings: Settings, table: Table, versions: Mapping[str, int]) -> int:
    """The version of `table` in a cut; its newest where the cut does not name it. Raises TableMissingError."""
    if table.path in versions:
        return versions[table.path]
    try:
        return int(open_table(settings, table).version())
    except TableNotFoundError:
        way_out = "start the streaming service, send it events, and materialise again."
        raise TableMissingError(f"There is no {table.path} in {settings.lake_uri} yet: {way_out}") from None


def read(spark: SparkSession, settings: Settings, table: Table, version: int | None = None) -> DataFrame:
    """The rows of `table`, at `version` where given: then the same frame each time, for Delta makes the state of an older version anew."""
    uri = spark_uri(settings, table)
    if version is None:
        return spark.read.format("delta").load(uri)
    kept = _OPENED.setdefault(spark, {})
    if (uri, version) not in kept:
        kept[uri, version] = spark.read.format("delta").option("versionAsOf", version).load(uri)
    return kept[uri, version]


def version_there(settings: Settings, table: Table, version: int, cut: Mapping[str, int]) -> int:
    """`version`, or that of the `cut` where maintenance has deleted files of it since, which the log then says."""
    now = version_at(settings, table, cut)
    if version == now or Log(settings, table).is_readable(version):
        return version
    log.warning("version %d of %s is gone: version %d stands in for it", version, table.path, now)
    return now


def read_source(
    spark: SparkSession, settings: Settings, table: Table, written: Written, cut: Mapping[str, int]
) -> DataFrame:
    """`table` as the rows of `written` were made from it.

    Where maintenance has deleted files of that version, the rows of the `cut`, without those of micro-batches that `written` has not
    seen, as far as its commit says which it has. Rows that replace others (snapshots) cannot be taken back like that.
    """
    wanted = written.sources[table.path]
    version = version_there(settings, table, wanted, cut)
    rows, seen = read(spark, settings, table, version), written.batches.get(table.path)
    if version == wanted or seen is None or table.reading == "snapshots":
        return rows
    return rows.where(F.col("batch_id") <= seen)


def create(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Make the table as `lakehouse.tables` declares it, unless it is there."""
    # Delta compares the location with Hadoop's spelling of it, which for local files has one slash.
    location = spark_uri(settings, table).replace("file:///", "file:/", 1)
    builder = DeltaTable.createIfNotExists(spark).location(location).comment(table.grain)
    for column in table.columns:
        kind = from_arrow_type(column.type)
        builder = builder.addColumn(column.name, kind, nullable=column.nullable, comment=column.meaning)
    for name, value in table.properties.items():
        builder = builder.property(name, value)
    builder.partitionedBy(*table.partition_by).execute()


def replace_days(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    days: Collection[date],
    sources: dict[str, int],
    batches: dict[str, int] | None = None,
    totals: Mapping[str, Column] | None = None,
) -> Written:
    """Replace, in one commit, the rows of `table` whose partition column is one of `days`; done twice it leaves the same rows.

    `sources` (version by table path) goes into the commit, so that a check can read what the rows were made from, and so does
    `batches` (by path the last micro-batch that was read), so that a later run finds what has come since. `totals` are aggregates over
    `rows` by name, taken while they are written.
    """
    note = _note_of_days(days, sources, batches)
    return _overwrite(rows, settings, table, note, {"replaceWhere": _of_days(table, days)}, totals)


def replace_days_from_arrow(
    rows: pa.RecordBatchReader,
    settings: Settings,
    table: Table,
    days: Collection[date],
    sources: dict[str, int],
    batches: dict[str, int] | None = None,
) -> Written:
    """As `replace_days`, of a table that exists, for rows that were made in this process: without a JVM in between.

    delta-rs asks for `rows` in threads of its own, which may not call it again: so `rows` must not be read through it meanwhile.
    The caller holds the batch lease; where somebody else commits in the meantime, this fails with deltalake's CommitFailedError.
    """
    note = _note_of_days(days, sources, batches)
    write_deltalake(
        open_table(settings, table),
        rows.cast(table.schema),
        mode="overwrite",
        predicate=_of_days(table, days),
        target_file_size=TARGET_BYTES,
        commit_properties=CommitProperties(
            max_commit_retries=0, custom_metadata={"userMetadata": json.dumps(note, sort_keys=True)}
        ),
        post_commithook_properties=HOOKS,
    )
    return last_write(settings, table)


def _of_days(table: Table, days: Collection[date]) -> str:
    """SQL that is true for the rows of `days` of a table with daily partitions."""
    (column,) = table.partition_by
    return f"{column} IN ({', '.join(f'DATE {str(day)!r}' for day in sorted(days))})"


def _note_of_days(days: Collection[date], sources: dict[str, int], batches: dict[str, int] | None) -> dict[str, Any]:
    return {"days": sorted(map(str, days)), "sources": sources, "batches": batches or {}}


def replace_all(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    sources: dict[str, int],
    totals: Mapping[str, Column] | None = None,
) -> Written:
    """Replace, in one commit, all rows of `table`; `sources` and `totals` as in `replace_days`."""
    return _overwrite(rows, settings, table, {"sources": sources}, {}, totals)


def _overwrite(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    note: dict[str, Any],
    options: dict[str, str],
    totals: Mapping[str, Column] | None,
) -> Written:
    if not exists(settings, table):
        create(rows.sparkSession, settings, table)
    seen = Observation()
    if totals:
        rows = rows.observe(seen, *[column.alias(name) for name, column in totals.items()])
    writer = rows.write.format("delta").mode("overwrite").options(**options)
    writer.option("userMetadata", json.dumps(note, sort_keys=True)).save(spark_uri(settings, table))
    return replace(last_write(settings, table), totals=seen.get if totals else {})


def last_write(settings: Settings, table: Table, day: date | None = None) -> Written:
    """The last commit that replaced rows of `table`, of `day` where given. Raises NotMadeError where there is none."""
    for version, note in _notes(settings, table):
        if day is None or day.isoformat() in note.get("days", ()):
            return _written(version, note)
    of_day = f" for {day}" if day else ""
    raise NotMadeError(f"{table.path} has not been made{of_day} yet: materialise it in Dagster.")


def last_write_before(settings: Settings, table: Table, day: date) -> tuple[date, Written] | None:
    """The last day before `day` that a table with daily partitions was made for, and the last commit that made it; None without one."""
    earlier = {made: written for made, written in last_writes(settings, table).items() if made < day}
    return max(earlier.items(), default=None)


def last_writes(settings: Settings, table: Table) -> dict[date, Written]:
    """By day the last commit that made it, of a table with daily partitions; empty where there is no such table."""
    found: dict[date, Written] = {}
    for version, note in _notes(settings, table):
        written = _written(version, note)
        for made in written.days:
            found.setdefault(made, written)
    return found


def last_batch(settings: Settings, table: Table, version: int) -> int:
    """The highest micro-batch in a streaming table at `version`; -1 without rows. By its files' statistics, so no row is read."""
    opened = open_table(settings, table, version)
    files = pa.table(opened.get_add_actions(flatten=True))
    if not files.num_rows:
        return -1
    highest = files["max.batch_id"] if "max.batch_id" in files.column_names else pa.chunked_array([[None]])
    if highest.null_count:  # written without statistics
        highest = opened.to_pyarrow_dataset().to_table(columns=["batch_id"], use_threads=False)["batch_id"]
    found = pc.max(highest).as_py()
    return -1 if found is None else int(found)


def is_rebuilt(settings: Settings, since: int) -> bool:
    """Whether a rebuild has replaced the content of streaming tables after the micro-batch `since`."""
    return exists(settings, LEDGER_STREAMING) and rebuilt_since(open_table(settings, LEDGER_STREAMING), since)


def made_days(settings: Settings, table: Table) -> set[date]:
    """The days that a table with daily partitions was made for, with rows or without."""
    if not exists(settings, table):
        return set()
    days = {day for _, day in _files(open_table(settings, table), table)}
    return days | {day for version, note in _notes(settings, table) for day in _written(version, note).days}


def files_by_day(settings: Settings, table: Table, version: int) -> set[tuple[str, date]] | None:
    """The files of a table with daily partitions at `version`, each with its day; None where that version can no longer be read."""
    try:
        return _files(open_table(settings, table, version), table)
    except DeltaError:
        return None


def _files(opened: DeltaLog, table: Table) -> set[tuple[str, date]]:
    (column,) = table.partition_by
    files = pa.table(opened.get_add_actions(flatten=True))
    if not files.num_rows:
        return set()
    days = (date.fromisoformat(str(day)) for day in files[f"partition.{column}"].to_pylist())
    return set(zip(files["path"].to_pylist(), days, strict=True))


def last_day(settings: Settings, table: Table) -> date:
    """The latest day that the last run of a table with daily partitions made. Raises NotMadeError before the first."""
    for _, note in _notes(settings, table):
        if note.get("days"):
            return date.fromisoformat(max(note["days"]))
    raise NotMadeError(f"{table.path} has not been made for any day yet: materialise it in Dagster.")


def _written(version: int, note: Mapping[str, Any]) -> Written:
    days = tuple(map(date.fromisoformat, note.get("days", ())))
    return Written(version, note["sources"], note.get("batches", {}), days=days)


def _notes(settings: Settings, table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """Version and note of each commit that replaced rows, newest first."""
    if not exists(settings, table):
        return
    opened = open_table(settings, table)
    for most in (1, None):  # mostly the newest is wanted, and each commit is a file to read
        for commit in opened.history(most)[0 if most else 1 :]:
            if "userMetadata" in commit:
                yield commit["version"], json.loads(commit["userMetadata"])
