"""What a list resource declares. Everything else (parameters, SQL, paging, formats, OpenAPI) follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from api.served import HOW
from lakehouse.tables import Column, Table

Operator = Literal["in", ">=", "<", "<=", "contains"]
# Columns that only say how a row is to be read.
_READING = {"sums": {"batch_id"}, "snapshots": {"batch_id", "is_retracted"}, "rows": {"batch_id"}}
_SQL_TYPES: tuple[tuple[Any, str], ...] = (
    (pa.types.is_string, "VARCHAR"),
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_integer, "BIGINT"),
    (pa.types.is_decimal, "DECIMAL(18, 2)"),
    (pa.types.is_floating, "DOUBLE"),
    (pa.types.is_timestamp, "TIMESTAMP"),
    (pa.types.is_date, "DATE"),
)


@dataclass(frozen=True)
class Filter:
    """One parameter that keeps the rows whose `column` stands in `operator` to it; `in` takes several values.

    `default` is what holds where the parameter is not given, such as the row over all countries.
    """

    name: str
    column: str
    kind: Any
    meaning: str
    example: Any
    operator: Operator = "in"
    default: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Resource:
    """A list of rows of one served table.

    `sort`: the order unless asked otherwise, `-` for descending; the key completes it. `day`: the column of which an answer
    has one value, asked for as `as_of_date`. `country`: the column by which rows belong to a country. `all_countries`: its
    figures cannot be told apart by country, so keys for some countries are refused. `users` and `emails` are personal
    columns, `texts` those in which a row's user ids may be named. `columns` are those that are shown, all of the table by
    default; `where` is SQL that always holds.
    """

    path: str
    name: str
    table: Table
    tag: str
    summary: str
    description: str
    sort: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    day: str | None = None
    country: str | None = None
    all_countries: bool = False
    users: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    where: str = "true"

    @cached_property
    def shown(self) -> dict[str, Column]:
        """The columns of a row by name, in order."""
        served = HOW[self.table.name].names
        hidden = _READING[self.table.reading]
        there = {c.name: c for c in self.table.columns if c.name in served and c.name not in hidden}
        return {name: there[name] for name in self.columns} if self.columns else there

    @cached_property
    def sortable(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.shown.items() if not pa.types.is_nested(column.type))

    @cached_property
    def key(self) -> tuple[str, ...]:
        """What tells the rows of one answer apart."""
        return tuple(name for name in self.table.key if name != self.day)


def sql_type(kind: pa.DataType) -> str:
    """The DuckDB type of a column. Raises KeyError for nested types, which nothing is compared with."""
    for is_kind, name in _SQL_TYPES:
        if is_kind(kind):
            return name
    raise KeyError(str(kind))


def json_schema(column: Column) -> dict[str, Any]:
    """How a value of the column looks in JSON."""
    kind = column.type
    if pa.types.is_map(kind):
        schema: dict[str, Any] = {"type": "object", "additionalProperties": True}
    elif pa.types.is_list(kind):
        schema = {"type": "array", "items": {"type": "string"}}
    elif pa.types.is_timestamp(kind):
        schema = {"type": "string", "format": "date-time"}
    elif pa.types.is_date(kind):
        schema = {"type": "string", "format": "date"}
    elif pa.types.is_decimal(kind):
        schema = {"type": "number", "format": "decimal"}
    elif pa.types.is_boolean(kind):
        schema = {"type": "boolean"}
    elif pa.types.is_integer(kind):
        schema = {"type": "integer"}
    elif pa.types.is_floating(kind):
        schema = {"type": "number"}
    else:
        schema = {"type": "string"}
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return {**schema, "description": column.meaning}
