"""Appends happen once per batch, in whatever process, and a stale owner is refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from lakehouse.errors import FencedError
from lakehouse.storage import open_table
from lakehouse.streams.sinks import Sinks
from lakehouse.tables import LEDGER_STREAMING, ORDERS_BY_MINUTE, SALES_BY_MINUTE

AT = datetime(2026, 3, 14, 9, tzinfo=UTC)
TABLES = (SALES_BY_MINUTE, ORDERS_BY_MINUTE)


def rows(batch_id):
    common = {"minute": AT, "country": "DE", "revenue": Decimal("1.50"), "batch_id": batch_id, "known_at": AT}
    sales = common | {"category": "Books", "unit_count": 1, "line_count": 1}
    orders = common | {"payment_method": "paypal", "order_count": 1}
    return {
        SALES_BY_MINUTE.path: pa.Table.from_pylist([sales], schema=SALES_BY_MINUTE.schema),
        ORDERS_BY_MINUTE.path: pa.Table.from_pylist([orders], schema=ORDERS_BY_MINUTE.schema),
    }


@pytest.fixture
def sinks(file_settings):
    def make():
        opened = Sinks(file_settings, TABLES)
        opened.create_missing()
        return opened

    return make


def batches(settings, table):
    return sorted(open_table(settings, table).to_pyarrow_table()["batch_id"].to_pylist())


def test_tables_are_made_once_with_their_properties(file_settings, sinks):
    sinks()
    sinks()
    table = open_table(file_settings, SALES_BY_MINUTE)
    assert table.version() == 0
    assert table.metadata().configuration["delta.enableDeletionVectors"] == "false"
    assert pa.schema(table.schema().to_arrow()).names == SALES_BY_MINUTE.schema.names


def test_a_batch_is_appended_once(file_settings, sinks):
    opened = sinks()
    opened.append(rows(0), 0)
    opened.append(rows(0), 0)
    opened.append(rows(1), 1)
    assert batches(file_settings, SALES_BY_MINUTE) == [0, 1]
    assert opened.versions() == {SALES_BY_MINUTE.path: 2, ORDERS_BY_MINUTE.path: 2}


def test_a_batch_that_stopped_between_two_sinks_is_completed_by_the_next_process(file_settings, sinks):
    first = sinks()
    first.append({SALES_BY_MINUTE.path: rows(0)[SALES_BY_MINUTE.path]}, 0)
    second = sinks()
    assert second.last_batch() == 0
    second.append(rows(0), 0)
    assert (batches(file_settings, SALES_BY_MINUTE), batches(file_settings, ORDERS_BY_MINUTE)) == ([0], [0])


def test_a_replaced_process_cannot_write(file_settings, sinks):
    stale, owner = sinks(), sinks()
    owner.append(rows(0), 0)
    with pytest.raises(FencedError, match="replaced"):
        stale.append(rows(0), 0)
    with pytest.raises(FencedError):
        stale.append(rows(7), 7)
    assert (batches(file_settings, SALES_BY_MINUTE), batches(file_settings, ORDERS_BY_MINUTE)) == ([0], [0])


def test_restore_takes_back_what_lies_above_the_ledger(file_settings, sinks):
    opened = sinks()
    for batch in range(3):
        opened.append(rows(batch), batch)
    opened.restore({SALES_BY_MINUTE.path: 2}, spared=LEDGER_STREAMING)
    assert (batches(file_settings, SALES_BY_MINUTE), batches(file_settings, ORDERS_BY_MINUTE)) == ([0, 1], [])
    opened.append(rows(3), 3)
    assert (batches(file_settings, SALES_BY_MINUTE), batches(file_settings, ORDERS_BY_MINUTE)) == ([0, 1, 3], [3])
