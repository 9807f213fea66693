"""`globalmart rebuild`: options, wording and exit codes only."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from lakehouse.settings import load_settings

EPILOG = "Example: globalmart rebuild --dry-run"
_SPARK = {"spark.sql.execution.arrow.maxRecordsPerBatch": "50000", "spark.driver.maxResultSize": "3g"}


class Source(StrEnum):
    BRONZE = "bronze"


def rebuild(
    source: Annotated[Source, typer.Option("--from", help="What the tables are made from.")] = Source.BRONZE,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only compare; may run beside the stream. Exits with 1 when tables differ."),
    ] = False,
    swap_all: Annotated[bool, typer.Option("--all", help="Swap equal tables too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make silver and live gold again from bronze beside the live tables, compare them, and swap those that differ.

    Needs the streaming service stopped, unless it is a dry run. The service then goes on where it was. A rebuild that was
    cut short is finished by running it again.
    """
    from lakehouse.rebuild.run import rebuild as run
    from lakehouse.session import build_session

    _ = source  # bronze is all there is; the option says so
    settings = load_settings("streaming")
    told = Console(stderr=True, highlight=False, markup=False)
    found = run(
        settings,
        lambda: build_session(settings, "globalmart-rebuild", settings.streaming_memory_gb, _SPARK),
        datetime.now(UTC),
        dry_run,
        swap_all,
        say=lambda text: told.print(text, soft_wrap=True),
    )
    if as_json:
        body = {
            "batch_id": found.batch_id,
            "record_count": found.record_count,
            "is_equal": found.is_equal,
            "swapped": found.swapped,
            "tables": [asdict(one) | {"is_equal": one.is_equal} for one in found.comparisons],
        }
        print(orjson.dumps(body, default=_exact, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
    else:
        _print(found)
    if dry_run and not found.is_equal:
        raise typer.Exit(1)


def _exact(value: Any) -> Any:
    return orjson.Fragment(f"{value:.2f}") if isinstance(value, Decimal) else str(value)


def _print(found: Any) -> None:
    out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    table = Table(box=None, pad_edge=False)
    for title in ("table", "live rows", "rebuilt rows", "live USD", "rebuilt USD", "verdict"):
        table.add_column(title, justify="left" if title in ("table", "verdict") else "right")
    for one in found.comparisons:
        verdict = "equal" if one.is_equal else ("damaged" if one.live is None else "different")
        rows = "-" if one.live is None else f"{one.live.row_count:,}"
        table.add_row(
            one.table, rows, f"{one.rebuilt.row_count:,}", _money(one.live), _money(one.rebuilt),
            f"{verdict}, swapped" if one.table in found.swapped else verdict,
        )  # fmt: skip
    out.print(table)
    for one in found.comparisons:
        if one.damage:
            out.print(f"{one.table}: {one.damage}", soft_wrap=True)
        for key in one.first_keys:
            side = "live" if key["in_live"] else "rebuilt"
            named = ", ".join(f"{name}={value}" for name, value in key.items() if name != "in_live")
            out.print(f"{one.table}: only {side} has this row: {named}", soft_wrap=True)
    verdict = (
        "Equal content" if found.is_equal else f"{sum(not one.is_equal for one in found.comparisons)} tables differ"
    )
    done = f"; {len(found.swapped)} swapped: start the stream with `globalmart up`" if found.swapped else ""
    out.print(f"{verdict} from {found.record_count:,} records up to batch {found.batch_id}{done}.", soft_wrap=True)


def _money(content: Any) -> str:
    return " ".join(f"{amount:,.2f}" for amount in content.money.values()) if content is not None else "-"
