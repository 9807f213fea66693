"""The command `python -m orchestration.materialize`: one day of everything, in this process and one JVM, shown in Dagster's pages."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import dagster as dg
import typer

from lakehouse.errors import GlobalMartError
from orchestration.definitions import defs
from orchestration.partitions import DAILY

JOB = "daily"
# A JVM that lives for a minute does not earn back what the optimising compiler costs: this halves the processor time.
SHORT_JVM = "-XX:TieredStopAtLevel=1"


def run(day: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run the daily job for `day` (YYYY-MM-DD). The result says success; a failed step does not raise."""
    return defs().resolve_job_def(JOB).execute_in_process(partition_key=day, instance=instance, raise_on_error=False)


def main(
    day: Annotated[str, typer.Option(help="UTC day as YYYY-MM-DD; today where not given.")] = "",
) -> None:
    """Check silver, make every batch table of one UTC day, check it, and print what came out.

    Results are kept in the Dagster instance of DAGSTER_HOME. Example: python -m orchestration.materialize --day 2026-03-14
    """
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    os.environ.setdefault("JDK_JAVA_OPTIONS", SHORT_JVM)
    day = day or datetime.now(UTC).date().isoformat()
    if not DAILY.has_partition_key(day):
        raise typer.BadParameter(f"{day} is not a day from {DAILY.start.date()} to today, written YYYY-MM-DD.")
    instance = dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral()
    with instance:
        outcome = run(day, instance)
    for line in summary(outcome):
        typer.echo(line)
    raise typer.Exit(0 if outcome.success else 1)


def summary(outcome: dg.ExecuteInProcessResult) -> list[str]:
    """One line per materialised table and per check, one on the time that the checks took, then one per failure."""
    lines = []
    for event in outcome.get_asset_materialization_events():
        data = event.materialization
        values = {
            name: value.value for name, value in data.metadata.items() if isinstance(value.value, int | float | str)
        }
        lines.append(f"{data.asset_key.to_user_string()}: " + ", ".join(f"{k}={v}" for k, v in sorted(values.items())))
    for check in outcome.get_asset_check_evaluations():
        state = "passed" if check.passed else "FAILED"
        lines.append(f"check {check.asset_key.to_user_string()}: {state}, {check.description}")
    return [*lines, *_quality_share(outcome), *_failures(outcome)]


def _quality_share(outcome: dg.ExecuteInProcessResult) -> list[str]:
    """What share of all steps' time the checks took, the import of Great Expectations and the pages of Data Docs included."""
    seconds = {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in outcome.all_events
        if event.is_step_success
    }
    checks = {event.step_key for event in outcome.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"}
    total, judging = sum(seconds.values()), sum(seconds.get(key, 0.0) for key in checks if key)
    return [f"quality: {judging:.1f} of {total:.1f} s, {judging / total:.0%} of all steps' time"] if total else []


def _failures(outcome: dg.ExecuteInProcessResult) -> list[str]:
    """Why each step failed, or the run where no step began: our own error where there is one, else the innermost cause."""
    lines = []
    for event in outcome.all_events:
        if event.is_step_failure:
            name, error = f"step {event.step_key}", event.step_failure_data.error
        elif event.is_run_failure:
            name, error = "run", event.job_failure_data.error
        else:
            continue
        causes = []
        while error is not None:
            causes.append(error)
            error = error.cause
        if causes:
            cause = next((one for one in causes if one.cls_name in _own_errors(GlobalMartError)), causes[-1])
            lines.append(f"{name} failed: {cause.message.strip()}")
    return lines


def _own_errors(base: type[Exception]) -> set[str]:
    return {base.__name__}.union(*(_own_errors(one) for one in base.__subclasses__()))


if __name__ == "__main__":
    typer.run(main)
