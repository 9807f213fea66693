"""The command `globalmart read`: rows of a table as it is or as it was. Wording only."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table as Grid

from lakehouse.errors import GlobalMartError
from lakehouse.settings import get_settings
from lakehouse.tables import BY_PATH, Table

EPILOG = "Example: globalmart read gold/customer_rfm --at 2026-03-14T06:00:00Z --limit 5"


class UnknownTableError(GlobalMartError):
    """A table was named that the lake does not have."""


def table_named(name: str) -> Table:
    """The table `layer/name`, or `name` where only one layer has it. Raises UnknownTableError."""
    found = [table for table in BY_PATH.values() if name in (table.path, table.name)]
    if len(found) != 1:
        raise UnknownTableError(f"There is no table {name!r}: the tables are {', '.join(BY_PATH)}.")
    return found[0]


def moment(text: str) -> datetime:
    """A time as RFC 3339; without a zone it is UTC. Raises typer.BadParameter."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-03-14T06:00:00Z.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read(
    table: Annotated[str, typer.Argument(help="The table, such as gold/customer_rfm.")],
    version: Annotated[int | None, typer.Option(help="As it was at this Delta version.")] = None,
    at: Annotated[str | None, typer.Option(help="As it was at this time, RFC 3339; without a zone UTC.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most rows shown.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show rows of a table, as it is or as it was at a version or a time.

    Rows are as they are stored: of a table of partial sums or snapshots, docs/naming.md says how to read them.
    """
    from lakehouse.travel import open_at

    if version is not None and at is not None:
        raise typer.BadParameter("Name a version or a time, not both.")
    declared = table_named(table)
    opened = open_at(get_settings(), declared, version, moment(at) if at else None)
    there = {field.name for field in opened.delta.schema().fields}
    columns = [name for name in declared.schema.names if name in there]
    rows = opened.delta.to_pyarrow_dataset().head(limit, columns=columns).to_pylist()
    if as_json:
        body = {"table": declared.path, "version": opened.version, "committed_at": opened.committed_at, "rows": rows}
        print(orjson.dumps(body, default=_exact, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 250)
    grid = Grid(*columns, box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(grid)
    when = f", committed at {opened.committed_at:%Y-%m-%d %H:%M:%S} UTC" if opened.committed_at else ""
    out.print(f"{declared.path} at version {opened.version}{when}: {len(rows)} rows shown.")


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")
