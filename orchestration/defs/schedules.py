"""Jobs and schedules: what runs together, and what is due by the clock. What is due by the stream is in `sensors`."""

import dagster as dg

from lakehouse.quality.views import JUDGED
from lakehouse.tables import CUSTOMER_LIFETIME_VALUE, TABLES
from orchestration.defs.checks import IN_FULL
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.runs import DAILY_JOB, IN_FULL_TAG

# All that batch makes from what came in; `ops` is made when it is asked for.
MADE_DAILY = [key(table) for table in TABLES if table.owner == "batch" and table.layer == "gold"]

SILVER_CHECKS = dg.AssetSelection.checks_for_assets(*[key(table) for table in JUDGED if table.layer == "silver"])
# As much work as the increment saves, or about the model and not about a day: so it is not done with each day.
WEEKLY = dg.AssetSelection.checks(
    *[dg.AssetCheckKey(key(table), "full_computation") for table in IN_FULL],
    dg.AssetCheckKey(key(CUSTOMER_LIFETIME_VALUE), "back_test"),
)

daily = dg.define_asset_job(
    DAILY_JOB,
    selection=(dg.AssetSelection.assets(*MADE_DAILY) | SILVER_CHECKS) - WEEKLY,
    partitions_def=DAILY,
    executor_def=dg.in_process_executor,
    # A run that is tried again makes everything again: all its tables are read at one cut.
    tags={"dagster/retry_strategy": "ALL_STEPS"},
    description="Everything of one UTC day: new silver is checked, dimensions, facts and marts are made and checked, in one Spark session.",
)


in_full = dg.define_asset_job(
    "in_full",
    selection=SILVER_CHECKS | WEEKLY,
    executor_def=dg.in_process_executor,
    tags={IN_FULL_TAG: "true"},
    description=(
        "What a day's run does by increment, as a whole: all rows of silver are checked, the newest day of what is made out of an earlier "
        "one is computed in full and compared. And the model of lifetime values is held against the last 90 days."
    ),
)

every_week = dg.ScheduleDefinition(
    name="every_week",
    job=in_full,
    cron_schedule="0 4 * * 0",  # on Sundays, when the day's run is over
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
