"""From a table to the rows inside a chart: only the columns that it draws, as values that JSON has. No sums, no filters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from api.errors import ServingError

Row = dict[str, Any]
Rows: TypeAlias = pd.DataFrame | pa.Table | list[Row]


class ChartError(ServingError):
    """The rows, or what is asked of them, do not make this chart; the sentence says why."""


def rows_of(table: Rows, needed: Iterable[str], optional: Iterable[str] = ()) -> list[Row]:
    """The rows of `table`, in its order, with the columns `needed` and those of `optional` that it has.

    Money becomes a binary number here, where it is only drawn; a time gets a `Z` (one without a zone is UTC), nulls and NaN become None.
    Raises ChartError where a needed column is missing.
    """
    if isinstance(table, list) and not table:
        return []  # it has no columns to miss
    columns = _columns(table)
    wanted = list(dict.fromkeys(needed))
    if missing := [name for name in wanted if name not in columns]:
        raise ChartError(f"This chart needs the column {missing[0]}; the rows have {', '.join(columns) or 'none'}.")
    wanted += [name for name in dict.fromkeys(optional) if name in columns and name not in wanted]
    if isinstance(table, pd.DataFrame):
        raw = table[wanted].to_dict("records")
    elif isinstance(table, list):
        raw = table
    else:
        raw = table.select(wanted).to_pylist()
    return [{name: plain(row.get(name)) for name in wanted} for row in raw]


def _columns(table: Rows) -> list[str]:
    if isinstance(table, pd.DataFrame):
        return [str(name) for name in table.columns]
    if isinstance(table, list):
        return list(table[0])
    return list(table.column_names)


def plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def distinct(rows: list[Row], column: str) -> list[Any]:
    """The values of `column` that are not null, in order of first appearance."""
    return list(dict.fromkeys(row[column] for row in rows if row[column] is not None))
