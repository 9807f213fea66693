"""`lakehouse.quality.views`: what a check looks at once maintenance has deleted the versions that a day was made from."""

from __future__ import annotations

from datetime import date

import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from rfm_orders import Order, silver

from lakehouse import batch, customer_rfm
from lakehouse.quality import views
from lakehouse.quality.check import validate
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, TRANSACTIONS, Table
from lakehouse.travel import Log

DAY = date(2026, 3, 13)
SEEN: list[Order] = [
    (1, "ada", "2025-03-14T09:00:00", "5.00"),
    (1, "bob", "2026-02-01T09:00:00", "5.00"),
    (1, "eve", "2026-03-13T23:59:59.999", "7.00"),
]
LATE: list[Order] = [(2, "bob", "2026-03-11T08:00:00", "2.00")]


def rewrite(settings: Settings, table: Table) -> None:
    """Other files with the same rows, and the old ones deleted, as by a compaction and the VACUUM of a week later."""
    delta = open_table(settings, table)
    delta.update(updates={"user_id": "user_id"})
    delta.vacuum(0, dry_run=False, enforce_retention_duration=False)


def test_a_day_is_judged_and_computed_again_out_of_what_is_left_of_the_silver_that_it_has_seen(
    spark: SparkSession, file_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lake = file_settings
    write_deltalake(delta_uri(lake, TRANSACTIONS), silver(SEEN))
    made = customer_rfm.make(spark, lake, DAY, 0).written
    write_deltalake(delta_uri(lake, TRANSACTIONS), silver(LATE), mode="append")
    for table in (TRANSACTIONS, CUSTOMER_RFM):
        rewrite(lake, table)
    assert not Log(lake, TRANSACTIONS).is_readable(0)
    assert not Log(lake, CUSTOMER_RFM).is_readable(made.version)

    frame, then = views.look(spark, lake, CUSTOMER_RFM, DAY, {})
    report = validate(frame, CUSTOMER_RFM, then)
    assert (report.row_count, report.failed) == (3, ())
    assert customer_rfm.differences(spark, lake, DAY) == 0
    newest = {table.path: open_table(lake, table).version() for table in (TRANSACTIONS, CUSTOMER_RFM)}
    assert {record.message for record in caplog.records if record.name == "lakehouse.batch"} == {
        f"version 0 of silver/transactions is gone: version {newest[TRANSACTIONS.path]} stands in for it",
        f"version {made.version} of gold/customer_rfm is gone: version {newest[CUSTOMER_RFM.path]} stands in for it",
    }
    assert batch.last_writes(lake, CUSTOMER_RFM) == {DAY: made}
