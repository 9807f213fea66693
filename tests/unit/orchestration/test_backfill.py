"""Which days of a range are done, and whether a backfill is gone on with or begun anew. The runs themselves: test_materialize, integration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ledger_rows import commit, entry

from lakehouse.progress import DayAheadError
from lakehouse.settings import Settings, load_settings
from lakehouse.tables import TRANSACTIONS
from orchestration.backfill import Backfill, BackfillError, chosen_keys, daily_keys, days_between, done, plan
from orchestration.partitions import DAILY
from orchestration.runs import IN_FULL_TAG, NoSuchDayError, check_day

DAYS = days_between(date(2026, 3, 1), date(2026, 3, 3))
NOW = datetime(2026, 3, 20, tzinfo=UTC)
RFM = dg.AssetKey(["gold", "customer_rfm"])
READ = {"version": 5, "is_good": True}


@dg.asset(key=RFM, partitions_def=DAILY)
def table() -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(metadata={"version_read": {TRANSACTIONS.path: READ["version"], "gold/dim_user": 1}})


@dg.asset_check(asset=table, blocking=True, partitions_def=DAILY)
def check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=bool(READ["is_good"]))


JOB = dg.Definitions(
    [table], jobs=[dg.define_asset_job("daily", partitions_def=DAILY)], asset_checks=[check]
).resolve_job_def("daily")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {"ENV_FILE": tmp_path / "none.env", "LAKE_URI": (tmp_path / "lake").as_uri()}.items():
        monkeypatch.setenv(f"GLOBALMART_{name}", str(value))
    return load_settings("batch")


def make(
    instance: dg.DagsterInstance, day: str, version: int, backfill: Backfill | None = None, is_good: bool = True
) -> None:
    READ.update(version=version, is_good=is_good)
    tags = backfill.tags if backfill else {}
    JOB.execute_in_process(partition_key=day, instance=instance, tags=tags, raise_on_error=False)


def days_done(instance: dg.DagsterInstance, backfill: Backfill) -> list[int]:
    return sorted(day.day for day in done(instance, backfill))


def test_a_day_is_done_when_its_newest_run_succeeded_and_read_no_older_silver(instance: dg.DagsterInstance) -> None:
    asked = Backfill(DAYS, frozenset({RFM}), False, "new", {TRANSACTIONS.path: 5})
    assert days_done(instance, asked) == []
    make(instance, "2026-03-01", version=5)
    make(instance, "2026-03-02", version=4)
    make(instance, "2026-03-03", version=6)
    make(instance, "2026-03-04", version=6)  # beyond the range
    assert days_done(instance, asked) == [1, 3]
    make(
        instance, "2026-03-03", version=7, is_good=False
    )  # a check that blocks failed: what is there now is not to be relied on
    assert days_done(instance, asked) == [1]
    make(instance, "2026-03-02", version=4, backfill=asked)  # its own runs count whatever they read
    assert days_done(instance, asked) == [1, 2]
    assert days_done(instance, replace(asked, backfill_id="forced", cut=None)) == []


def test_a_backfill_that_was_cut_short_goes_on_and_one_that_was_done_begins_anew(
    instance: dg.DagsterInstance, lake: Settings
) -> None:
    def planned(now: datetime, force: bool = False) -> Backfill:
        return plan(instance, lake, DAYS, ["customer_rfm"], force, now)

    commit(lake, entry(1, "2026-03-15T12:00:00+00:00", {TRANSACTIONS.path: 5}))
    first = planned(NOW)
    assert (first.keys, first.is_whole, first.cut) == (frozenset({RFM}), False, {TRANSACTIONS.path: 5})
    make(instance, "2026-03-01", version=5, backfill=first)
    commit(lake, entry(2, "2026-03-15T13:00:00+00:00", {TRANSACTIONS.path: 9}))
    later = datetime(2026, 3, 21, tzinfo=UTC)
    assert planned(later) == first  # the stream went on, yet the day that is done stays done
    assert days_done(instance, planned(later)) == [1]
    make(instance, "2026-03-02", version=9, backfill=first)
    make(instance, "2026-03-03", version=9, backfill=first)
    again = planned(later)
    assert (again.backfill_id, again.cut) == ("2026-03-21T00:00:00.000+00:00", {TRANSACTIONS.path: 9})
    assert days_done(instance, again) == [2, 3]
    forced = planned(datetime(2026, 3, 22, tzinfo=UTC), force=True)
    assert forced.cut is None
    assert (forced.tags[IN_FULL_TAG], first.tags[IN_FULL_TAG]) == ("true", "false")
    assert days_done(instance, forced) == []
    make(instance, "2026-03-01", version=9, backfill=forced)
    assert planned(later) == forced  # cut short as well


def test_ranges_days_and_tables_that_cannot_be_are_refused_in_a_sentence(
    instance: dg.DagsterInstance, lake: Settings
) -> None:
    with pytest.raises(BackfillError, match="ends on 2026-03-01, before it begins on 2026-03-03"):
        days_between(date(2026, 3, 3), date(2026, 3, 1))
    with pytest.raises(BackfillError, match=r"gold/dim_user is not made by day: these are .*customer_rfm"):
        chosen_keys(["gold/dim_user"])
    with pytest.raises(NoSuchDayError, match=r"2999-01-01 is not a day from 2024-01-01 to today"):
        check_day("2999-01-01")
    with pytest.raises(NoSuchDayError):
        check_day("yesterday")
    commit(lake, entry(1, "2026-03-02T12:00:00+00:00"))
    with pytest.raises(DayAheadError, match="2026-03-03 has not begun for the stream"):
        plan(instance, lake, DAYS, [], False, NOW)


def test_all_that_is_made_by_day_is_made_unless_some_is_named() -> None:
    assert RFM in daily_keys()
    assert dg.AssetKey(["gold", "dim_user"]) not in daily_keys()
    assert chosen_keys([]) == daily_keys()
    assert chosen_keys(["customer_rfm"]) == chosen_keys(["gold/customer_rfm"]) == frozenset({RFM})
