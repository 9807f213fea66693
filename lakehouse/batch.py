"""How batch work reads and writes the lake with Spark: silver at one consistent cut, gold one partition at a time."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

import pyspark.sql.functions as F
from delta.tables import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql.pandas.types import from_arrow_type

from lakehouse.errors import GlobalMartError
from lakehouse.ledger import NO_BATCH
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table, spark_uri
from lakehouse.tables import LEDGER_STREAMING, Table

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
    that the writer asked for; they are not kept with the commit.
    """

    version: int
    sources: dict[str, int]
    batches: dict[str, int] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)


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


def replace_day(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    day: date,
    sources: dict[str, int],
    totals: Mapping[str, Column] | None = None,
) -> Written:
    """`replace_days` for a single day."""
    return replace_days(rows, settings, table, [day], sources, totals=totals)


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
    (column,) = table.partition_by
    names = sorted(day.isoformat() for day in days)
    where = f"{column} IN ({', '.join(f'DATE {name!r}' for name in names)})"
    note = {"days": names, "sources": sources, "batches": batches or {}}
    return _overwrite(rows, settings, table, note, {"replaceWhere": where}, totals)


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
            return Written(version, note["sources"], note.get("batches", {}))
    of_day = f" for {day}" if day else ""
    raise NotMadeError(f"{table.path} has not been made{of_day} yet: materialise it in Dagster.")


def last_write_before(settings: Settings, table: Table, day: date) -> tuple[date, Written] | None:
    """The last day before `day` that a table with daily partitions was made for, and the last commit that made it; None without one."""
    if not exists(settings, table):
        return None
    found: dict[date, Written] = {}
    for version, note in _notes(settings, table):
        for made in map(date.fromisoformat, note.get("days", ())):
            if made < day:
                found.setdefault(made, Written(version, note["sources"], note.get("batches", {})))
    return max(found.items(), default=None)


def last_batch(rows: DataFrame) -> int:
    """The highest micro-batch in rows of a streaming table; -1 where there is none."""
    highest = rows.agg(F.max("batch_id")).collect()[0][0]
    return -1 if highest is None else int(highest)


def is_rebuilt(spark: SparkSession, settings: Settings, since: int) -> bool:
    """Whether a rebuild has replaced silver's content after the micro-batch `since`: it leaves entries in the ledger that are no batch."""
    if not exists(settings, LEDGER_STREAMING):
        return False
    swaps = (F.col("batch_id") > since) & (F.col("spark_batch_id") == NO_BATCH)
    return not read(spark, settings, LEDGER_STREAMING).where(swaps).isEmpty()


def made_span(settings: Settings, table: Table) -> tuple[date, date] | None:
    """The first and the last day that a table with daily partitions was made for, with rows or without; None before the first."""
    if not exists(settings, table):
        return None
    (column,) = table.partition_by
    days = {date.fromisoformat(str(part[column])) for part in open_table(settings, table).partitions()}
    days |= {date.fromisoformat(day) for _, note in _notes(settings, table) for day in note.get("days", ())}
    return (min(days), max(days)) if days else None


def last_day(settings: Settings, table: Table) -> date:
    """The latest day that the last run of a table with daily partitions made. Raises NotMadeError before the first."""
    for _, note in _notes(settings, table):
        if note.get("days"):
            return date.fromisoformat(max(note["days"]))
    raise NotMadeError(f"{table.path} has not been made for any day yet: materialise it in Dagster.")


def _notes(settings: Settings, table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """Version and note of each commit that replaced rows, newest first."""
    if not exists(settings, table):
        return
    opened = open_table(settings, table)
    for most in (1, None):  # mostly the newest is wanted, and each commit is a file to read
        for commit in opened.history(most)[0 if most else 1 :]:
            if "userMetadata" in commit:
                yield commit["version"], json.loads(commit["userMetadata"])
