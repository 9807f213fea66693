"""Dagster runs as this platform sees them: which process one is, whether it died, why it failed. No definitions here."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from uuid import uuid4

import dagster as dg
import psutil

from lakehouse.errors import GlobalMartError
from orchestration.partitions import DAILY

DAILY_JOB = "daily"
PARTITION_TAG = "dagster/partition"
PROCESS_TAG = "globalmart/process"
SELECTION_TAG = "globalmart/selection"
"""On a run of a command that makes a part of its job: the paths of the assets."""
PROVISIONAL_TAG = "globalmart/provisional"
"""On a run: whether its day was not over when it began; then it is made again once it is."""
IN_FULL_TAG = "globalmart/in_full"
"""On a run: "true" where nothing that an earlier run made or judged may save work."""
_UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class NoSuchDayError(GlobalMartError):
    """A day is asked for that no partition has."""


def check_day(day: str) -> date:
    """The day of a text. Raises NoSuchDayError, which says which days there are."""
    if not DAILY.has_partition_key(day):
        raise NoSuchDayError(f"{day} is not a day from {DAILY.start.date()} to today, written YYYY-MM-DD.")
    return date.fromisoformat(day)


def process_tag(run_id: str) -> dict[str, str]:
    """The tag that says that this process works on the run: run, host, process id and start (Unix seconds).

    The run is in it because Dagster copies tags to the run that is to try again.
    """
    return {PROCESS_TAG: f"{run_id}:{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"}


def is_dead(run: dg.DagsterRun) -> bool:
    """Whether the process that worked on the run is surely gone; of one on another host that is not known."""
    run_id, host, pid, started = run.tags.get(PROCESS_TAG, ":::").split(":")
    if run_id != run.run_id:
        return False
    if host != socket.gethostname():
        return False
    try:
        found = psutil.Process(int(pid))
        return bool(abs(found.create_time() - float(started)) > 1 or found.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def close_dead(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process is gone, and return their ids.

    Dagster sees to the runs that its daemon launched while that daemon lives; not to those of a command, or of a killed daemon. Left
    as they are, they would hold the one place in the queue for good.
    """
    closed = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY)):
        if not is_dead(run):
            continue
        now = instance.get_run_by_id(run.run_id)  # it may have ended between the two looks
        if now is not None and not now.is_finished:
            instance.report_run_failed(now, "Its process is gone: it was killed, or the machine went down.")
            closed.append(run.run_id)
    return closed


@cache
def daily_job() -> dg.JobDefinition:
    """The daily job; loading all definitions takes seconds, so it is done once in a process."""
    from orchestration.definitions import defs

    return defs().resolve_job_def(DAILY_JOB)


def run(
    day: str,
    instance: dg.DagsterInstance,
    keys: Iterable[dg.AssetKey] = (),
    tags: Mapping[str, str] | None = None,
    keeps_session: bool = False,
) -> dg.ExecuteInProcessResult:
    """Run the daily job for `day` (YYYY-MM-DD) in this process, for the assets of `keys` alone where given.

    The result says success; a failed step does not raise. Nobody but its caller tries such a run again.
    """
    job, chosen = daily_job(), frozenset(keys)
    if chosen:  # by itself Dagster would add checks of these assets that are not in the job
        checks = {check for check in job.asset_layer.asset_graph.asset_check_keys if check.asset_key in chosen}
        job = job.get_subset(asset_selection=chosen, asset_check_selection=checks)
    about = {SELECTION_TAG: " ".join(sorted(key.to_user_string() for key in chosen))} if chosen else {}
    run_id = str(uuid4())
    return job.execute_in_process(
        run_id=run_id,
        partition_key=day,
        instance=instance,
        tags={**process_tag(run_id), "dagster/max_retries": "0", **about, **(tags or {})},
        run_config={"resources": {"spark": {"config": {"keeps_session": keeps_session}}}},
        raise_on_error=False,
    )


def selection(run: dg.DagsterRun) -> frozenset[str]:
    """Paths of the assets that the run was to make; empty where that was all of its job."""
    if run.asset_selection:
        return frozenset(key.to_user_string() for key in run.asset_selection)
    return frozenset(run.tags.get(SELECTION_TAG, "").split())


def failures(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Why each step failed, or the run where no step began: our own error where there is one, else the innermost cause."""
    lines: list[str] = []
    for event in events:
        if event.is_step_failure:
            name, error = f"step {event.step_key}", event.step_failure_data.error
        elif event.is_run_failure and not lines:
            name, error = "run", event.job_failure_data.error if event.event_specific_data else None
        else:
            continue
        causes = []
        while error is not None:
            causes.append(error)
            error = error.cause
        if causes:
            cause = next((one for one in causes if one.cls_name in _own_errors(GlobalMartError)), causes[-1])
            lines.append(f"{name} failed: {cause.message.strip()}")
        elif event.is_run_failure and event.message:
            lines.append(f"{name} failed: {event.message}")
    return lines


def _own_errors(base: type[Exception]) -> set[str]:
    return {base.__name__}.union(*(_own_errors(one) for one in base.__subclasses__()))
