"""`lakehouse.batch` on what tables say of themselves, without Spark: the last micro-batch, and the files of each day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from star_rows import arrow, line, session

from lakehouse import batch
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import SESSIONS, TRANSACTION_ITEMS


@pytest.mark.parametrize("indexed_columns", ["32", "0"])
def test_the_last_batch_of_a_version_is_known_with_statistics_and_without(
    file_settings: Settings, indexed_columns: str
) -> None:
    steps = [
        [],
        [line(7, "13 09:00", "ada", "pen"), line(4, "14 09:00", "ada", "pen")],
        [line(5, "15 09:00", "bob", "pen")],
    ]
    for lines in steps:
        write_deltalake(
            delta_uri(file_settings, TRANSACTION_ITEMS),
            arrow(TRANSACTION_ITEMS, lines),
            mode="append",
            configuration={"delta.dataSkippingNumIndexedCols": indexed_columns},
        )
    assert [batch.last_batch(file_settings, TRANSACTION_ITEMS, version) for version in range(3)] == [-1, 7, 7]


def test_the_files_of_a_version_are_told_by_day_while_its_log_is_there(file_settings: Settings) -> None:
    visits = [session(1, "13 09:00", "13 09:10", "ada"), session(2, "14 09:00", "14 09:10", "bob")]
    for one in visits:
        write_deltalake(
            delta_uri(file_settings, SESSIONS), arrow(SESSIONS, [one]), mode="append", partition_by=["started_date"]
        )
    first, both = (batch.files_by_day(file_settings, SESSIONS, version) for version in (0, 1))
    assert first is not None
    assert both is not None
    assert [day for _, day in both - first] == [date(2026, 3, 14)]
    DeltaTable(delta_uri(file_settings, SESSIONS)).create_checkpoint()
    log = Path(file_settings.lake_uri.removeprefix("file://")) / SESSIONS.path / "_delta_log"
    (log / f"{0:020}.json").unlink()
    assert batch.files_by_day(file_settings, SESSIONS, 0) is None
    assert batch.files_by_day(file_settings, SESSIONS, 1) == both
