"""The command `python -m orchestration.materialize`: one day of everything, in this process and one JVM, shown in Dagster's pages."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import dagster as dg
import typer

from lakehouse.errors import GlobalMartError
from lakehouse.progress import progress
from lakehouse.settings import load_settings
from orchestration.record import RecordAwayError, record
from orchestration.runs import check_day, close_dead, failures, run


def main(
    day: Annotated[
        str, typer.Option(help="UTC day as YYYY-MM-DD; the one that the stream is in where not given.")
    ] = "",
) -> None:
    """Check silver, make every batch table of one UTC day, check it, and print what came out.

    A day that is not over is made as far as it has come, and again by the sensor `day_is_over` once it is. Results are kept in the
    Dagster instance of DAGSTER_HOME; where its PostgreSQL does not answer, the tables are made all the same, and nobody is told of the run.
    Example: python -m orchestration.materialize --day 2026-03-14
    """
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    try:
        asked = check_day(day).isoformat() if day else newest_day()
    except GlobalMartError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    try:
        instance = record()
    except RecordAwayError as error:
        typer.echo(f"{error} The day is made all the same; this run will not be in Dagster's pages.", err=True)
        instance = dg.DagsterInstance.ephemeral()
    with instance:
        close_dead(instance)
        outcome = run(asked, instance)
    for line in summary(outcome):
        typer.echo(line)
    raise typer.Exit(0 if outcome.success else 1)


def newest_day() -> str:
    """The day that the stream has come to; today where it has seen nothing. Right after midnight that is still yesterday."""
    stream = progress(load_settings("batch"))
    reached_at = stream.reached_at if stream else None
    return (reached_at or datetime.now(UTC)).date().isoformat()


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
    return [*lines, *_quality_share(outcome), *failures(outcome.all_events)]


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


if __name__ == "__main__":
    typer.run(main)
