"""Asset checks: every table of silver and every table that batch makes is judged by Great Expectations, and a failure blocks."""

from __future__ import annotations

from datetime import date

import dagster as dg

from lakehouse.customer_rfm import differences
from lakehouse.quality.views import JUDGED
from lakehouse.tables import CUSTOMER_RFM
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.quality import table_check
from orchestration.spark import LakehouseSpark


@dg.definitions
def checks() -> dg.Definitions:
    return dg.Definitions(asset_checks=[table_check(table) for table in JUDGED])


@dg.asset_check(
    asset=key(CUSTOMER_RFM),
    name="full_computation",
    partitions_def=DAILY,
    description="The day's rows, made out of an earlier day's, are those that all transactions of the 365 days give.",
)
def customer_rfm_in_full(context: dg.AssetCheckExecutionContext, spark: LakehouseSpark) -> dg.AssetCheckResult:
    count = differences(spark.spark_session, spark.settings, date.fromisoformat(context.partition_key))
    return dg.AssetCheckResult(
        passed=count == 0,
        description=f"{count} rows differ from a full computation" if count else "equal to a full computation",
        metadata={"different_count": count},
    )
