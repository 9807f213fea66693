"""Jobs and schedules: what runs together, and when."""

from datetime import UTC, timedelta

import dagster as dg

from lakehouse.tables import CUSTOMER_RFM, TRANSACTION_ITEMS, TRANSACTIONS
from orchestration.naming import key
from orchestration.partitions import DAILY

daily = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.assets(key(CUSTOMER_RFM))
    | dg.AssetSelection.checks_for_assets(key(TRANSACTIONS), key(TRANSACTION_ITEMS)),
    partitions_def=DAILY,
    executor_def=dg.in_process_executor,
    description="Everything of one UTC day: silver is checked, the marts are made and checked, in one Spark session.",
)


# A quarter of an hour past midnight: the day is over (a business day is a UTC day) and the 10 minutes have passed by which an event
# may lie ahead of its arrival, or its topic's watermark behind.
@dg.schedule(
    job=daily, cron_schedule="15 0 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING
)
def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    return dg.RunRequest(partition_key=yesterday.isoformat())
