"""`globalmart alerts`: list, show, acknowledge, snooze, resolve. Wording and exit codes only."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import ProgrammingError

from api.desk import lifecycle
from api.desk.channels.ways import ways
from api.desk.core import Desk
from api.desk.database import CURABLE, connect, in_words
from api.desk.errors import DeskDatabaseError
from api.desk.model import Alert
from api.desk.rules import load_rules
from lakehouse.errors import SettingsError
from lakehouse.findings import rfc3339
from lakehouse.settings import CHECKOUT, load_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Alerts of the desk: look at them, say who looks after them, keep them quiet, close them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ALERT", help="Its id, or the beginning of it.")]
By = Annotated[str, typer.Option(help="Who says so.", show_default="you", default_factory=getpass.getuser)]
Note = Annotated[str, typer.Option(help="Words for the audit and the notice.")]
_SPAN = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# Times as everywhere on the platform: UTC, milliseconds, Z.
_STYLE = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME


@contextmanager
def _desk() -> Iterator[Desk]:
    """The desk with its own account, which this command reads from the stack's secrets. Raises DeskDatabaseError."""
    settings = load_settings("desk")
    rules = load_rules(CHECKOUT / settings.alert_rules)
    engine = connect(settings)
    try:
        yield Desk(engine, rules, frozenset(ways(settings, rules)))
    except CURABLE as error:
        raise DeskDatabaseError(f"{in_words(error)}. Is the stack up? `globalmart status` says.") from None
    except ProgrammingError as error:
        raise DeskDatabaseError(
            f"{in_words(error)}. The desk makes its tables when it starts: `globalmart up`."
        ) from None
    finally:
        engine.dispose()


@app.command("list", epilog="Example: globalmart alerts list --state open --severity critical")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the latest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the alerts seen last, newest first."""
    with _desk() as desk, desk.engine.connect() as connection:
        rows = lifecycle.list_alerts(connection, state or (), kind or (), severity or (), limit)
    if as_json:
        _print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("alert", "severity", "state", "count", "last seen (UTC)", "kind", "title"):
        table.add_column(title, justify="right" if title == "count" else "left", no_wrap=title == "alert")
    for row in rows:
        table.add_row(
            row["alert_id"][:12], row["severity"], row["state"], f"{row['count']:,}", f"{row['last_seen_at']:%m-%d %H:%M:%S}",
            escape(row["kind"]), escape(row["title"]),
        )  # fmt: skip
    _out().print(table)


@app.command(epilog="Example: globalmart alerts show 3f9a2c41")
def show(alert: Id, as_json: Json = False) -> None:
    """Show one alert: what it rests on, what was done with it, whom it was told."""
    with _desk() as desk, desk.engine.connect() as connection:
        found = lifecycle.show_alert(connection, alert)
    if as_json:
        _print_json(found)
        return
    out = _out()
    for name, value in found.items():
        if name not in {"events", "findings", "deliveries", "evidence"} and value is not None:
            out.print(f"{name:<18} {_text(value)}", markup=False, soft_wrap=True)
    out.print(f"{'evidence':<18} {orjson.dumps(found['evidence']).decode()}", markup=False, soft_wrap=True)
    for name, columns in (
        ("events", ("at", "what", "who", "note")),
        ("findings", ("event_at", "verdict", "lane", "severity", "finding_id")),
        ("deliveries", ("moment", "channel", "state", "attempts", "delivered_at", "last_error")),
    ):
        out.print(f"\n{name}")
        table = Table(*columns, box=None, pad_edge=False)
        for row in found[name]:
            table.add_row(*(escape(_text(row[column])) for column in columns))
        out.print(table)


@app.command(epilog="Example: globalmart alerts acknowledge 3f9a2c41 --note 'calling the warehouse'")
def acknowledge(alert: Id, by: By, note: Note = "", as_json: Json = False) -> None:
    """Say that you look after an alert."""
    _change(lambda desk, now: lifecycle.acknowledge(desk, alert, by, now, note), as_json)


@app.command(epilog="Example: globalmart alerts snooze 3f9a2c41 --for 4h")
def snooze(
    alert: Id,
    by: By,
    span: Annotated[str, typer.Option("--for", metavar="SPAN", help="30m, 4h, 2d.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="2026-05-01T08:00Z; without an offset it is UTC.")] = "",
    note: Note = "",
    as_json: Json = False,
) -> None:
    """Hear nothing of an alert for a while; should it come again after that, it opens again."""
    _change(lambda desk, now: lifecycle.snooze(desk, alert, _end(span, until, now), by, now, note), as_json)


@app.command(epilog="Example: globalmart alerts resolve 3f9a2c41 --note 'restocked'")
def resolve(alert: Id, by: By, note: Note = "", as_json: Json = False) -> None:
    """Close an alert; should it come again, that is a new alert linked to this one."""
    _change(lambda desk, now: lifecycle.resolve(desk, alert, by, now, note), as_json)


def _change(action: Callable[[Desk, datetime], Alert], as_json: bool) -> None:
    now = datetime.now(UTC)
    with _desk() as desk:
        alert = action(desk, now)
    if as_json:
        _print_json(vars(alert))
    else:
        until = f" until {alert.snoozed_until:%Y-%m-%d %H:%M} UTC" if alert.snoozed_until else ""
        print(f"{alert.alert_id}: {alert.state}{until}")


def _end(span: str, until: str, now: datetime) -> datetime:
    """The time that `--for` or `--until` means. Raises SettingsError."""
    if bool(span) == bool(until):
        raise SettingsError("Say either --for, such as 4h, or --until, such as 2026-05-01T08:00Z.")
    if span:
        match = _SPAN.fullmatch(span)
        if match is None:
            raise SettingsError(f"--for {span} is not a whole number with m, h or d, such as 30m.")
        return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        raise SettingsError(f"--until {until} is not a time such as 2026-05-01T08:00Z.") from None
    return end.replace(tzinfo=end.tzinfo or UTC).astimezone(UTC)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    return "" if value is None else str(value)


def _print_json(value: Any) -> None:
    print(orjson.dumps(value, default=_text, option=_STYLE).decode())


def _out() -> Console:
    """Into a pipe, lines are not broken at the 80 columns that rich assumes there."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
