"""What Spark needs of a contract: the type to read, the shape that is plainly right, and the conditions on values."""

from __future__ import annotations

import re
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.contracts.base import TIME_PATTERN, UUID_PATTERN, Contract, Field, Kind

_SQL_TYPES = {
    Kind.TEXT: "string",
    Kind.UUID: "string",
    Kind.TIME: "string",
    Kind.INTEGER: "int",
    Kind.MONEY: "decimal(18,2)",
    Kind.NUMBER: "double",
    Kind.TEXTS: "array<string>",
}
# how schema_of_variant prints a value of each kind
_INTEGER = r"BIGINT"
_DECIMAL = r"DECIMAL\(\d+,\d+\)"
_SHAPES = {
    Kind.TEXT: "STRING",
    Kind.UUID: "STRING",
    Kind.TIME: "STRING",
    Kind.INTEGER: _INTEGER,
    Kind.MONEY: rf"(?:{_INTEGER}|DECIMAL\(\d+,[012]\))",
    Kind.NUMBER: rf"(?:{_INTEGER}|{_DECIMAL}|DOUBLE)",
    Kind.TEXTS: "ARRAY<(?:STRING|VOID)>",
}


def sql_type(contract: Contract) -> str:
    """The record's fields as one SQL struct type, times still text."""
    return f"struct<{', '.join(f'{item.name}: {_sql_type(item)}' for item in contract.fields)}>"


def _sql_type(item: Field) -> str:
    if item.kind is Kind.LINES:
        return f"array<struct<{', '.join(f'{part.name}: {_sql_type(part)}' for part in item.fields)}>>"
    return _SQL_TYPES[item.kind]


def shape_pattern(contract: Contract) -> str:
    """A regular expression for `schema_of_variant` of a record with exactly the contract's fields, each of its kind."""
    return f"^{_object_pattern(contract.fields)}$"


def _object_pattern(fields: tuple[Field, ...]) -> str:
    """Keys come sorted; an optional one may be absent or null. Each comma goes with the key before it, the last key is required."""
    members = []
    ordered = sorted(fields, key=lambda f: f.name)
    for item in ordered:
        comma = "" if item is ordered[-1] else ", "
        name = re.escape(item.name)
        members.append(
            f"{name}: {_shape(item)}{comma}" if item.required else f"(?:{name}: (?:{_shape(item)}|VOID){comma})?"
        )
    return f"OBJECT<{''.join(members)}>"


def _shape(item: Field) -> str:
    if item.kind is Kind.LINES:
        return f"ARRAY<{_object_pattern(item.fields)}>"
    return _SHAPES[item.kind]


def values_are_right(contract: Contract, record: Column) -> Column:
    """True where every value of the typed `record` keeps its limits; null or false otherwise."""
    conditions = [_condition(item, record[item.name]) for item in contract.fields]
    lines = contract.lines
    if contract.sum_field and lines:
        amount = F.aggregate(
            record[lines.name],
            F.lit(0).cast("decimal(38,2)"),
            lambda total, line: (total + line["price"] * line["quantity"]).cast("decimal(38,2)"),
        )
        conditions.append(amount == record[contract.sum_field])
    return reduce(Column.__and__, conditions)


def _condition(item: Field, value: Column) -> Column:
    if item.kind is Kind.LINES:
        inner = F.forall(value, lambda line: reduce(Column.__and__, [_condition(p, line[p.name]) for p in item.fields]))
        return (F.size(value) > 0) & inner
    if item.kind is Kind.TEXTS:
        return value.isNotNull() & F.forall(value, lambda text: text.isNotNull())
    if item.kind is Kind.UUID:
        right = value.rlike(UUID_PATTERN.replace("$", r"\z"))
    elif item.kind is Kind.TIME:
        right = value.rlike(TIME_PATTERN.replace("$", r"\z"))
    elif item.values:
        right = value.isin(*item.values)
    elif item.kind is Kind.TEXT:
        right = value != ""
    else:
        right = value.between(F.lit(item.minimum), F.lit(item.maximum))
    right = F.coalesce(right, F.lit(False))
    return right if item.required else value.isNull() | right


def money_names(contracts: list[Contract]) -> list[str]:
    """Names of all money fields: their tokens are looked at in the raw text, since VARIANT drops trailing zeros."""
    names = {
        part.name for c in contracts for item in c.fields for part in (item, *item.fields) if part.kind is Kind.MONEY
    }
    return sorted(names)
