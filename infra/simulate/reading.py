"""What happened, read where it stands: the lake, Dagster's record of runs, the alert desk's tables. No judgement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import duckdb
from deltalake.exceptions import TableNotFoundError
from sqlalchemy import select

from api.desk.database import connect
from api.desk.tables import alerts, findings
from infra.servers.dagster import instance_env
from infra.simulate.alarms import Told
from infra.simulate.outcome import Alarm, DayRun, Made, Sold
from infra.simulate.plan import Clock
from lakehouse.ledger import LedgerEntry, read_entries
from lakehouse.settings import Settings, load_settings
from lakehouse.storage import open_table
from lakehouse.tables import (
    CART_EVENTS,
    INVENTORY_EVENTS,
    LEDGER_STREAMING,
    ORDERS_BY_MINUTE,
    PRODUCT_VIEWS,
    TRANSACTIONS,
    USERS,
    Table,
)
from orchestration.runs import DAILY_JOB, PARTITION_TAG, failures

_EVENTS = (TRANSACTIONS, PRODUCT_VIEWS, CART_EVENTS, INVENTORY_EVENTS, USERS)
_COUNT = "SELECT date_trunc('hour', timestamp) AS hour, count(*) AS events FROM rows GROUP BY ALL"
_SUM = (
    "SELECT date_trunc('hour', minute) AS hour, sum(order_count)::BIGINT AS orders, sum(revenue)::DECIMAL(18, 2) AS revenue "
    "FROM rows GROUP BY ALL"
)


def sold_by_hour(settings: Settings) -> dict[datetime, Sold]:
    """By the hour of event time (UTC): silver's events, and gold's orders and revenue."""
    events: dict[datetime, int] = {}
    for table in _EVENTS:
        for row in _rows(settings, table, _COUNT):
            events[row["hour"]] = events.get(row["hour"], 0) + row["events"]
    sums = {row["hour"]: (row["orders"], row["revenue"]) for row in _rows(settings, ORDERS_BY_MINUTE, _SUM)}
    none = (0, Decimal("0.00"))
    return {hour.astimezone(UTC): Sold(events.get(hour, 0), *sums.get(hour, none)) for hour in events.keys() | sums}


def _rows(settings: Settings, table: Table, query: str) -> list[dict[str, Any]]:
    try:
        dataset = open_table(settings, table).to_pyarrow_dataset()
    except TableNotFoundError:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", dataset)
        found: list[dict[str, Any]] = connection.execute(query).to_arrow_table().to_pylist()
        return found


def batches(settings: Settings) -> list[LedgerEntry]:
    """The ledger; empty before the first batch."""
    try:
        return read_entries(open_table(settings, LEDGER_STREAMING))
    except TableNotFoundError:
        return []


@contextmanager
def dagster_record(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The stack's own record of runs. Its storage takes its address from the environment, which is put back."""
    wanted = instance_env(settings)
    names = ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "DAGSTER_DISABLE_TELEMETRY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: wanted[name] for name in names})
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def day_runs(instance: dg.DagsterInstance, clock: Clock) -> list[DayRun]:
    """The newest run of the daily job for each day, oldest day first."""
    found: dict[date, DayRun] = {}
    for record in instance.get_run_records(dg.RunsFilter(job_name=DAILY_JOB)):  # newest first
        day = date.fromisoformat(record.dagster_run.tags[PARTITION_TAG])
        if day not in found:
            found[day] = _day_run(instance, clock, day, record)
    return [found[day] for day in sorted(found)]


def _day_run(instance: dg.DagsterInstance, clock: Clock, day: date, record: dg.RunRecord) -> DayRun:
    run = record.dagster_run
    started = None if record.start_time is None else datetime.fromtimestamp(record.start_time, UTC)
    ended = None if record.end_time is None else datetime.fromtimestamp(record.end_time, UTC)
    if ended is None:
        return DayRun(day, run.status.value, started, None, None)
    kinds = {
        dg.DagsterEventType.STEP_SUCCESS,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.RUN_FAILURE,
    }
    events = [log.dagster_event for log in instance.all_logs(run.run_id, of_type=kinds) if log.dagster_event]
    took = {one.step_key: one.step_success_data.duration_ms / 1000 for one in events if one.is_step_success}
    made = {one.asset_key: one.step_key for one in events if one.is_step_materialization and one.asset_key}
    return DayRun(
        day=day,
        status=run.status.value,
        started_at=started,
        seconds=None if started is None else round((ended - started).total_seconds(), 1),
        made_at=clock.simulated(ended),
        tables=tuple(
            Made(key.to_user_string(), round(took.get(step, 0.0), 2))
            for key, step in sorted(made.items(), key=lambda one: one[0].to_user_string())
        ),
        failures=tuple(failures(events)),
    )


def told_and_raised(clock: Clock, since: datetime) -> tuple[list[Told], list[Alarm]]:
    """The desk's findings and its alerts, both since the real time `since`, oldest first."""
    engine = connect(load_settings("desk"))
    try:
        with engine.connect() as connection:
            told = connection.execute(
                select(findings.c.kind, findings.c.title, findings.c.event_at, findings.c.taken_at)
                .where(findings.c.taken_at >= since)
                .order_by(findings.c.taken_at)
            ).all()
            raised = connection.execute(
                select(alerts).where(alerts.c.first_seen_at >= since).order_by(alerts.c.first_seen_at)
            ).all()
    finally:
        engine.dispose()
    return [Told(*row) for row in told], [
        Alarm(
            kind=row.kind,
            severity=row.severity,
            title=row.title,
            detail=row.detail,
            state=row.state,
            count=row._mapping["count"],  # `row.count` is a method of tuples
            first_seen_at=row.first_seen_at.astimezone(UTC),
            simulated_at=clock.simulated(row.first_seen_at).astimezone(UTC).replace(microsecond=0),
        )
        for row in raised
    ]


def days_of(start: datetime, days: int) -> set[date]:
    return {start.date() + timedelta(days=number) for number in range(days)}
