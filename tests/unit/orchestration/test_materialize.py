"""The daily job on a lake of local files with real Spark: literal rows, done twice, on bad silver, without silver, beside another run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.batch import NotMadeError
from lakehouse.lease import Lease
from lakehouse.ledger import LedgerEntry
from lakehouse.quality.command import UnknownTableError, rejected
from lakehouse.quality.views import JUDGED
from lakehouse.settings import Settings, load_settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import (
    CUSTOMER_LIFETIME_VALUE,
    CUSTOMER_RFM,
    FACT_SALES,
    LEDGER_STREAMING,
    PRODUCT_PERFORMANCE,
    SALES_TRENDS,
    SESSIONS,
    TABLES,
    TRANSACTION_ITEMS,
    TRANSACTIONS,
    Table,
)
from orchestration.definitions import defs
from orchestration.materialize import run, summary
from orchestration.naming import key
from orchestration.runs import DAILY_JOB, IN_FULL_TAG

pytestmark = pytest.mark.timeout(1800)

DAY = "2026-03-14"
EXPECTED = [
    (date(2026, 3, 14), "alice", 0, 2, Decimal("0.60"), 5, 5, 5, "champions"),
    (date(2026, 3, 14), "bob", 13, 1, Decimal("0.30"), 3, 3, 3, "need_attention"),
]


@pytest.fixture
def lake(spark: Any, jars_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty lake on files, in the environment as a Dagster run finds them."""
    values = {
        "ENV_FILE": tmp_path / "none.env",
        "LAKE_URI": (tmp_path / "lake").as_uri(),
        "STATE_DIR": tmp_path / "state",
        "JARS_DIR": jars_dir,
        "SPARK_MASTER": "local[2]",
        "BATCH_WAIT_MINUTES": 0,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GLOBALMART_{name}", str(value))
    return load_settings("batch")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@cache
def job(name: str) -> dg.JobDefinition:
    """A job of the definitions, which take seconds to load."""
    return defs().resolve_job_def(name)


def append(settings: Settings, table: Table, rows: list[dict[str, Any]]) -> None:
    write_deltalake(delta_uri(settings, table), pa.Table.from_pylist(rows, schema=table.schema), mode="append")


def sell(settings: Settings, number: int, user_id: str, at: str, total: str = "0.30", order: str | None = None) -> None:
    """One order of three units at 0.10, in both silver tables, called `order`; another `total` contradicts its line."""
    when = datetime.fromisoformat(at)
    shared = {
        "transaction_id": order or f"t{number}",
        "user_id": user_id,
        "timestamp": when,
        "country": "DE",
        "payment_method": "paypal",
        "topic": "transactions",
        "partition": 0,
        "offset": number,
        "kafka_at": when,
        "ingested_at": when,
        "batch_id": number,
    }
    line = {"product_id": "p1", "quantity": 3, "price": Decimal("0.10")}
    hashes = {column.name: number for column in TRANSACTIONS.columns if "hash" in column.name}
    event = {"event_id": f"e{number}", "event_type": "transaction", "schema_version": 1, "session_id": "s1"}
    body = {"products": [line], "total_amount": Decimal(total), "is_late": False}
    item = {"line_number": 1, "category": "books", "line_amount": Decimal("0.30")}
    append(settings, TRANSACTIONS, [{**shared, **hashes, **event, **body}])
    append(settings, TRANSACTION_ITEMS, [{**shared, **line, **item}])


def sell_three(settings: Settings) -> None:
    """Three orders of customers who never registered, of a product that was never listed; nothing else has come."""
    for table in TABLES:
        if table.layer == "silver" or table is SESSIONS:
            append(settings, table, [])
    sell(settings, 1, "alice", "2026-03-14T23:59:59.999Z")
    sell(settings, 2, "alice", "2026-03-14T12:00:00.000Z")
    sell(settings, 3, "bob", "2026-03-01T12:00:00.000Z")


def rows(settings: Settings, made: Table = CUSTOMER_RFM, *columns: str) -> list[tuple[Any, ...]]:
    table = open_table(settings, made).to_pyarrow_table(columns=list(columns or made.schema.names))
    return sorted(tuple(row.values()) for row in table.to_pylist())


def make(day: str, instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
    """The table alone, without the checks of a whole run."""
    return job(DAILY_JOB).execute_in_process(
        partition_key=day, instance=instance, asset_selection=[key(CUSTOMER_RFM)], tags=tags
    )


def materialised(outcome: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What was said of `gold/customer_rfm`."""
    events = {event.asset_key: event.materialization for event in outcome.get_asset_materialization_events()}
    return {name: value.value for name, value in events[key(CUSTOMER_RFM)].metadata.items()}


def check_pages(outcome: dg.ExecuteInProcessResult) -> dict[str, str]:
    """By table the address of its page in Data Docs."""
    checks = outcome.get_asset_check_evaluations()
    return {check.asset_key.to_user_string(): str(check.metadata["data_docs"].value) for check in checks}


def test_a_day_gives_the_literal_rows_passes_its_checks_and_says_what_it_did(
    lake: Settings, instance: dg.DagsterInstance
) -> None:
    sell_three(lake)
    outcome = run(DAY, instance)
    assert outcome.success, summary(outcome)
    assert rows(lake) == EXPECTED
    metadata = materialised(outcome)
    assert metadata.pop("duration_seconds") > metadata.pop("computing_seconds") + metadata.pop("publishing_seconds") > 0
    assert {name: value for name, value in metadata.items() if name != "segments"} == {
        "dagster/partition_row_count": 2,
        "transaction_count": 3,
        "monetary_total_usd": "0.90",
        "is_increment": False,
        "made_from": "in full: no earlier day is there",
        "lake_uri": lake.lake_uri,
        "version_written": 1,
        "version_read": {"silver/transactions": 3},
    }
    assert [record.data for record in metadata["segments"].records] == [
        {"segment": "champions", "customers": 1, "orders": 2, "money": "0.60"},
        {"segment": "need_attention", "customers": 1, "orders": 1, "money": "0.30"},
    ]
    made_daily = {table.path for table in TABLES if table.owner == "batch" and table.layer == "gold"}
    assert {e.asset_key.to_user_string() for e in outcome.get_asset_materialization_events()} == made_daily
    assert {c.asset_key.to_user_string(): c.passed for c in outcome.get_asset_check_evaluations()} == dict.fromkeys(
        {table.path for table in JUDGED}, True
    )
    assert rows(lake, SALES_TRENDS, "period_type", "category", "country", "period_start", "revenue")[-1] == (
        "week",
        "books",
        "all",
        date(2026, 3, 9),
        Decimal("0.60"),
    )
    assert sum(row[0] for row in rows(lake, PRODUCT_PERFORMANCE, "unit_count")) == 9
    page = check_pages(outcome)[CUSTOMER_RFM.path]
    assert page.startswith("http://127.0.0.1:8000/quality/runs/")
    assert (lake.quality_dir / page.split("/quality/")[1]).is_file()
    assert re.search(r"^quality: \d+\.\d of \d+\.\d s, \d+% of all steps' time$", "\n".join(summary(outcome)), re.M)
    assert rows(lake, FACT_SALES, "sales_date", "transaction_id", "line_amount") == [
        (date(2026, 3, 14), "t1", Decimal("0.30")),
        (date(2026, 3, 14), "t2", Decimal("0.30")),
    ]
    declared = {
        field.name: (field.type.type, field.nullable) for field in open_table(lake, CUSTOMER_RFM).schema().fields
    }
    assert declared["monetary"] == ("decimal(18,2)", False)
    assert open_table(lake, CUSTOMER_RFM).metadata().partition_columns == ["as_of_date"]
    assert open_table(lake, CUSTOMER_RFM).metadata().configuration["delta.enableDeletionVectors"] == "false"


def test_a_day_done_twice_has_the_same_rows_and_leaves_other_days_alone(
    lake: Settings, instance: dg.DagsterInstance
) -> None:
    sell_three(lake)
    done = [make(day, instance) for day in ("2026-03-13", DAY)]
    done.append(make(DAY, instance, {IN_FULL_TAG: "true"}))
    assert [(one.success, materialised(one)["is_increment"]) for one in done] == [
        (True, False),
        (True, True),
        (True, False),
    ]
    assert materialised(done[-1])["made_from"] == "in full: it was asked for in full"
    before = (date(2026, 3, 13), "bob", 12, 1, Decimal("0.30"), 5, 5, 5, "champions")
    assert rows(lake) == [before, *EXPECTED]


def test_orders_after_the_last_committed_batch_wait_for_the_next_run(
    lake: Settings, instance: dg.DagsterInstance
) -> None:
    sell_three(lake)
    versions = {"silver/transactions": 3, "silver/transaction_items": 3}
    append(lake, LEDGER_STREAMING, [ledger_row(3, versions)])
    sell(lake, 4, "carol", "2026-03-14T12:00:00.000Z")
    assert make(DAY, instance).success
    assert rows(lake) == EXPECTED


def test_a_silver_row_that_contradicts_its_lines_stops_the_mart(lake: Settings, instance: dg.DagsterInstance) -> None:
    sell_three(lake)
    sell(lake, 4, "mallory", "2026-03-14T12:00:00.000Z", total="9.99")
    outcome = run(DAY, instance)
    assert not outcome.success
    checks = {c.asset_key.to_user_string(): c for c in outcome.get_asset_check_evaluations()}
    assert {path for path, check in checks.items() if not check.passed} == {
        "silver/transactions",
        "silver/transaction_items",
    }
    first = checks["silver/transactions"].metadata["expectations"].value.records[0].data
    assert first == {
        "expectation": "total_amount is the sum of its lines",
        "result": "fails",
        "unexpected_count": 1,
        "samples": "transaction_id=t4, total_amount=9.99",
    }
    for table in (CUSTOMER_RFM, FACT_SALES, SALES_TRENDS):
        assert not DeltaTable.is_deltatable(delta_uri(lake, table))


def judge_silver(instance: dg.DagsterInstance, name: str) -> dict[str, tuple[str, int, dict[str, Any]]]:
    """By table what was judged, how many rows, and the number of offenders by each expectation that failed."""
    keys = {dg.AssetCheckKey(key(table), "expectations") for table in (TRANSACTIONS, TRANSACTION_ITEMS)}
    chosen = job(name).get_subset(asset_check_selection=keys)
    day = DAY if name == DAILY_JOB else None
    outcome = chosen.execute_in_process(partition_key=day, instance=instance, raise_on_error=False)
    found = {}
    for check in outcome.get_asset_check_evaluations():
        lines = [record.data for record in check.metadata["expectations"].value.records]
        broken = {line["expectation"]: line["unexpected_count"] for line in lines if line["result"] == "fails"}
        assert check.passed == (not broken)
        judged, count = (check.metadata[name].value for name in ("judged", "row_count"))
        found[check.asset_key.path[-1]] = (judged, count, broken)
    return found


def test_a_day_judges_new_silver_with_its_groups_and_the_week_all_of_it(
    lake: Settings, instance: dg.DagsterInstance
) -> None:
    sell_three(lake)
    assert judge_silver(instance, DAILY_JOB) == {
        "transactions": ("all rows", 3, {}),
        "transaction_items": ("all rows", 3, {}),
    }
    # a rule that became stricter, as it were: the row was right when it was judged
    open_table(lake, TRANSACTIONS).update(predicate="transaction_id = 't1'", updates={"country": "'FR'"})
    sell(lake, 4, "carol", "2026-03-14T12:00:00.000Z")
    assert judge_silver(instance, DAILY_JOB) == {
        "transactions": ("rows after micro-batch 3", 1, {}),
        "transaction_items": ("rows after micro-batch 3", 1, {}),
    }
    # an order of last week once more, under another position: as t1 again, lines and all
    sell(lake, 5, "alice", "2026-03-14T12:00:00.000Z", order="t1")
    sell(lake, 6, "alice", "2026-03-14T13:00:00.000Z")
    twice = {
        "transactions": ("rows after micro-batch 4", 2, {"transaction_id is unique": 1}),
        "transaction_items": (
            "rows after micro-batch 4",
            2,
            {
                "transaction_id, line_number is unique": 1,
                "lines are numbered from 1 without a gap": 1,
                "the lines of an order add up to its total in silver/transactions": 1,
            },
        ),
    }
    for _ in range(2):  # what is wrong is not taken for judged
        assert judge_silver(instance, DAILY_JOB) == twice
    weekly = judge_silver(instance, "in_full")
    _, _, broken = twice["transactions"]
    assert weekly["transactions"] == ("all rows", 6, {"country is one of its known values": 1, **broken})
    assert weekly["transaction_items"][:2] == ("all rows", 6)


def test_the_lifetime_model_is_held_against_the_days_that_it_was_not_fitted_to(
    lake: Settings, instance: dg.DagsterInstance
) -> None:
    sell_three(lake)
    sell(lake, 4, "bob", "2025-12-14T23:59:59.999Z")  # of the three customers he alone was known 90 days before
    made = run(DAY, instance, [key(CUSTOMER_LIFETIME_VALUE)])
    assert made.success, summary(made)
    back_test = {dg.AssetCheckKey(key(CUSTOMER_LIFETIME_VALUE), "back_test")}
    weekly = job("in_full").get_subset(asset_check_selection=back_test)
    (check,) = weekly.execute_in_process(instance=instance).get_asset_check_evaluations()
    told = {name: value.value for name, value in check.metadata.items()}
    names = ("day", "held_out_days", "customers", "actual_purchases", "actual_revenue", "naive_error")
    assert [told[name] for name in names] == [DAY, 90, 1, 1, "0.30", 1.0]
    assert told["absolute_error"] == pytest.approx(abs(1 - told["predicted_purchases"]))
    assert check.passed == (told["absolute_error"] <= 1)


def test_the_rows_that_a_check_rejects_are_listed_masked(lake: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    sell_three(lake)
    sell(lake, 4, "mallory", "2026-03-14T12:00:00.000Z", total="9.99")
    rejected("silver/transactions", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "table": "silver/transactions",
        "day": None,
        "row_count": 4,
        "expectation_count": found["expectation_count"],
        "rejected": [
            {
                "expectation": "total_amount is the sum of its lines",
                "count": 1,
                "rows": [{"transaction_id": "t4", "total_amount": "9.99"}],
            }
        ],
    }
    rejected("transaction_items")
    told = capsys.readouterr().out
    assert re.search(r"1 of \d+ expectations fail of the 4 rows of silver/transaction_items\.", told)
    assert re.search(r"transaction_id +amount +total_amount\s+t4 +0\.30 +9\.99", told)
    rejected("silver/users")
    assert re.search(r"All \d+ expectations hold of the 0 rows of silver/users\.", capsys.readouterr().out)
    with pytest.raises(NotMadeError, match=r"gold/customer_rfm has not been made for any day yet"):
        rejected("gold/customer_rfm")
    with pytest.raises(UnknownTableError, match="No table 'bronze/events' is judged"):
        rejected("bronze/events")


def test_before_the_stream_has_written_the_run_says_what_to_do(lake: Settings, instance: dg.DagsterInstance) -> None:
    outcome = run(DAY, instance, [key(CUSTOMER_RFM)])
    assert not outcome.success
    assert re.search(
        r"There is no silver/transactions in file:.* yet: start the streaming service", "\n".join(summary(outcome))
    )


def test_a_second_run_is_refused_while_another_holds_the_batch_lease(
    lake: Settings, instance: dg.DagsterInstance
) -> None:
    sell_three(lake)
    with Lease(lake, "batch"):
        outcome = run(DAY, instance)
    assert not outcome.success
    assert f"Process {os.getpid()}" in "\n".join(summary(outcome))
    assert not DeltaTable.is_deltatable(delta_uri(lake, CUSTOMER_RFM))


def ledger_row(batch_id: int, versions: dict[str, int]) -> dict[str, Any]:
    at = datetime(2026, 3, 14, tzinfo=UTC)
    entry = LedgerEntry(1, batch_id, batch_id, at, at, {}, {}, versions)
    counts = {name: 0 for name in LEDGER_STREAMING.schema.names if name.endswith("_count")}
    return dict(replace(entry, counts=counts).to_rows().to_pylist()[0])
