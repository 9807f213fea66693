"""What PostgreSQL cannot take as it is: character 0, and nested values, which become JSON that is exact to the cent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from api.mirror.shape import reader
from lakehouse.tables import MONEY, TIME, Column

LINES = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("amount", MONEY), pa.field("at", TIME)]))
COLUMNS = (
    Column("names", pa.list_(pa.string()), "list"),
    Column("text", pa.string(), "text"),
    Column("lines", LINES, "nested"),
)


def test_rows_come_out_in_the_order_and_form_asked_for() -> None:
    at = datetime(2026, 3, 14, 12, 0, 0, 500, tzinfo=UTC)
    batch = pa.record_batch(
        [
            pa.array(["a\x00b", "plain", None]),
            pa.array([["x\x00", "y"], [], None], pa.list_(pa.string())),
            pa.array([[{"name": "n\x00 \\u0000", "amount": Decimal("0.10"), "at": at}], [], None], LINES),
            pa.array([1, 2, 3]),
        ],
        names=["text", "names", "lines", "left_out"],
    )
    # A slice has an offset, which a list's parts must follow.
    for offset in range(3):
        rows = reader([batch.slice(offset)], COLUMNS).read_all()
        assert (
            rows.to_pylist()
            == [
                {
                    "names": ["x\ufffd", "y"],
                    "text": "a\ufffdb",
                    "lines": '[{"name":"n\ufffd \\\\u0000","amount":0.10,"at":"2026-03-14T12:00:00.000500Z"}]',
                },
                {"names": [], "text": "plain", "lines": "[]"},
                {"names": None, "text": None, "lines": None},
            ][offset:]
        )
    assert rows.schema.names == ["names", "text", "lines"]
