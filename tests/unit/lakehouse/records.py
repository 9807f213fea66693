"""Records for tests: one valid example per topic, and the ways to bend it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.json_schema import example

KAFKA_AT = datetime(2026, 3, 14, 10, 0, tzinfo=UTC)
RAW_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
        ("kafka_at", pa.timestamp("us", tz="UTC")),
    ]
)


def valid(topic: str, **changes: Any) -> dict[str, Any]:
    """The contract's example with `changes`; a change to `...` takes the field out."""
    record = example(CONTRACTS[topic]) | changes
    return {name: value for name, value in record.items() if value is not ...}


def text(topic: str, **changes: Any) -> bytes:
    return json.dumps(valid(topic, **changes)).encode()


def event_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def kafka_table(values: list[tuple[str, bytes | None]], first_offset: int = 0) -> pa.Table:
    """Kafka records, one partition each topic, offsets counted from `first_offset` over all."""
    rows = [
        {"topic": topic, "partition": 0, "offset": first_offset + n, "key": b"k", "value": value, "kafka_at": KAFKA_AT}
        for n, (topic, value) in enumerate(values)
    ]
    return pa.Table.from_pylist(rows, schema=RAW_SCHEMA)
