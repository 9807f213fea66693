"""Sensors: what is due by the stream, not by the clock; what the stream has written; what went wrong. Wiring only."""

from datetime import UTC, datetime

import dagster as dg
from deltalake.exceptions import TableNotFoundError

from lakehouse.progress import progress
from lakehouse.settings import load_settings
from orchestration.alarms import findings, since, tell
from orchestration.days import due
from orchestration.defs.schedules import daily
from orchestration.observations import Seen, look
from orchestration.runs import close_dead

_RUNNING = dg.DefaultSensorStatus.RUNNING
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_MOST_RUNS = 50


@dg.sensor(
    job=daily,
    minimum_interval_seconds=30,
    default_status=_RUNNING,
    description="Starts the run of each day (UTC) that the stream has passed by its watermark, once, in order, and days missed too.",
)
def day_is_over(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    settings = load_settings("batch")
    found = due(progress(settings), context.cursor, settings.stream_max_offsets)
    if isinstance(found, str):
        return dg.SkipReason(found)
    requests = [dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat()) for day in found]
    return dg.SensorResult(run_requests=requests, cursor=found[-1].isoformat())


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=_RUNNING,
    description="Observes the tables that the streaming service writes: Delta version, rows, files, last micro-batch. No Spark.",
)
def stream_tables(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    try:
        events, seen = look(load_settings("batch"), Seen.from_json(context.cursor))
    except TableNotFoundError:
        return dg.SkipReason("The stream has not written anything yet.")
    if not events:
        return dg.SkipReason(f"Nothing was committed since batch {seen.batch_id}.")
    return dg.SensorResult(asset_events=events, cursor=seen.to_json())


# Not Dagster's run status sensors: they move on from a run although what they had to say did not get through.
@dg.sensor(
    minimum_interval_seconds=30,
    default_status=_RUNNING,
    description="Tells the alert desk of runs and checks that failed, and when it is over; marks runs whose process was killed.",
)
def run_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    close_dead(context.instance)
    now = datetime.now(UTC)
    records = context.instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_after=since(context.cursor, now)),
        limit=_MOST_RUNS,
        order_by="update_timestamp",
        ascending=True,
    )
    found = [
        finding
        for record in records
        for finding in findings(context.instance, record.dagster_run, _utc(record.update_timestamp), now)
    ]
    count = tell(load_settings("batch"), found)
    if records:
        context.update_cursor(_utc(records[-1].update_timestamp).isoformat())
    return dg.SkipReason(f"{len(records)} runs ended, {count} findings told.")


def _utc(at: datetime) -> datetime:
    """Dagster's storage gives times of UTC without saying so."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
