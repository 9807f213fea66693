"""The `globalmart` command: wires the parts' commands together, and turns errors meant for people into one sentence."""

from __future__ import annotations

import errno
import importlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lakehouse.errors import GlobalMartError

# Not from lakehouse.settings: its import would take longer than all of `globalmart --help`.
CHECKOUT = Path(__file__).resolve().parents[1]

# Commands of other packages: imported only when they are used, so that `globalmart --help` answers at once.
ELSEWHERE = {
    "generate": (
        "ingestion.command",
        "generate",
        "Send shop events to Kafka: live at a rate, or as history over days.",
    ),
    "prove": ("lakehouse.command", "prove", "Prove that every record is accounted for, from Kafka offset to gold."),
    "quarantine": ("lakehouse.quarantine.command", "app", "Look at bad records, repair, replay or discard them."),
    "quality": ("lakehouse.quality.command", "app", "See which rows the expectations of a table reject."),
    "rebuild": (
        "lakehouse.rebuild.command",
        "rebuild",
        "Make silver and live gold again from bronze, compare, and swap.",
    ),
    "read": ("lakehouse.travel_command", "read", "Show rows of a table, as it is or as it was."),
    "maintain": ("lakehouse.upkeep_command", "maintain", "Compact, sort and sweep dimensions, facts and marts."),
    "mirror": ("api.mirror.command", "app", "The PostgreSQL mirror of gold: how far it is; make it anew."),
    "dashboards": ("infra.dashboards.command", "app", "Grafana's dashboards over the mirror, built from code."),
    "backfill": ("orchestration.command", "backfill", "Make the batch tables of a range of days again."),
    "alerts": ("api.desk.command", "app", "See alerts; acknowledge, snooze or resolve them."),
    "keys": ("api.keys.command", "app", "Keys of the API: issue, list, revoke; who read personal data."),
    "scorecard": (
        "ingestion.scorecard_command",
        "scorecard",
        "Measure the anomaly detectors against anomalies that were injected.",
    ),
    "backup": ("infra.backup.command", "app", "Back everything up to one consistent point, while the streams run."),
    "restore": ("infra.backup.command", "restore", "Put a backup in the place of a stack's data."),
    "upgrade": ("infra.upgrade.command", "app", "Bring the data that is there to this release."),
    "notebooks": ("infra.notebooks", "notebooks", "Serve the notebooks in JupyterLab on 127.0.0.1."),
    "bench": ("infra.bench", "bench", "Run one benchmark beside its peer."),
    "container": ("infra.containers", "app", "What containers run: a service, its health, secrets, set-up."),
    "simulate": ("infra.simulate", "simulate", "Days of the shop in minutes, with incidents, and a report of them."),
    "demo": ("infra.demo", "demo", "Everything once: history, live traffic, batch, the books, a first look."),
}


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="GlobalMart: a streaming lakehouse whose books balance.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Into a pipe, lines are not broken at the 80 columns that rich assumes there.
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

Services = Annotated[list[str] | None, typer.Option(metavar="SERVICE", help="Start only this one; may be repeated.")]
Without = Annotated[list[str] | None, typer.Option(metavar="SERVICE", help="Leave this one out; may be repeated.")]
Profile = Annotated[
    str,
    typer.Option(metavar="NAME", help="local, or cluster: three Kafka brokers and a Spark cluster. Kept in `.env`."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command(epilog="Example: globalmart setup")
def setup() -> None:
    """Install what is missing: Python packages, Java, jars, MinIO."""
    raise typer.Exit(subprocess.run([str(CHECKOUT / "infra" / "bootstrap.sh")], cwd=CHECKOUT).returncode)


@app.command(epilog="Example: globalmart up --without dagster-daemon --without dagster-webserver")
def up(only: Services = None, without: Without = None, profile: Profile = "") -> None:
    """Start the local stack and wait until each service is healthy, in order."""
    from infra import stack

    def say(text: str) -> None:
        _out.print(f"  {text}", markup=False, soft_wrap=True)

    stack.up(only or (), without or (), say, profile)


@app.command(epilog="Example: globalmart down")
def down() -> None:
    """Stop the local stack; no process is left."""
    from infra import stack

    stack.down(say=lambda text: _out.print(f"  {text}", markup=False, soft_wrap=True))


@app.command(epilog="Example: globalmart status --json")
def status(as_json: Json = False) -> None:
    """Show state, address, uptime, restarts and health of each service; exit 1 unless all are healthy."""
    from infra import stack

    statuses = stack.status()
    if as_json:
        print(stack.as_json(statuses))
    else:
        _out.print(_status_table(statuses))
        for one in statuses:
            if one.next_step:
                _out.print(f"{one.name}: {one.next_step}", markup=False, soft_wrap=True)
    if not all(status.healthy for status in statuses if status.wanted):
        raise typer.Exit(1)


def _status_table(statuses: list[Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("service", "state", "address", "pid", "uptime", "restarts", "health"):
        table.add_column(title, justify="right" if title in {"pid", "uptime", "restarts"} else "left")
    for one in statuses:
        colour = "green" if one.healthy else "red" if one.wanted else "dim"
        table.add_row(
            one.name, f"[{colour}]{one.state.lower()}[/]", one.address, str(one.pid or "-"),
            _duration(one.uptime_seconds) if one.pid else "-", str(one.restarts), one.health,
        )  # fmt: skip
    return table


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@app.command(epilog="Example: globalmart doctor")
def doctor(as_json: Json = False) -> None:
    """Name what is missing, taken or too small on this machine and what to do; exit 1 when there is a problem."""
    from infra.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps({"ok": all(f.ok for f in findings), "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        for finding in findings:
            mark = "[green]ok [/]" if finding.ok else "[red]no [/]"
            _out.print(f"{mark} {finding.what:<14}", end="")
            _out.print(finding.words, markup=False, soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


# What the machine refuses is not a bug: told in a sentence, without a traceback.
_MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}


def elsewhere(name: str) -> typer.Typer:
    """A command of another package, imported now: a group with commands of its own, or one of a single command."""
    module, function, _ = ELSEWHERE[name]
    code = importlib.import_module(module)
    target = getattr(code, function)
    if isinstance(target, typer.Typer):
        return target
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    single.command(name, epilog=getattr(code, "EPILOG", None))(target)
    return single


def _register(name: str, summary: str) -> None:
    """A command that imports its module only when it runs, and leaves all its arguments and its --help to it."""

    @app.command(
        name,
        help=summary,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def run(context: typer.Context) -> None:
        elsewhere(name)(args=context.args, prog_name=f"globalmart {name}")


for _name, (_, _, _summary) in ELSEWHERE.items():
    _register(_name, _summary)


def main() -> None:
    """Run the command; errors meant for people become one sentence and exit code 1."""
    try:
        app()
    except GlobalMartError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if error.errno not in _MACHINE_ERRORS:
            raise
        print(
            f"Error: {error.strerror}{': ' + str(error.filename) if error.filename else ''}: make room or put the rights in order.",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
