"""Asset checks: every table of silver and of the batch is judged by Great Expectations, and a failure blocks; RFM is also computed in full."""

import dagster as dg

from lakehouse.batch import last_day
from lakehouse.customer_rfm import differences
from lakehouse.quality.views import JUDGED
from lakehouse.tables import CUSTOMER_RFM
from orchestration.naming import key
from orchestration.quality import table_check
from orchestration.spark import LakehouseSpark


@dg.asset_check(
    asset=key(CUSTOMER_RFM),
    name="full_computation",
    description="The rows of the newest day, made out of an earlier day's, are those that all transactions of the 365 days give.",
)
def customer_rfm_in_full(spark: LakehouseSpark) -> dg.AssetCheckResult:
    day = last_day(spark.settings, CUSTOMER_RFM)
    count = differences(spark.spark_session, spark.settings, day)
    return dg.AssetCheckResult(
        passed=count == 0,
        description=f"{count} rows differ from a full computation" if count else "equal to a full computation",
        metadata={"day": day.isoformat(), "different_count": count},
    )


@dg.definitions
def checks() -> dg.Definitions:
    return dg.Definitions(asset_checks=[*map(table_check, JUDGED), customer_rfm_in_full])
