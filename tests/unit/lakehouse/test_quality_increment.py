"""`lakehouse.quality.increment`: from which micro-batch on rows are judged, and that rules over several rows see all that belongs to a new row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from rfm_orders import silver

from lakehouse import batch
from lakehouse.ledger import NO_BATCH, LedgerEntry
from lakehouse.quality import increment
from lakehouse.quality.check import groups_near
from lakehouse.quality.increment import Seen, seen, since
from lakehouse.quality.kinds import NoRows
from lakehouse.quality.rules import rules
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import LEDGER_STREAMING, TABLES, TRANSACTIONS


def test_rows_are_judged_from_where_the_last_check_ended_unless_that_is_in_doubt(
    spark: SparkSession, file_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [(batch_id, "ada", "2026-03-14T09:00:00", "5.00") for batch_id in (1, 2, 4)]
    write_deltalake(delta_uri(file_settings, TRANSACTIONS), silver(orders))
    rows = batch.read(spark, file_settings, TRANSACTIONS, 0)
    now = seen(file_settings, TRANSACTIONS, 0)
    assert now == Seen(now.table_id, 4)

    def after(before: Seen | None) -> int | None:
        return since(file_settings, rows, now, before)

    assert [after(Seen(now.table_id, batch_id)) for batch_id in (-1, 2, 4)] == [-1, 2, 4]
    assert after(None) is None
    assert after(Seen("another lake", 2)) is None
    assert after(Seen(now.table_id, 5)) is None
    at = datetime(2026, 3, 14, tzinfo=UTC)
    counts = {name: 0 for name in LEDGER_STREAMING.schema.names if name.endswith("_count")}
    rebuilt = LedgerEntry(1, 3, NO_BATCH, at, at, {}, {}, {}, counts)
    write_deltalake(delta_uri(file_settings, LEDGER_STREAMING), rebuilt.to_rows())
    assert (after(Seen(now.table_id, 2)), after(Seen(now.table_id, 3))) == (None, 3)
    monkeypatch.setattr(increment, "MOST_NEW", 0)
    assert (after(Seen(now.table_id, 3)), after(now)) == (None, 4)


def test_a_rule_asks_for_whole_groups_with_a_row_in_the_part(spark: SparkSession) -> None:
    spark.createDataFrame(
        [("a", 1), ("a", 2), ("b", 1), ("b", 3), ("c", 4)], "k string, n int"
    ).createOrReplaceTempView("whole_rows")
    spark.sql("SELECT * FROM whole_rows WHERE n > 2").createOrReplaceTempView("part_rows")
    repeated = "SELECT k, count(*) AS n FROM {batch} GROUP BY k HAVING count(*) > 1"
    query = NoRows("k is unique", repeated, ("k",)).of_groups_in("whole_rows").query
    assert [tuple(row) for row in spark.sql(query.replace("{batch}", "part_rows")).collect()] == [("b", 2)]
    alone = NoRows("k is unique", repeated)
    assert alone.of_groups_in("whole_rows") == alone


def test_the_groups_near_a_part_are_whole_by_each_rule_and_have_the_columns_that_rules_name(
    spark: SparkSession,
) -> None:
    whole = spark.createDataFrame(
        [("a", 1, 1, "x"), ("a", 2, 2, "x"), ("b", 3, 3, "x"), ("c", 3, 4, "x"), ("d", 5, 5, "x")],
        "k string, n int, at int, other string",
    )
    own = [
        NoRows("k is unique", "SELECT k FROM {batch} GROUP BY k HAVING count(*) > 1", ("k",)),
        NoRows("k is once a time", "SELECT k, at FROM {batch} GROUP BY k, at HAVING count(*) > 1", ("k",)),
        NoRows("n is unique", "SELECT n FROM {batch} GROUP BY n HAVING count(*) > 1", ("n",)),
        NoRows("there is something", "SELECT 1 FROM {batch} HAVING count(*) = 0"),
    ]
    near = groups_near(whole.where("at IN (2, 4)"), whole, own)
    found = sorted((row["k"], row["n"], row["at"]) for row in near.collect())
    assert found == [("a", 1, 1), ("a", 2, 2), ("b", 3, 3), ("c", 3, 4)]
    assert set(near.columns) == {"k", "n", "at"}


def test_each_rule_of_silver_over_several_rows_says_what_groups_them() -> None:
    queries = [rule for table in TABLES if table.layer == "silver" for rule in rules(table) if isinstance(rule, NoRows)]
    # a record's row there is of the same micro-batch, and the table is small
    assert {rule.name for rule in queries if not rule.by} == {"no record is a duplicate as well"}
