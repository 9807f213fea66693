"""The marts' tables as assets, one factory for all. No definitions here."""

import time
from datetime import date
from typing import Any

import dagster as dg

from lakehouse import daily
from orchestration.naming import batch_asset
from orchestration.partitions import DAILY
from orchestration.report import written_metadata
from orchestration.runs import IN_FULL_TAG
from orchestration.spark import LakehouseSpark


def mart_asset(mart: daily.Mart) -> dg.AssetsDefinition:
    """A mart by day, made from what the run reads; where a run also makes overtaken days again, it names them."""

    @batch_asset(mart.table, DAILY)
    def asset(context: dg.AssetExecutionContext, spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        day = date.fromisoformat(context.partition_key)
        in_full = context.run.tags.get(IN_FULL_TAG) == "true"
        versions = spark.versions(mart.sources)
        made = daily.make(spark.spark_session, spark.settings, mart, day, versions, in_full=in_full)
        metadata = written_metadata(spark.settings, made.written, started, mart.table)
        repaired = {"repaired_days": [str(one) for one in made.repaired]} if mart.kept else {}
        made_from = {"made_from": made.made_from} if mart.moved else {}
        return dg.MaterializeResult(metadata=metadata | repaired | made_from)

    return asset
