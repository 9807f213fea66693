"""`globalmart simulate`: days of the shop in minutes, on a stack of their own, with the incidents that one asks for; and a report of them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from infra.simulate.plan import EXAMPLE, KINDS, PlanError, make_plan

if TYPE_CHECKING:
    from infra.simulate.outcome import Outcome

EPILOG = f"Example: {EXAMPLE}"
USAGE = 2


def simulate(
    days: Annotated[int, typer.Option(help="How many days, which end with today's midnight (UTC).")] = 7,
    speed: Annotated[float, typer.Option(help="Simulated seconds in a second; 600 is a day in 144 s.")] = 600,
    incident: Annotated[
        list[str] | None,
        typer.Option(help=f"KIND, KIND@WHEN or KIND@WHEN+LENGTH; may be repeated. Kinds: {', '.join(KINDS)}."),
    ] = None,
    scale: Annotated[float, typer.Option(help="Share of the shop's 100,000 orders a day.")] = 0.02,
    seed: Annotated[int, typer.Option(help="Which world and which chance.")] = 1,
    out: Annotated[Path, typer.Option(help="The report, one HTML file.")] = Path("globalmart-simulation.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print what happened as one JSON object, too.")] = False,
) -> None:
    """Run generator, stream, daily runs and alert desk over simulated days, with incidents, and write a report.

    The stack is one of its own and is gone afterwards. Ctrl-C ends it early with a report of what happened until then. Exits with 1
    where the books do not balance, a day was not made, or an incident raised no alarm.
    """
    console = Console(stderr=True, highlight=False)

    def say(text: str) -> None:
        console.print(f"  {datetime.now():%H:%M:%S} {text}", markup=False, soft_wrap=True)

    try:
        plan = make_plan(days, speed, scale, seed, incident or (), datetime.now(UTC))
        _check_writable(out)
    except PlanError as error:
        console.print(f"Error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    # Only now: a wrong argument is refused at once.
    from infra.bench.base import throwaway
    from infra.simulate.conduct import NothingYetError, conduct, prepare
    from infra.simulate.page import page, span
    from infra.simulate.view import bar
    from ingestion.command import INTERRUPTED, stop_on_signals

    say(
        f"{plan.start:%Y-%m-%d} to {plan.end:%Y-%m-%d}: {plan.days} simulated day{'' if plan.days == 1 else 's'} in {span(plan.real_seconds)}, "
        f"and some minutes for the stack's start and the last daily runs"
    )
    try:
        with throwaway(), bar(console) as show:
            prepare()
            with stop_on_signals() as stop:
                outcome = conduct(plan, stop, say, show)
    except (KeyboardInterrupt, NothingYetError):
        say("Interrupted at once, or before the first day: there is no report.")
        raise typer.Exit(INTERRUPTED) from None
    out.write_text(page(outcome, version("globalmart-lakehouse")), encoding="utf-8")
    if as_json:
        sys.stdout.write(outcome.to_json().decode() + "\n")
    _sum_up(console, outcome, out)
    if outcome.is_interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.problems:
        raise typer.Exit(1)


def _check_writable(out: Path) -> None:
    """Raise PlanError now rather than after half an hour."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise PlanError(f"--out {out} is no file in a folder that exists; name one, such as --out week.html.")
    try:
        with out.open("a"):
            pass
        if not out.stat().st_size:
            out.unlink()
    except OSError as error:
        raise PlanError(
            f"--out {out} cannot be written ({error.strerror}); name another, such as --out week.html."
        ) from None


def _sum_up(console: Console, outcome: Outcome, out: Path) -> None:
    from infra.simulate.page import span

    console.print(f"  books {'balance' if outcome.books.balanced else 'DO NOT balance'}", markup=False)
    for one in outcome.incidents:
        words = one.note or "no alarm"
        if one.alarm is not None:
            words = f"{one.alarm!r} after {span(one.seconds_to_alarm)}, {span(one.simulated_seconds_to_alarm)} on the shop's clock"
        console.print(f"  {one.kind} of {one.begins_at:%Y-%m-%d %H:%M}: {words}", markup=False, soft_wrap=True)
    for problem in outcome.problems:
        console.print(f"  {problem}", style="red", markup=False, soft_wrap=True)
    console.print(f"  report: {out}", markup=False, soft_wrap=True)
