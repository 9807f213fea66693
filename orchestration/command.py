"""`globalmart backfill`: options, wording and exit codes only."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from orchestration.backfill import Day

EPILOG = "Example: globalmart backfill --from 2026-03-01 --to 2026-03-30 --only customer_rfm"

_out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def backfill(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First UTC day, YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last UTC day, included.")],
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ASSET", help="Make this table alone, such as customer_rfm; may be repeated."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make days again that are done, each out of silver alone.")
    ] = False,
) -> None:
    """Make the batch tables of a range of days again, one run a day in one process, oldest first.

    Days that were made from what silver holds now are skipped. A backfill that was cut short goes on where it was when it is asked for
    again. Ends with 1 at the first day that fails.
    """
    from infra.java import java_home
    from infra.servers.dagster import instance_env
    from lakehouse.settings import load_settings

    os.environ.update(instance_env(load_settings()))
    os.environ.setdefault("JAVA_HOME", str(java_home()))

    from orchestration.backfill import days_between, plan, work
    from orchestration.record import record
    from orchestration.runs import check_day, close_dead

    days = days_between(check_day(first), check_day(last))
    with record() as instance:
        for run_id in close_dead(instance):
            _out.print(f"  run {run_id} was killed: closed as failed", markup=False)
        settings = load_settings("batch")
        asked = plan(instance, settings, days, only or (), force, datetime.now(UTC))
        is_good = work(instance, settings, asked, _print)
    if not is_good:
        raise typer.Exit(1)


def _print(day: Day) -> None:
    if day.is_skipped:
        words = "done already"
    elif day.failures:
        words = f"FAILED after {day.seconds:.0f} s"
    else:
        words = f"{day.table_count} tables in {day.seconds:.0f} s"
    _out.print(f"  {day.day}  {words}", markup=False, soft_wrap=True)
    for sentence in day.failures:
        _out.print(f"    {sentence}", markup=False, soft_wrap=True)
