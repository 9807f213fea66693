"""The star's tables as assets, one factory per kind. No definitions here."""

import time
from datetime import date
from typing import Any

import dagster as dg

from lakehouse import star
from lakehouse.tables import Table
from orchestration.naming import batch_asset
from orchestration.partitions import DAILY
from orchestration.report import written_metadata
from orchestration.spark import LakehouseSpark


def fixed_asset(table: Table) -> dg.AssetsDefinition:
    """A dimension that does not come from events."""

    @batch_asset(table)
    def asset(spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        written = star.make_fixed(spark.spark_session, spark.settings, table)
        return dg.MaterializeResult(metadata=written_metadata(spark.settings, written, started, table))

    return asset


def dimension_asset(dimension: star.Dimension) -> dg.AssetsDefinition:
    """A versioned dimension, made from the streaming tables at the run's cut."""
    table = dimension.member.dimension

    @batch_asset(table)
    def asset(spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        versions = spark.versions(dimension.sources)
        written = star.make_dimension(spark.spark_session, spark.settings, dimension, versions)
        return dg.MaterializeResult(metadata=written_metadata(spark.settings, written, started, table))

    return asset


def fact_asset(fact: star.Fact) -> dg.AssetsDefinition:
    """A fact table by day; a run also makes the days again that late records have overtaken, and names them."""

    @batch_asset(fact.table, DAILY)
    def asset(context: dg.AssetExecutionContext, spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        made = star.make_fact(spark.spark_session, spark.settings, fact, date.fromisoformat(context.partition_key))
        metadata = written_metadata(spark.settings, made.written, started, fact.table)
        return dg.MaterializeResult(metadata=metadata | {"repaired_days": [str(one) for one in made.repaired]})

    return asset
