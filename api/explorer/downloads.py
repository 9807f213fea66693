"""Rows as a file to take along: CSV or Parquet."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fastapi import Response

Format = Literal["csv", "parquet"]
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
# A spreadsheet takes a text that begins with one of these for a formula.
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_SIMPLE = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "SMALLINT": pa.int16(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
}


def download(table: pa.Table, name: str, kind: Format) -> Response:
    """`table` as an attachment `name`.csv or `name`.parquet."""
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, out)
    else:
        pacsv.write_csv(_defused(table), out)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(out.getvalue(), 200, headers, _TYPES[kind])


def of_statement(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """What the sandbox gave, with its types again: decimals exact, times as such, what Arrow has no word for as text."""
    arrays, names = [], []
    for place, (name, kind) in enumerate(columns):
        values = [row[place] for row in rows]
        arrays.append(_array(values, kind))
        names.append(name if name not in names else f"{name}_{place + 1}")
    return pa.Table.from_arrays(arrays, names)


def _array(values: list[Any], kind: str) -> pa.Array:
    if found := _DECIMAL.fullmatch(kind):
        exact = [None if value is None else Decimal(value) for value in values]
        return pa.array(exact, pa.decimal128(int(found[1]), int(found[2])))
    if kind == "DATE":
        return pa.array([None if value is None else date.fromisoformat(value) for value in values], pa.date32())
    if kind == "TIMESTAMP":
        moments = [None if value is None else datetime.fromisoformat(value) for value in values]
        return pa.array(moments, pa.timestamp("us"))
    if kind in _SIMPLE:
        return pa.array([float(v) if isinstance(v, str) else v for v in values], _SIMPLE[kind])
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _defused(table: pa.Table) -> pa.Table:
    """Texts that a spreadsheet would run get an apostrophe in front, by which it takes them for text."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = [f"'{text}" if text and _FORMULA.match(text) else text for text in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(safe, pa.string()))
    return table
