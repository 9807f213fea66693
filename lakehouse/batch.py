"""How batch work reads and writes the lake with Spark: silver at one consistent cut, gold one partition at a time."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyspark.sql.functions as F
from delta.tables import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_type

from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table, spark_uri
from lakehouse.tables import LEDGER_STREAMING, Table


class TableMissingError(GlobalMartError):
    """A table that batch work reads does not exist yet."""


@dataclass(frozen=True)
class Written:
    """What one write left behind: the Delta version, and by path the versions of the tables it was made from.

    `batches` are, by path of streaming tables, the last micro-batches that it has seen, where the writer said so.
    """

    version: int
    sources: dict[str, int]
    batches: dict[str, int] = field(default_factory=dict)


def cut(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """The Delta version of each streaming table, by path, at the last micro-batch that every sink has committed.

    Tables read at these versions agree with each other while the stream runs. Empty before the first micro-batch.
    """
    if not exists(settings, LEDGER_STREAMING):
        return {}
    ledger = spark.read.format("delta").load(spark_uri(settings, LEDGER_STREAMING))
    row = ledger.agg(F.max_by("table_versions", "batch_id").alias("versions")).collect()[0]
    return dict(row["versions"] or {})


def version_at(settings: Settings, table: Table, versions: dict[str, int]) -> int:
    """The version of `table` in a cut; its newest where the cut does not name it. Raises TableMissingError."""
    if table.path in versions:
        return versions[table.path]
    try:
        return int(open_table(settings, table).version())
    except TableNotFoundError:
        way_out = "start the streaming service, send it events, and materialise again."
        raise TableMissingError(f"There is no {table.path} in {settings.lake_uri} yet: {way_out}") from None


def read(spark: SparkSession, settings: Settings, table: Table, version: int | None = None) -> DataFrame:
    """The rows of `table`, at `version` where given."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(spark_uri(settings, table))


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


def replace_day(rows: DataFrame, settings: Settings, table: Table, day: date, sources: dict[str, int]) -> Written:
    """`replace_days` for a single day."""
    return replace_days(rows, settings, table, [day], sources)


def replace_days(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    days: Collection[date],
    sources: dict[str, int],
    batches: dict[str, int] | None = None,
) -> Written:
    """Replace, in one commit, the rows of `table` whose partition column is one of `days`; done twice it leaves the same rows.

    `sources` (version by table path) goes into the commit, so that a check can read what the rows were made from, and so does
    `batches` (by path the last micro-batch that was read), so that a later run finds what has come since.
    """
    (column,) = table.partition_by
    names = sorted(day.isoformat() for day in days)
    where = f"{column} IN ({', '.join(f'DATE {name!r}' for name in names)})"
    note = {"days": names, "sources": sources, "batches": batches or {}}
    return _overwrite(rows, settings, table, note, {"replaceWhere": where})


def replace_all(rows: DataFrame, settings: Settings, table: Table, sources: dict[str, int]) -> Written:
    """Replace, in one commit, all rows of `table`; `sources` as in `replace_days`."""
    return _overwrite(rows, settings, table, {"sources": sources}, {})


def _overwrite(
    rows: DataFrame, settings: Settings, table: Table, note: dict[str, Any], options: dict[str, str]
) -> Written:
    create(rows.sparkSession, settings, table)
    writer = rows.write.format("delta").mode("overwrite").options(**options)
    writer.option("userMetadata", json.dumps(note, sort_keys=True)).save(spark_uri(settings, table))
    return last_write(rows.sparkSession, settings, table)


def last_write(spark: SparkSession, settings: Settings, table: Table, day: date | None = None) -> Written:
    """The last commit that replaced rows of `table`, of `day` where given. Raises LookupError where there is none."""
    for version, note in _notes(spark, settings, table):
        if day is None or day.isoformat() in note.get("days", ()):
            return Written(version, note["sources"], note.get("batches", {}))
    raise LookupError(f"{table.path} has no commit for {day or 'its rows'}.")


def last_write_before(settings: Settings, table: Table, day: date) -> tuple[date, Written] | None:
    """The last day before `day` that a table with daily partitions was made for, and the last commit that made it; None without one."""
    if not exists(settings, table):
        return None
    found: dict[date, Written] = {}
    for commit in open_table(settings, table).history():  # newest first
        note = json.loads(commit.get("userMetadata") or "{}")
        for made in map(date.fromisoformat, note.get("days", ())):
            if made < day:
                found.setdefault(made, Written(commit["version"], note["sources"], note.get("batches", {})))
    return max(found.items(), default=None)


def last_batch(rows: DataFrame) -> int:
    """The highest micro-batch in rows of a streaming table; -1 where there is none."""
    highest = rows.agg(F.max("batch_id")).collect()[0][0]
    return -1 if highest is None else int(highest)


def made_span(spark: SparkSession, settings: Settings, table: Table) -> tuple[date, date] | None:
    """The first and the last day that a table with daily partitions was made for, with rows or without; None before the first."""
    if not exists(settings, table):
        return None
    (column,) = table.partition_by
    days = {row[0] for row in read(spark, settings, table).select(column).distinct().collect()}
    days |= {date.fromisoformat(day) for _, note in _notes(spark, settings, table) for day in note.get("days", ())}
    return (min(days), max(days)) if days else None


def _notes(spark: SparkSession, settings: Settings, table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """Version and note of each commit that replaced rows, newest first."""
    history = DeltaTable.forPath(spark, spark_uri(settings, table)).history().where("userMetadata IS NOT NULL")
    for row in history.select("version", "userMetadata").orderBy(F.desc("version")).toLocalIterator():
        yield row["version"], json.loads(row["userMetadata"])
