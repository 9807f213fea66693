"""`lakehouse.batch` without Spark: what tables say of themselves (the last micro-batch, the files of each day), and days written from Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from star_rows import arrow, line, session

from lakehouse import batch
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, SESSIONS, TRANSACTION_ITEMS


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


def scores(day: int, *users: str | None) -> pa.RecordBatchReader:
    """Rows as a query engine gives them: it does not know that there is no null."""
    schema = pa.schema([field.with_nullable(True).remove_metadata() for field in CUSTOMER_RFM.schema])
    values: list[Any] = [364, 1, Decimal("5.00"), 5, 5, 5, "champions"]
    rows = [dict(zip(CUSTOMER_RFM.schema.names, [date(2026, 3, day), user, *values], strict=True)) for user in users]
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist(rows, schema)])


def there(settings: Settings) -> list[tuple[int, str]]:
    rows = open_table(settings, CUSTOMER_RFM).to_pyarrow_table(columns=["as_of_date", "user_id"]).to_pylist()
    return sorted((row["as_of_date"].day, row["user_id"]) for row in rows)


@pytest.fixture
def two_days(file_settings: Settings) -> Settings:
    DeltaTable.create(
        delta_uri(file_settings, CUSTOMER_RFM), CUSTOMER_RFM.schema, partition_by=list(CUSTOMER_RFM.partition_by)
    )
    for day in (13, 14):
        batch.replace_days_from_arrow(scores(day, "ada", "bob"), file_settings, CUSTOMER_RFM, [date(2026, 3, day)], {})
    return file_settings


def test_a_day_from_arrow_takes_the_place_of_that_day_alone_in_one_commit_that_says_what_it_was_made_from(
    two_days: Settings,
) -> None:
    for _ in range(2):
        written = batch.replace_days_from_arrow(
            scores(14, "cat"), two_days, CUSTOMER_RFM, [date(2026, 3, 14)], {"silver/x": 7}, {"silver/x": 9}
        )
        assert there(two_days) == [(13, "ada"), (13, "bob"), (14, "cat")]
    assert written == batch.Written(4, {"silver/x": 7}, {"silver/x": 9}, days=(date(2026, 3, 14),))
    assert batch.last_write(two_days, CUSTOMER_RFM, date(2026, 3, 13)).version == 1
    assert (
        open_table(two_days, CUSTOMER_RFM).schema().to_arrow()
        == DeltaTable(delta_uri(two_days, CUSTOMER_RFM), version=0).schema().to_arrow()
    )


def test_a_day_from_arrow_with_a_missing_value_or_a_row_of_another_day_leaves_the_table_as_it_was(
    two_days: Settings,
) -> None:
    for rows in (scores(14, "cat", None), scores(13, "cat")):
        with pytest.raises(DeltaError):
            batch.replace_days_from_arrow(rows, two_days, CUSTOMER_RFM, [date(2026, 3, 14)], {})
    assert open_table(two_days, CUSTOMER_RFM).version() == 2
    assert len(there(two_days)) == 4


def test_a_day_from_arrow_does_not_go_in_where_another_process_has_written_meanwhile(two_days: Settings) -> None:
    late = scores(14, "cat")

    def overtaken() -> Iterator[pa.RecordBatch]:
        with ThreadPoolExecutor() as other:  # delta-rs asks for rows in a thread that may not call it again
            day = [date(2026, 3, 14)]
            other.submit(batch.replace_days_from_arrow, scores(14, "dan"), two_days, CUSTOMER_RFM, day, {}).result()
        yield from late

    slow = pa.RecordBatchReader.from_batches(late.schema, overtaken())
    with pytest.raises(CommitFailedError):
        batch.replace_days_from_arrow(slow, two_days, CUSTOMER_RFM, [date(2026, 3, 14)], {})
    assert there(two_days) == [(13, "ada"), (13, "bob"), (14, "dan")]
