"""Reading a whole gold table takes the memory of a row group, not of the table."""

from __future__ import annotations

import time

import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

from api.source import GoldTable
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import FINALITY

from .conftest import KNOWN

ROWS, GROUP = 2_000_000, 50_000


def test_a_snapshot_is_read_one_row_group_at_a_time(settings: Settings) -> None:
    moments = pa.repeat(pa.scalar(KNOWN, pa.timestamp("us", "UTC")), ROWS)
    rows = pa.Table.from_arrays([moments, pa.array(range(ROWS), pa.int64()), moments], schema=FINALITY.schema)
    write_deltalake(delta_uri(settings, FINALITY), rows, writer_properties=WriterProperties(max_row_group_size=GROUP))
    whole = rows.nbytes
    del rows, moments
    before = pa.total_allocated_bytes()
    snapshot = GoldTable(settings, FINALITY, FINALITY.schema).snapshot()
    assert snapshot is not None
    most, total = 0, 0
    for batch in snapshot.batches:
        total += batch.num_rows
        if total == GROUP:  # a reader that is slow at first: whatever reads ahead does it now
            time.sleep(0.5)
        most = max(most, pa.total_allocated_bytes() - before)
    assert total == ROWS
    assert most < whole / 8
