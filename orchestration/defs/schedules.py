"""Jobs and schedules: what runs together, and what is due by the clock. What is due by the stream is in `sensors`."""

import dagster as dg

from lakehouse.quality.views import JUDGED
from lakehouse.tables import TABLES
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.runs import DAILY_JOB

# All that batch makes from what came in; `ops` is made when it is asked for.
MADE_DAILY = [key(table) for table in TABLES if table.owner == "batch" and table.layer == "gold"]

daily = dg.define_asset_job(
    DAILY_JOB,
    selection=dg.AssetSelection.assets(*MADE_DAILY)
    | dg.AssetSelection.checks_for_assets(*[key(table) for table in JUDGED if table.layer == "silver"]),
    partitions_def=DAILY,
    executor_def=dg.in_process_executor,
    # A run that is tried again makes everything again: all its tables are read at one cut.
    tags={"dagster/retry_strategy": "ALL_STEPS"},
    description="Everything of one UTC day: silver is checked, dimensions, facts and marts are made and checked, in one Spark session.",
)
