"""The parameters of a resource as a model, made from its declaration: filters, `sort`, `fields`, time travel, paging."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field, create_model

from api.resources.base import Resource
from api.sums import Moment, Paged


def model(resource: Resource) -> type[Paged]:
    """The query model of the resource. Unknown parameters and values of the wrong type are refused by it."""
    fields: dict[str, Any] = {}
    for one in resource.filters:
        description = one.meaning + (f" Default: {', '.join(map(str, one.default))}." if one.default else "")
        kind = _in_range(one.kind, resource.table.schema.field(one.column).type)
        if one.operator == "in":
            fields[one.name] = (
                list[kind],  # type: ignore[valid-type]
                Field([], max_length=100, description=f"{description} Repeat for several.", examples=[[one.example]]),
            )
        else:
            fields[one.name] = (kind | None, Field(None, description=description, examples=[one.example]))
    orders = tuple(sign + name for name in resource.sortable for sign in ("", "-"))
    fields["sort"] = (
        list[Literal[orders]],  # type: ignore[valid-type]
        Field(
            [],
            max_length=5,
            description=f"Order of the rows, `-` for descending; repeat for several. Default: {', '.join(resource.sort)}. "
            "Nulls come last, and the key settles what is equal.",
            examples=[[resource.sort[0]]],
        ),
    )
    fields["fields"] = (
        list[Literal[tuple(resource.shown)]],  # type: ignore[misc]
        Field(
            [],
            max_length=100,
            description="Only these fields of each row; repeat for several. Default: all.",
            examples=[list(resource.shown)[:2]],
        ),
    )
    if resource.day:
        fields["as_of_date"] = (
            date | None,
            Field(None, description="The day of the table. Default: the newest there is.", examples=["2026-03-14"]),
        )
    fields["as_of"] = (
        Moment | None,
        Field(
            None,
            description="The table as it was at this moment, RFC 3339 with zone. Default: now. 404 before its first version, "
            "410 where maintenance has deleted files of that version.",
            json_schema_extra={"x-no-example": True},
        ),
    )
    title = "".join(part.capitalize() for part in resource.name.split("_")) + "Query"
    return create_model(title, __base__=Paged, **fields)


def _in_range(kind: Any, column: pa.DataType) -> Any:
    """`kind` with the range and the digits that its column can have, so that values can be compared with it."""
    if kind is int and pa.types.is_integer(column):
        largest = 2 ** (column.bit_width - 1) - 1
        return Annotated[int, Field(ge=-largest - 1, le=largest)]
    if kind is Decimal and pa.types.is_decimal(column):
        return Annotated[Decimal, Field(max_digits=column.precision, decimal_places=column.scale)]
    return kind
