"""Rows for every gold table, with what is awkward for a database; and what a table says once read, computed in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
from deltalake import write_deltalake

from api.mirror.plan import Mirrored, is_nested
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri, open_table
from lakehouse.tables import Table

FIRST_DAY = date(2026, 3, 1)
_TEXTS = ("plain", "", 'it\'s "quoted", back\\slash', "a\x00b", "ünïcode ☕", "tab\tand\nline", "\\N", "NULL")
_MONEY = (Decimal("0.00"), Decimal("-0.01"), Decimal("12.30"), Decimal("999999999999.99"))


def row(table: Table, number: int, day: date, batch_id: int = 0) -> dict[str, Any]:
    """One row whose key is made of `number` and `day`; other values take turns with `number` and `batch_id`."""
    turn = number + 7 * batch_id
    values = {c.name: _value(c.type, c.nullable, turn + place, day) for place, c in enumerate(table.columns)}
    for name in table.key:
        values[name] = _key(table.schema.field(name).type, number, day, len(table.key) == 1)
    if table.partition_by:
        values[table.partition_by[0]] = day
    known = {"batch_id": batch_id, "is_retracted": False}
    return values | {name: value for name, value in known.items() if name in values}


def _key(kind: pa.DataType, number: int, day: date, is_alone: bool) -> Any:
    if pa.types.is_timestamp(kind):
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=number)
    if pa.types.is_date(kind):
        return day + timedelta(days=100 * number) if is_alone else day
    return f"k{number:04}-{day}" if pa.types.is_string(kind) else 100 * number + day.day


def _value(kind: pa.DataType, nullable: bool, turn: int, day: date) -> Any:
    if nullable and turn % 3 == 0:
        return None
    if pa.types.is_list(kind):
        return [_value(kind.value_type, False, turn + place, day) for place in range(turn % 3)]
    if pa.types.is_struct(kind):
        return {field.name: _value(field.type, False, turn, day) for field in kind}
    if pa.types.is_decimal(kind):
        return _MONEY[turn % len(_MONEY)]
    if pa.types.is_timestamp(kind):
        return datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, tzinfo=UTC)
    if pa.types.is_date(kind):
        return (date(2024, 2, 29), date(1999, 12, 31), day)[turn % 3]
    if pa.types.is_boolean(kind):
        return turn % 2 == 0
    if pa.types.is_floating(kind):
        return (0.1 + 0.2, -1e300, 0.0)[turn % 3]
    if pa.types.is_integer(kind):
        return (0, -1, 2**31 - 1)[turn % 3] if kind.bit_width == 32 else (0, 2**40, 17)[turn % 3]
    return _TEXTS[turn % len(_TEXTS)]


def append(settings: Settings, table: Table, rows: Iterable[dict[str, Any]], **options: Any) -> None:
    write_deltalake(
        delta_uri(settings, table),
        pa.Table.from_pylist(list(rows), table.schema),
        partition_by=list(table.partition_by) or None,
        configuration=table.properties,
        storage_options=delta_options(settings),
        **{"mode": "append"} | options,
    )


def empty(settings: Settings) -> None:
    """Take every table out of the mirror; views go with theirs."""
    with psycopg.connect(settings.mirror_url) as connection:
        for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'mirror'").fetchall():
            connection.execute(f'DROP TABLE mirror."{name}" CASCADE')


def expected(settings: Settings, one: Mirrored, first_day: date | None) -> list[tuple[Any, ...]]:
    """The rows that the mirror should have: the Delta table once read, from `first_day` on, as the database gives them back."""
    table = one.table
    read: dict[Any, dict[str, Any]] = {}
    for place, found in enumerate(open_table(settings, table).to_pyarrow_table().to_pylist()):
        key = tuple(found[name] for name in one.key) if table.reading != "rows" else place
        before = read.get(key)
        if before is None or (table.reading == "snapshots" and found["batch_id"] > before["batch_id"]):
            read[key] = found
        elif table.reading == "sums":
            read[key] = {
                name: value
                if name in one.key
                else max(value, before[name])
                if name == "known_at"
                else value + before[name]
                for name, value in found.items()
            }
    kept = [found for found in read.values() if not found.get("is_retracted")]
    if first_day and one.day:
        kept = [found for found in kept if _day(found[one.day]) >= first_day]
    return sorted((tuple(_plain(found[c.name], c.type) for c in one.columns) for found in kept), key=repr)


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _plain(value: Any, kind: pa.DataType) -> Any:
    """As psycopg gives it: nested values parsed from JSON, character 0 replaced."""
    if value is not None and is_nested(kind):
        return json.loads(json.dumps(value, default=_jsonable).replace("\\u0000", "\\ufffd"))
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [_plain(inner, kind.value_type) for inner in value]
    return value


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat()
        return text.replace("+00:00", "Z")
    return float(value) if isinstance(value, Decimal) else str(value)
