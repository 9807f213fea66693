"""`globalmart quality`: options, wording and exit codes only."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table as Grid

from lakehouse.errors import GlobalMartError
from lakehouse.quality.check import MOST_OFFENDERS, Outcome, Report
from lakehouse.settings import load_settings
from lakehouse.tables import BY_PATH, Table

app = typer.Typer(
    name="quality",
    help="What the expectations of the lake's tables say. Personal data is masked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Example: globalmart quality rejected gold/customer_rfm",
)


class UnknownTableError(GlobalMartError):
    """There is no such table, or none that is judged."""


@app.callback()
def quality() -> None:
    """What the expectations of the lake's tables say. Personal data is masked."""


@app.command(epilog="Example: globalmart quality rejected gold/fact_sales --day 2026-03-14 --limit 50")
def rejected(
    table: Annotated[str, typer.Argument(help="A table of silver, or one that the batch makes: layer/name.")],
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Of a daily table: this UTC day; else the last one made."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_OFFENDERS, help="At most so many rows of each expectation.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Judge a table again, with its rows as they are now, and list the rows that each failed expectation rejects."""
    from lakehouse.quality.again import judge

    report, of_day = judge(load_settings("operator"), _named(table), day.date() if day else None)
    if as_json:
        print(orjson.dumps(_document(report, of_day, limit), default=str, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(report, of_day, limit)


def _named(name: str) -> Table:
    from lakehouse.quality.views import JUDGED

    found = BY_PATH.get(name) or next((one for one in JUDGED if one.name == name), None)
    if found not in JUDGED:
        known = ", ".join(sorted(one.path for one in JUDGED))
        raise UnknownTableError(f"No table {name!r} is judged: the tables are {known}.")
    return found


def _document(report: Report, day: date | None, limit: int) -> dict[str, Any]:
    return {
        "table": report.table,
        "day": day,
        "row_count": report.row_count,
        "expectation_count": len(report.outcomes),
        "rejected": [
            {"expectation": one.expectation, "count": one.unexpected_count, "rows": one.offenders[:limit]}
            for one in report.failed
        ],
    }


def _print(report: Report, day: date | None, limit: int) -> None:
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    place = f"{report.table}{f' of {day}' if day else ''}"
    if report.passed:
        out.print(
            f"[green]All {len(report.outcomes)} expectations hold[/] of the {report.row_count:,} rows of {place}."
        )
        return
    out.print(
        f"{len(report.failed)} of {len(report.outcomes)} expectations fail of the {report.row_count:,} rows of {place}."
    )
    for one in report.failed:
        out.print(f"\n[red]{one.expectation}[/]: {one.unexpected_count:,}")
        out.print(_grid(one, limit))


def _grid(outcome: Outcome, limit: int) -> Grid:
    grid = Grid(*outcome.offenders[0], box=None, pad_edge=False)
    for row in outcome.offenders[:limit]:
        grid.add_row(*(str(value) for value in row.values()))
    return grid
