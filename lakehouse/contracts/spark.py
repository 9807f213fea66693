"""What Spark needs of the contracts: one type for all records, the shape that is plainly right, and the conditions on values.

Fields of the same name mean the same in every contract, so one type with all fields serves all topics: six types, of which five are
null in every record, made Spark plan, compile and carry six times as much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
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


def all_fields(contracts: Iterable[Contract]) -> tuple[Field, ...]:
    """Each field name once, in order of appearance. Raises ValueError where two contracts differ in what a name means."""
    fields: dict[str, Field] = {}
    for contract in contracts:
        for item in contract.fields:
            first = fields.setdefault(item.name, item)
            same = all(getattr(first, part) == getattr(item, part) for part in ("kind", "minimum", "maximum", "fields"))
            if not same or (first.values != item.values and item.name != "event_type"):
                raise ValueError(
                    f"{contract.topic}.{item.name} differs from the field of that name in another contract"
                )
    return tuple(fields.values())


def sql_type(fields: Iterable[Field]) -> str:
    """The fields as one SQL struct type, times still text."""
    return f"struct<{', '.join(f'{item.name}: {_sql_type(item)}' for item in fields)}>"


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


def shape_is_right(contracts: Iterable[Contract], topic: Column, shape: Column) -> Column:
    """True where `shape` (of `schema_of_variant`) is that of the topic's contract."""
    return _by_topic(contracts, topic, lambda contract: shape.rlike(shape_pattern(contract)))


def values_are_right(contracts: Iterable[Contract], topic: Column, record: Column) -> Column:
    """True where every value of the typed `record` keeps its limits, of a record whose shape is right; null or false otherwise."""
    contracts = list(contracts)
    conditions = [_by_topic(contracts, topic, lambda contract: _is_complete(contract, record))]
    for item in all_fields(contracts):
        if item.name != "event_type":
            conditions.append(record[item.name].isNull() | _condition(item, record[item.name]))
    for contract in contracts:
        lines = contract.lines
        if contract.sum_field and lines:
            amount = F.aggregate(
                record[lines.name],
                F.lit(0).cast("decimal(38,2)"),
                lambda total, line: (total + line["price"] * line["quantity"]).cast("decimal(38,2)"),
            )
            conditions.append(record[contract.sum_field].isNull() | (amount == record[contract.sum_field]))
    return reduce(Column.__and__, conditions)


def _by_topic(contracts: Iterable[Contract], topic: Column, value: Callable[[Contract], Column]) -> Column:
    first, *rest = contracts
    branches = F.when(topic == first.topic, value(first))
    for contract in rest:
        branches = branches.when(topic == contract.topic, value(contract))
    return branches


def _is_complete(contract: Contract, record: Column) -> Column:
    """No required value was lost to its type, and the event is of the topic's type."""
    present = [record[item.name].isNotNull() for item in contract.fields if item.required]
    return reduce(Column.__and__, [record["event_type"] == contract.event_type, *present])


def _condition(item: Field, value: Column) -> Column:
    if item.kind is Kind.LINES:
        inner = F.forall(
            value,
            lambda line: reduce(
                Column.__and__, [F.coalesce(_condition(part, line[part.name]), F.lit(False)) for part in item.fields]
            ),
        )
        return (F.size(value) > 0) & inner
    if item.kind is Kind.TEXTS:
        return F.forall(value, lambda text: text.isNotNull())
    if item.kind is Kind.UUID:
        return value.rlike(UUID_PATTERN.replace("$", r"\z"))
    if item.kind is Kind.TIME:
        return value.rlike(TIME_PATTERN.replace("$", r"\z"))
    if item.values:
        return value.isin(*item.values)
    if item.kind is Kind.TEXT:
        return value != ""
    return value.between(F.lit(item.minimum), F.lit(item.maximum))


def money_names(contracts: list[Contract]) -> list[str]:
    """Names of all money fields: their tokens are looked at in the raw text, since VARIANT drops trailing zeros."""
    names = {
        part.name for c in contracts for item in c.fields for part in (item, *item.fields) if part.kind is Kind.MONEY
    }
    return sorted(names)
