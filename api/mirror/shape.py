"""Arrow rows in the form in which PostgreSQL takes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from api.mirror.plan import is_nested
from lakehouse.tables import Column

# PostgreSQL has no character 0 in a text; Unicode's sign for what cannot be shown stands in for it.
_NUL, _STAND_IN = "\x00", "\ufffd"


def reader(batches: Iterable[pa.RecordBatch], columns: Iterable[Column]) -> pa.RecordBatchReader:
    """`batches` with `columns` alone, in this order, each as PostgreSQL takes it."""
    columns = tuple(columns)
    schema = pa.schema([pa.field(c.name, pa.string() if is_nested(c.type) else c.type) for c in columns])
    return pa.RecordBatchReader.from_batches(schema, _shaped(batches, columns, schema))


def _shaped(
    batches: Iterable[pa.RecordBatch], columns: tuple[Column, ...], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        arrays = [_array(batch.column(column.name), column.type) for column in columns]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if is_nested(kind):
        texts = [None if value is None else as_json(value) for value in values.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_string(kind):
        return _without_nul(values)
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return _list_without_nul(values)
    return values


def _without_nul(values: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring(values, _NUL)).as_py():
        return values
    return pc.replace_substring(values, _NUL, _STAND_IN)


def _list_without_nul(values: pa.Array) -> pa.Array:
    before = values.flatten()
    inner = _without_nul(before)
    if inner is before:
        return values
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(values), 0))
    offsets = pa.concat_arrays([pa.array([0], ends.type), ends]).cast(pa.int32())
    return pa.ListArray.from_arrays(offsets, inner, type=values.type, mask=values.is_null())


def as_json(value: Any) -> str:
    """Amounts as exact numbers, times as RFC 3339 in UTC."""
    text = orjson.dumps(value, default=_exact, option=orjson.OPT_UTC_Z).decode()
    return as_json(_cleaned(value)) if "\\u0000" in text and _cleaned(value) != value else text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_NUL, _STAND_IN)
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return {name: _cleaned(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")
