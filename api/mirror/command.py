"""The commands `globalmart mirror`: how far the PostgreSQL mirror is, and making it anew. Wording and exit codes only."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table as Grid

from api.mirror.lag import lag, words
from api.mirror.plan import Mirrored, mirrored
from api.mirror.rebuild import drop_undeclared
from api.mirror.rebuild import rebuild as rebuild_tables
from api.mirror.target import Target
from lakehouse.settings import Settings, load_settings
from lakehouse.travel import Log, NoSuchVersionError
from lakehouse.travel_command import table_named

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The PostgreSQL mirror of gold. Delta is the truth: what is in the mirror can be made anew at any time.",
)


@app.command(epilog="Example: globalmart mirror status --json")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show per table the Delta version that the mirror shows, the newest one, rows and when; and how far it is behind."""
    settings = load_settings()
    with Target(settings) as target:
        shown = target.shown()
    rows: list[dict[str, Any]] = []
    for one in mirrored(settings):
        newest, has = _newest(settings, one), shown.get(one.table.path)
        rows.append(
            {
                "table": one.table.path,
                "delta_version": has.delta_version if has else None,
                "newest_version": newest,
                "row_count": has.row_count if has else None,
                "first_day": has.first_day if has else None,
                "committed_at": has.committed_at if has else None,
                "mirrored_at": has.mirrored_at if has else None,
                "load_seconds": has.load_seconds if has else None,
            }
        )
    threads = lag(settings)
    if as_json:
        body = {"lag": threads, "tables": rows}
        print(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    grid = Grid("table", "version", "of", "rows", "from day", "mirrored at", box=None, pad_edge=False)
    for row in rows:
        at = row["mirrored_at"]
        values = (row["table"], row["delta_version"], row["newest_version"], row["row_count"], row["first_day"])
        grid.add_row(*("-" if v is None else str(v) for v in values), f"{at:%Y-%m-%d %H:%M:%S}" if at else "-")
    out.print(grid)
    for name, one in threads.items():
        out.print(f"{name}: {words(one)}", markup=False, soft_wrap=True)


@app.command(epilog="Example: globalmart mirror rebuild --table gold/customer_rfm")
def rebuild(
    table: Annotated[str, typer.Option(help="Only this table, such as gold/customer_rfm.")] = "",
) -> None:
    """Load the mirror anew from gold, one table after the other; readers see the old rows until the new ones are complete.

    Without --table, tables that gold does not have any more leave the mirror.
    """
    settings = load_settings("serving")
    chosen = [one for one in mirrored(settings) if not table or one.table is table_named(table)]
    if not chosen:
        raise typer.BadParameter(f"{table} is not a gold table, so the mirror does not have it.")
    for one in rebuild_tables(settings, chosen):
        path, shown = one.mirrored.table.path, one.shown
        if shown:
            print(f"{path:<32} version {shown.delta_version}: {shown.row_count:,} rows in {shown.load_seconds:.1f} s")
        else:
            print(f"{path:<32} not in gold yet")
    for name in [] if table else drop_undeclared(settings):
        print(f"{name:<32} dropped: no gold table is called so")


def _newest(settings: Settings, one: Mirrored) -> int | None:
    try:
        return Log(settings, one.table).newest
    except NoSuchVersionError:
        return None
