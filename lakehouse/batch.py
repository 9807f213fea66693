"""How batch work reads and writes the lake with Spark: silver at one consistent cut, gold one partition at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
    """What one write left behind: the Delta version, and the versions of the tables it was made from by path."""

    version: int
    sources: dict[str, int]


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
    """Replace, in one commit, the rows of `table` whose partition column is `day`; done twice it leaves the same rows.

    `sources` (version by table path) goes into the commit, so that a check can read what the rows were made from.
    """
    spark = rows.sparkSession
    create(spark, settings, table)
    (column,) = table.partition_by
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"{column} = DATE'{day.isoformat()}'")
        .option("userMetadata", json.dumps({"day": day.isoformat(), "sources": sources}, sort_keys=True))
        .save(spark_uri(settings, table))
    )
    return last_write(spark, settings, table, day)


def last_write(spark: SparkSession, settings: Settings, table: Table, day: date) -> Written:
    """The last commit that replaced `day` in `table`. Raises LookupError where there is none."""
    history = DeltaTable.forPath(spark, spark_uri(settings, table)).history().where("userMetadata IS NOT NULL")
    for row in history.select("version", "userMetadata").orderBy(F.desc("version")).toLocalIterator():
        note: dict[str, Any] = json.loads(row["userMetadata"])
        if note.get("day") == day.isoformat():
            return Written(row["version"], note["sources"])
    raise LookupError(f"{table.path} has no commit for {day}.")
