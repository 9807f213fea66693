"""`globalmart generate`: options, progress bar and summary of a generator run. No traffic logic."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ingestion.options import OptionError, RunOptions, history, live, parse_duration, parse_start
from ingestion.run import Progress as RunProgress
from ingestion.run import Report, run
from ingestion.shares import Shares
from ingestion.topics import INPUT_NAMES
from lakehouse.errors import GlobalMartError
from lakehouse.settings import get_settings

EPILOG = (
    "Examples:  globalmart generate --rate 500 --duration 60s   ·   "
    "globalmart generate --history 30d --scale 0.02 --seed 7 --duplicates 0.01 --violations 0.01"
)
INTERRUPTED = 130

_FAULTS = "Faults, each a share of the records"


def generate(
    rate: Annotated[float | None, typer.Option(help="Live traffic: records a second. [default: 500]")] = None,
    duration: Annotated[
        str | None, typer.Option(help="Live traffic: how long, as 60s, 10m or 2h. [default: 60s]")
    ] = None,
    history_span: Annotated[
        str | None, typer.Option("--history", help="History instead: how much event time, as 36h, 30d or 4w.")
    ] = None,
    scale: Annotated[
        float,
        typer.Option(
            help="Share of the 10 million users that are active; in history also of the 100,000 orders a day."
        ),
    ] = 0.02,
    start: Annotated[
        str | None,
        typer.Option(
            help="History: first event time, 2025-01-31 or 2025-01-31T12:00:00Z. Without it the history ends now."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which world and which chance. The same options give the same bytes.")] = 1,
    disorder: Annotated[str, typer.Option(help="History: how far arrival may trail event time.")] = "5s",
    streams: Annotated[
        str | None, typer.Option(help=f"Only these streams, comma-separated: {', '.join(INPUT_NAMES)}.")
    ] = None,
    catalogue: Annotated[
        bool | None,
        typer.Option(
            "--catalogue/--no-catalogue", help="Send all products first, or none. [default: those Kafka lacks]"
        ),
    ] = None,
    truth: Annotated[
        str, typer.Option(help="What the truth ledger holds: `faults`, the struck records, or `full`, all.")
    ] = "faults",
    duplicates: Annotated[float, typer.Option(help="Sent again later, the same.", rich_help_panel=_FAULTS)] = 0.0,
    conflicts: Annotated[float, typer.Option(help="Same id again with another body.", rich_help_panel=_FAULTS)] = 0.0,
    late: Annotated[float, typer.Option(help="Minutes to days late.", rich_help_panel=_FAULTS)] = 0.0,
    skew: Annotated[
        float, typer.Option(help="Dated by a wrong clock, within and beyond ten minutes.", rich_help_panel=_FAULTS)
    ] = 0.0,
    malformed: Annotated[float, typer.Option(help="Bytes that are no record.", rich_help_panel=_FAULTS)] = 0.0,
    violations: Annotated[
        float, typer.Option(help="Records that break the contract, each way in turn.", rich_help_panel=_FAULTS)
    ] = 0.0,
    extra_fields: Annotated[
        float, typer.Option(help="An unknown field, which is accepted.", rich_help_panel=_FAULTS)
    ] = 0.0,
    anomalies: Annotated[
        float, typer.Option(help="Anomalies, a share of transactions, and regional drops.", rich_help_panel=_FAULTS)
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Make realistic shop traffic and send it to Kafka, live at a rate or as history.

    What was injected is written only to the truth ledger, below `truth/` in the state folder. Ctrl-C ends a run cleanly.
    """
    messages = Console(stderr=True)
    try:
        shares = Shares(duplicates, conflicts, late, skew, malformed, violations, extra_fields, anomalies)
        common: dict[str, Any] = {
            "seed": seed,
            "scale": scale,
            "shares": shares,
            "streams": tuple(name.strip() for name in streams.split(",")) if streams is not None else INPUT_NAMES,
            "catalogue": catalogue,
            "truth": truth,
        }
        options = _options(rate, duration, history_span, start, disorder, common)
        with stop_on_signals() as stop, _progress_bar(messages, show=not as_json) as on_progress:
            report = run(
                get_settings(),
                options,
                on_progress=on_progress,
                say=lambda text: messages.print(text, highlight=False),
                stop=stop,
            )
    except GlobalMartError as error:
        messages.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(2 if error.__class__.__module__ in _USAGE_MODULES else 1) from None
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        print_summary(Console(), report)
    if report.interrupted:
        messages.print(
            "Interrupted: what was sent is accounted for, and the run is marked as incomplete.", highlight=False
        )
        raise typer.Exit(INTERRUPTED)
    if not report.complete:
        raise typer.Exit(1)


_USAGE_MODULES = ("ingestion.options", "ingestion.shares")


def _options(
    rate: float | None,
    duration: str | None,
    history_span: str | None,
    start: str | None,
    disorder: str,
    common: dict[str, Any],
) -> RunOptions:
    if common["truth"] not in ("faults", "full"):
        raise OptionError(f"--truth is {common['truth']!r}; it is `faults` or `full`.")
    if history_span is None:
        if start is not None:
            raise OptionError("--start belongs to --history; live traffic starts now.")
        return live(parse_duration(duration or "60s"), rate=500.0 if rate is None else rate, **common)
    if rate is not None or duration is not None:
        raise OptionError("--history goes as fast as it can; leave --rate and --duration out.")
    return history(
        parse_duration(history_span, "history"),
        parse_start(start) if start is not None else None,
        disorder_seconds=0.0 if disorder.strip() in ("0", "0s") else parse_duration(disorder, "disorder"),
        **common,
    )


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one is the system's own again."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def set_stop(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, set_stop)
    try:
        yield stop
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)


@contextmanager
def _progress_bar(console: Console, *, show: bool) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[count]:>11,} records  {task.fields[rate]:>8,.0f} ev/s"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=not show, transient=True)
    task = bar.add_task("start", total=1.0, count=0, rate=0.0)
    last = [0.0, 0]

    def on_progress(progress: RunProgress) -> None:
        bar.start()  # only now: a run that cannot start leaves one sentence and no empty line
        passed = progress.seconds - last[0]
        rate = (progress.acknowledged - last[1]) / passed if passed > 0 else 0.0
        last[:] = [progress.seconds, progress.acknowledged]
        bar.update(task, description=progress.phase, completed=progress.done, count=progress.acknowledged, rate=rate)

    try:
        yield on_progress
    finally:
        if bar.live.is_started:
            bar.stop()


def print_summary(console: Console, report: Report) -> None:
    """What was produced and injected, as people read it."""
    table = Table(title=f"{report.mode} run {report.run_id}", title_justify="left")
    table.add_column("stream")
    table.add_column("produced", justify="right")
    table.add_column("acknowledged", justify="right")
    for name in INPUT_NAMES:
        table.add_row(name, f"{report.produced[name]:,}", f"{report.acknowledged[name]:,}")
    table.add_section()
    table.add_row("all", f"{report.total:,}", f"{sum(report.acknowledged.values()):,}")
    console.print(table)
    if report.faults:
        injected = Table(title="injected", title_justify="left")
        injected.add_column("fault")
        injected.add_column("records", justify="right")
        for fault, count in report.faults.items():
            injected.add_row(fault, f"{count:,}")
        console.print(injected)
    console.print(
        f"Event time {report.start} to {report.last_event_time}, {report.seconds:,.1f} s, "
        f"{report.events_per_second:,.0f} ev/s. Truth ledger: {report.truth}",
        highlight=False,
        soft_wrap=True,
    )
    if report.mode == "live":
        times = f"fell behind {report.times_behind} times" if report.times_behind else "never fell behind"
        console.print(f"The run {times}; at most {report.most_seconds_behind:.2f} s after its clock.", highlight=False)
