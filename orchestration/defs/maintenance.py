"""Maintenance of the batch side's tables as an asset, its job and its schedule. No Spark."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lakehouse.settings import load_settings
from lakehouse.tables import TABLE_SIZES
from lakehouse.upkeep import run
from orchestration.naming import batch_asset, key


@batch_asset(TABLE_SIZES, engine="python")
def table_sizes(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    done, sizes = run(load_settings("batch"), datetime.now(UTC), say=context.log.info)
    kept = [
        dg.TableRecord(
            {
                "table": one.table.path,
                "files_before": one.files_before,
                "files_after": one.files_after,
                "sorted": ", ".join(one.clustered),
                "deleted": one.deleted,
                "pinned_versions": ", ".join(map(str, one.pinned)),
            }
        )
        for one in done
    ]
    metadata: dict[str, Any] = {
        "dagster/row_count": sizes.num_rows,
        "lake_bytes": sum(sizes["byte_count"].to_pylist()),
        "deleted_count": sum(one.deleted for one in done),
    }
    # Dagster has no way to show a table without lines.
    return dg.MaterializeResult(metadata=metadata | ({"maintained": dg.MetadataValue.table(kept)} if kept else {}))


maintenance = dg.define_asset_job(
    "maintenance",
    selection=dg.AssetSelection.assets(key(TABLE_SIZES)),
    executor_def=dg.in_process_executor,
    description="Compact, sort and sweep dimensions, facts and marts, and note the size of every table.",
)


# Long after the day's run, so that it finds what that has written. Should one be under way still, Dagster's queue holds this back; for a
# backfill by command it waits at the batch lease, which is free between two days.
@dg.schedule(
    job=maintenance,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def every_night(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest()
