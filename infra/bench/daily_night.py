"""One night of the benchmark `daily`, in a process of its own as the real one: the daily job in one JVM, and what each step took.

`python -m infra.bench.daily_night DAY FILE` leaves it as JSON in FILE; lake, settings and DAGSTER_HOME are the environment's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from pyspark.sql import SparkSession

from orchestration.runs import failures, run

Span = tuple[float, float]
# Spark forgets the oldest jobs beyond a thousand
_REMEMBERED = "--conf spark.ui.retainedJobs=20000 --conf spark.ui.retainedStages=20000 pyspark-shell"


def main() -> None:
    os.environ["PYSPARK_SUBMIT_ARGS"] = _REMEMBERED
    began = time.time()
    with dg.DagsterInstance.get() as instance:
        outcome = run(sys.argv[1], instance, keeps_session=True)
        told = {
            "day": sys.argv[1],
            "seconds": round(time.time() - began, 2),
            "failures": failures(outcome.all_events),
            **_steps(instance, outcome, _jobs()),
            "spark_peak_gib": _peak_gib("java"),
            "python_peak_gib": _peak_gib(None),
        }
    Path(sys.argv[2]).write_text(json.dumps(told), encoding="utf-8")


def _steps(instance: dg.DagsterInstance, outcome: dg.ExecuteInProcessResult, jobs: list[Span]) -> dict[str, Any]:
    """`steps` in their order, each with `seconds`, those in which Spark ran a job, the jobs and the rows; `quality_share` of their time."""
    checks = {e.step_key for e in outcome.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"}
    failed = {one.asset_key.to_user_string() for one in outcome.get_asset_check_evaluations() if not one.passed}
    rows = {
        event.step_key: _rows(event.materialization.metadata)
        for event in outcome.get_asset_materialization_events()
        if event.step_key
    }
    steps: list[dict[str, Any]] = []
    for one in instance.get_run_step_stats(outcome.run_id):
        if one.start_time is None or one.end_time is None:
            continue
        own = [job for job in jobs if one.start_time <= job[0] < one.end_time]
        steps.append(
            {
                "step": one.step_key,
                "is_check": one.step_key in checks,
                "seconds": round(one.end_time - one.start_time, 2),
                "spark_seconds": round(_covered(own), 2),
                "spark_jobs": len(own),
                "rows": rows.get(one.step_key),
            }
        )
    total = sum(step["seconds"] for step in steps)
    judging = sum(step["seconds"] for step in steps if step["is_check"])
    share = round(judging / total, 3) if total else None
    return {"steps": steps, "quality_share": share, "failed_checks": sorted(failed)}


def _rows(metadata: Mapping[str, Any]) -> int | None:
    found = (metadata.get(f"dagster/{kind}row_count") for kind in ("partition_", ""))
    return next((int(one.value) for one in found if one is not None), None)


def _jobs() -> list[Span]:
    """Begin and end (Unix seconds) of each Spark job of the session, as its status store knows them."""
    spark = SparkSession.getActiveSession()
    if spark is None:
        return []
    found = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    spans = []
    for number in range(found.size()):
        job = found.apply(number)
        begin, end = job.submissionTime(), job.completionTime()
        if begin.isDefined() and end.isDefined():
            spans.append((begin.get().getTime() / 1000, end.get().getTime() / 1000))
    return spans


def _covered(spans: Iterable[Span]) -> float:
    """Seconds in which at least one of the spans was."""
    total, until = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _peak_gib(child: str | None) -> float:
    """The most memory that the child process of this name, or this process, has had resident until now, in GiB."""
    own = psutil.Process()
    process = own if child is None else next(one for one in own.children(recursive=True) if one.name() == child)
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 2**20, 2)


if __name__ == "__main__":
    main()
