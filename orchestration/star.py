"""The star's tables as assets and checks, one factory per kind. No definitions here."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import dagster as dg
import pyspark.sql.functions as F

from lakehouse import star
from lakehouse.batch import Written
from lakehouse.quality import views
from lakehouse.tables import Table
from orchestration.naming import batch_asset
from orchestration.partitions import DAILY
from orchestration.quality import gx_check
from orchestration.spark import LakehouseSpark


def fixed_asset(table: Table) -> dg.AssetsDefinition:
    """A dimension that does not come from events."""

    @batch_asset(table)
    def asset(spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        written = star.make_fixed(spark.spark_session, spark.settings, table)
        rows = spark.read(table, written.version)
        return dg.MaterializeResult(metadata={"dagster/row_count": rows.count(), **_written(written, started)})

    return asset


def dimension_asset(dimension: star.Dimension) -> dg.AssetsDefinition:
    """A versioned dimension, made from the streaming tables at the run's cut."""

    @batch_asset(dimension.member.dimension)
    def asset(spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        versions = {table.path: spark.silver_version(table) for table in dimension.sources}
        written = star.make_dimension(spark.spark_session, spark.settings, dimension, versions)
        rows = spark.read(dimension.member.dimension, written.version)
        count = rows.agg(F.count("*"), F.count_if("is_current"), F.count_if("is_inferred")).collect()[0]
        names = ("dagster/row_count", "current_count", "inferred_count")
        return dg.MaterializeResult(metadata={**dict(zip(names, count, strict=True)), **_written(written, started)})

    return asset


def fact_asset(fact: star.Fact) -> dg.AssetsDefinition:
    """A fact table by day; a run also makes the days again that late records have overtaken, and names them."""

    @batch_asset(fact.table, DAILY)
    def asset(context: dg.AssetExecutionContext, spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        day = date.fromisoformat(context.partition_key)
        made = star.make_fact(spark.spark_session, spark.settings, fact, day)
        rows = spark.read(fact.table, made.written.version).where(F.col(fact.table.partition_by[0]) == day)
        metadata: dict[str, Any] = {"repaired_days": [str(one) for one in made.repaired]}
        if fact.money:
            total = rows.agg(F.sum(fact.money)).collect()[0][0]
            metadata[f"{fact.money}_total_usd"] = str(total or "0.00")
        metadata |= {"dagster/partition_row_count": rows.count(), **_written(made.written, started)}
        return dg.MaterializeResult(metadata=metadata)

    return asset


def fixed_check(table: Table) -> dg.AssetChecksDefinition:
    return gx_check(table, lambda spark, _: views.of_fixed(spark.spark_session, spark.settings, table), blocking=True)


def dimension_check(dimension: star.Dimension) -> dg.AssetChecksDefinition:
    return gx_check(
        dimension.member.dimension,
        lambda spark, _: views.of_dimension(spark.spark_session, spark.settings, dimension),
        blocking=True,
    )


def fact_check(fact: star.Fact) -> dg.AssetChecksDefinition:
    def rows(spark: LakehouseSpark, day: date | None) -> views.RowsAndViews:
        assert day is not None  # noqa: S101 - the check is partitioned
        return views.of_fact(spark.spark_session, spark.settings, fact, day)

    return gx_check(fact.table, rows, blocking=True, partitions=DAILY)


def _written(written: Written, started: float) -> dict[str, Any]:
    return {
        "duration_seconds": round(time.monotonic() - started, 2),
        "version_written": written.version,
        "version_read": written.sources,
    }
