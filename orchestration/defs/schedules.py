"""Jobs and schedules: what runs together, and when."""

from datetime import UTC, timedelta

import dagster as dg

from lakehouse.tables import CUSTOMER_RFM, TABLES, TRANSACTION_ITEMS, TRANSACTIONS
from orchestration.naming import key
from orchestration.partitions import DAILY

# All that batch makes from what came in; `ops` is made when it is asked for.
MADE_DAILY = [key(table) for table in TABLES if table.owner == "batch" and table.layer == "gold"]

# As much work as the increment saves, so it is not done with each day.
IN_FULL = dg.AssetSelection.checks(dg.AssetCheckKey(key(CUSTOMER_RFM), "full_computation"))

daily = dg.define_asset_job(
    "daily",
    selection=(
        dg.AssetSelection.assets(*MADE_DAILY)
        | dg.AssetSelection.checks_for_assets(key(TRANSACTIONS), key(TRANSACTION_ITEMS))
    )
    - IN_FULL,
    partitions_def=DAILY,
    executor_def=dg.in_process_executor,
    description="Everything of one UTC day: silver is checked, dimensions, facts and marts are made and checked, in one Spark session.",
)


# A quarter of an hour past midnight: the day is over (a business day is a UTC day) and the 10 minutes have passed by which an event
# may lie ahead of its arrival, or its topic's watermark behind.
@dg.schedule(
    job=daily, cron_schedule="15 0 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING
)
def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    return dg.RunRequest(partition_key=yesterday.isoformat())


rfm_in_full = dg.define_asset_job(
    "rfm_in_full",
    selection=IN_FULL,
    partitions_def=DAILY,
    executor_def=dg.in_process_executor,
    description="The RFM of one UTC day is computed in full and compared with the rows that the day was given.",
)


# On Sundays, when the day's run is over.
@dg.schedule(
    job=rfm_in_full,
    cron_schedule="0 4 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def every_week(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    return dg.RunRequest(partition_key=yesterday.isoformat())
