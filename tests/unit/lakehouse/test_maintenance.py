"""Compaction leaves fewer files that say the same, at any moment at which the owner may be; a stranger's write is noticed."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.errors import FencedError
from lakehouse.live.base import newest
from lakehouse.storage import delta_uri, open_table
from lakehouse.streams.sinks import Sinks
from lakehouse.tables.base import IS_RETRACTED, STREAM_PROPERTIES, Table, column

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
_DAY = column("day", pa.date32(), "day")
_COLUMNS = (
    column("id", pa.string(), "key"),
    column("amount", pa.int64(), "value"),
    column("batch_id", pa.int64(), "batch"),
)
BY_DAY = Table(
    "by_day",
    "gold",
    "streaming",
    "one id",
    (*_COLUMNS, IS_RETRACTED, _DAY),
    ("id",),
    ("day",),
    STREAM_PROPERTIES,
    "snapshots",
)
WHOLE = Table("whole", "gold", "streaming", "one id", _COLUMNS, ("id",), (), STREAM_PROPERTIES, "snapshots")
ROWS = Table("rows", "gold", "streaming", "one row", _COLUMNS, ("id",), (), STREAM_PROPERTIES)
TABLES = (BY_DAY, WHOLE, ROWS)


@pytest.fixture
def settings(file_settings):
    return file_settings.model_copy(update={"compact_files": 3})


@pytest.fixture
def sinks(settings):
    opened = Sinks(settings, TABLES)
    opened.create_missing()
    return opened


def batch(number):
    """Each batch changes `a`, adds an id of its own, and retracts that of the batch before."""
    rows = [
        {"id": "a", "amount": number, "batch_id": number, "is_retracted": False, "day": date(2026, 3, 14)},
        {"id": f"n{number}", "amount": 1, "batch_id": number, "is_retracted": False, "day": date(2026, 3, 15)},
    ]
    if number:
        gone = f"n{number - 1}"
        rows.append({"id": gone, "amount": 1, "batch_id": number, "is_retracted": True, "day": date(2026, 3, 15)})
    kept = [row for row in rows if not row["is_retracted"]]
    return {
        BY_DAY.path: pa.Table.from_pylist(rows, BY_DAY.schema),
        WHOLE.path: pa.Table.from_pylist([{k: r[k] for k in WHOLE.schema.names} for r in kept], WHOLE.schema),
        ROWS.path: pa.Table.from_pylist([{k: r[k] for k in ROWS.schema.names} for r in kept], ROWS.schema),
    }


def content(settings, table):
    rows = open_table(settings, table).to_pyarrow_table().select(table.schema.names).cast(table.schema)
    rows = newest(rows, table) if table.reading == "snapshots" else rows
    return sorted((row["id"], row["amount"]) for row in rows.to_pylist())


def physical(settings, table):
    return len(open_table(settings, table).to_pyarrow_table())


def files(settings, table):
    return len(open_table(settings, table).file_uris())


def test_an_idle_owner_leaves_one_row_per_key_in_tables_of_snapshots(settings, sinks):
    maintenance = sinks.maintenance()
    for number in range(3):
        sinks.append(batch(number), number)
        maintenance.after_batch(NOW, is_idle=False)
    assert physical(settings, BY_DAY) == 8
    maintenance.after_batch(NOW, is_idle=True)
    assert content(settings, BY_DAY) == [("a", 2), ("n2", 1)]
    assert content(settings, WHOLE) == [("a", 2), ("n0", 1), ("n1", 1), ("n2", 1)]
    assert (physical(settings, BY_DAY), physical(settings, WHOLE), physical(settings, ROWS)) == (2, 4, 6)
    assert files(settings, ROWS) == 3


def test_the_table_with_most_new_files_is_compacted_and_says_the_same(settings, sinks):
    maintenance = sinks.maintenance()
    for number in range(8):
        sinks.append(batch(number), number)
        maintenance.after_batch(NOW + timedelta(minutes=number), is_idle=False)
    expected = sorted([("a", n) for n in range(8)] + [(f"n{n}", 1) for n in range(8)])
    assert content(settings, ROWS) == expected
    assert content(settings, BY_DAY) == [("a", 7), ("n7", 1)]
    assert files(settings, ROWS) < 8


def test_after_a_compaction_the_stream_has_its_time_but_no_table_gets_out_of_hand(settings, sinks):
    maintenance = sinks.maintenance()

    def tidying(first, last, now=NOW):
        """How many compactions there are while these batches are committed."""
        before = sum(sinks.versions().values())
        for number in range(first, last):
            sinks.append(batch(number), number)
            maintenance.after_batch(now, is_idle=False)
        return sum(sinks.versions().values()) - before - (last - first) * len(TABLES)

    assert tidying(0, 4) == 1  # the clock stands: after this first one, of one day of `by_day`, it rests for good
    assert tidying(4, 5) == 0  # though two tables have more files than they may
    assert tidying(5, 12) > 1  # twice as many are too many
    assert max(files(settings, table) for table in TABLES) <= 4 * settings.compact_files
    assert tidying(12, 13, NOW + timedelta(hours=1)) == 1


def test_the_owner_goes_on_after_a_compaction_and_so_does_one_that_restarts(settings, sinks):
    sinks.append(batch(0), 0)
    sinks.append(batch(1), 1)
    sinks.maintenance().after_batch(NOW, is_idle=True)
    sinks.append(batch(2), 2)
    again = Sinks(settings, TABLES)
    again.create_missing()
    again.append(batch(2), 2)  # known already
    again.append(batch(3), 3)
    assert content(settings, WHOLE) == [("a", 3), ("n0", 1), ("n1", 1), ("n2", 1), ("n3", 1)]


def test_a_strangers_write_stops_the_compaction(settings, sinks):
    maintenance = sinks.maintenance()
    for number in range(4):
        sinks.append(batch(number), number)
    write_deltalake(delta_uri(settings, ROWS), batch(9)[ROWS.path], mode="append")
    write_deltalake(delta_uri(settings, WHOLE), batch(9)[WHOLE.path], mode="append")
    with pytest.raises(FencedError, match="replaced"):
        maintenance.after_batch(NOW, is_idle=True)
    assert ("a", 9) in content(settings, ROWS)


def test_a_day_later_files_that_no_kept_version_names_are_deleted(settings, sinks):
    keeps_nothing = sinks.maintenance()
    keeps_nothing._retention_hours = 0
    for number in range(3):
        sinks.append(batch(number), number)
    keeps_nothing.after_batch(NOW, is_idle=True)
    before = content(settings, WHOLE)
    folder = DeltaTable(delta_uri(settings, WHOLE)).table_uri.removeprefix("file://")
    keeps_nothing.after_batch(NOW + timedelta(hours=25), is_idle=True)
    assert len(list(Path(folder).glob("*.parquet"))) == 1
    assert content(settings, WHOLE) == before
