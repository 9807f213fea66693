"""The commands of the lakehouse for `globalmart`: `prove`. Wording and exit codes only."""

from __future__ import annotations

import sys
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from lakehouse.settings import get_settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_SHOWN = 20


def prove(as_json: Json = False) -> None:
    """Prove that every record is accounted for, from Kafka offset to gold, in counts and in money.

    Compares Kafka, bronze and the three outcomes of a record (silver, quarantine, duplicates) position by position up to the
    last micro-batch that is complete; what lies above is in flight. Exits with 1 and the place of each difference when the books
    do not balance.
    """
    from lakehouse.books.prove import prove as run
    from lakehouse.books.record import write_proof

    books = run(get_settings())
    write_proof(get_settings(), books)
    if as_json:
        print(orjson.dumps(asdict(books), default=_exact, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
    else:
        _print(books)
    if not books.balanced:
        raise typer.Exit(1)


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:.2f}")
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")


def _print(books: Any) -> None:
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)  # rich would cut a pipe at 80
    counts = ("kafka", "bronze", "silver", "quarantine", "duplicates", "in_flight")
    table = Table("topic", "partition", box=None, pad_edge=False, show_footer=True)
    table.columns[0].footer = "all"
    for name in counts:
        total = sum(getattr(line, name) for line in books.topics)
        table.add_column(name.replace("_", " "), f"{total:,}", justify="right")
    for line in books.topics:
        table.add_row(line.topic, str(line.partition), *(f"{getattr(line, name):,}" for name in counts))
    out.print(table)
    money = Table("money, USD", box=None, pad_edge=False)
    for name in ("silver", "table", "difference"):
        money.add_column(name, justify="right")
    for line in books.money:
        money.add_row(line.table, f"{line.silver:,.2f}", f"{line.gold:,.2f}", f"{line.gold - line.silver:,.2f}")
    out.print()
    out.print(money)
    out.print()
    for one in books.differences[:_SHOWN]:
        place = f"{one.topic}/{one.partition} offsets {one.first_offset} to {one.last_offset}: " if one.topic else ""
        out.print(f"[red]{place}{one.what}[/]", soft_wrap=True)
    if len(books.differences) > _SHOWN:
        out.print(f"[red]and {len(books.differences) - _SHOWN} more; --json lists them[/]")
    verdict = "[green]The books balance[/]" if books.balanced else "[red]The books do not balance[/]"
    out.print(f"{verdict} up to batch {books.batch_id}, committed at {books.cut_at:%Y-%m-%d %H:%M:%S} UTC.")
