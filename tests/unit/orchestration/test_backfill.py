"""Which days of a range are done, and whether a backfill is gone on with or begun anew. The runs themselves: test_materialize, integration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from batch_lake import row
from deltalake import CommitProperties, write_deltalake
from ledger_rows import commit, entry

from lakehouse.batch import last_write
from lakehouse.progress import DayAheadError
from lakehouse.settings import Settings, load_settings
from lakehouse.storage import delta_uri
from lakehouse.tables import CUSTOMER_RFM, FACT_SALES, RFM_MOVEMENTS, TRANSACTIONS, Table
from orchestration.backfill import (
    Backfill,
    BackfillError,
    chosen_keys,
    daily_keys,
    days_between,
    done,
    joined_keys,
    plan,
)
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.report import place_metadata
from orchestration.runs import IN_FULL_TAG, NoSuchDayError, check_day

DAYS = days_between(date(2026, 3, 1), date(2026, 3, 3))
NOW = datetime(2026, 3, 20, tzinfo=UTC)
RFM, MOVEMENTS = key(CUSTOMER_RFM), key(RFM_MOVEMENTS)
NOW_MADE: dict[str, Any] = {}


def made(context, table: Table, sources: dict[str, int]) -> dg.MaterializeResult[Any]:
    """A row of the run's day in the lake of now, with the note that `lakehouse.batch` leaves, told as an asset tells it."""
    lake, day = NOW_MADE["lake"], date.fromisoformat(context.partition_key)
    rows = [row(table, NOW, as_of_date=day)]
    note = json.dumps({"days": [day.isoformat()], "sources": sources})
    write_deltalake(
        delta_uri(lake, table),
        pa.Table.from_pylist(rows, table.schema),
        mode="append",
        partition_by=list(table.partition_by),
        commit_properties=CommitProperties(custom_metadata={"userMetadata": note}),
    )
    return dg.MaterializeResult(metadata=place_metadata(lake, last_write(lake, table)))


@dg.asset(key=RFM, partitions_def=DAILY)
def customer_rfm(context):
    return made(context, CUSTOMER_RFM, {TRANSACTIONS.path: NOW_MADE["version"], "gold/dim_user": 1})


@dg.asset(key=MOVEMENTS, partitions_def=DAILY)
def rfm_movements(context):
    return made(context, RFM_MOVEMENTS, {CUSTOMER_RFM.path: last_write(NOW_MADE["lake"], CUSTOMER_RFM).version})


@dg.asset_check(asset=customer_rfm, blocking=True, partitions_def=DAILY)
def check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=bool(NOW_MADE["is_good"]))


JOBS = dg.Definitions(
    [customer_rfm, rfm_movements],
    jobs=[dg.define_asset_job(k.path[-1], selection=[k], partitions_def=DAILY) for k in (RFM, MOVEMENTS)],
    asset_checks=[check],
)


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
    instance: dg.DagsterInstance,
    lake: Settings,
    day: str,
    version: int,
    backfill: Backfill | None = None,
    is_good: bool = True,
    job: str = CUSTOMER_RFM.name,
) -> None:
    NOW_MADE.update(lake=lake, version=version, is_good=is_good)
    tags = backfill.tags if backfill else {}
    ran = JOBS.resolve_job_def(job).execute_in_process(
        partition_key=day, instance=instance, tags=tags, raise_on_error=False
    )
    assert ran.success == is_good


def days_done(instance: dg.DagsterInstance, lake: Settings, backfill: Backfill) -> list[int]:
    return sorted(day.day for day in done(instance, lake, backfill))


def asked_for(lake: Settings, *keys: dg.AssetKey, version: int = 5) -> Backfill:
    return Backfill(DAYS, frozenset(keys), False, "new", {TRANSACTIONS.path: version}, lake.lake_uri)


def test_a_day_is_done_when_its_newest_run_succeeded_and_read_no_older_silver(
    instance: dg.DagsterInstance, lake: Settings
) -> None:
    asked = asked_for(lake, RFM)
    assert days_done(instance, lake, asked) == []
    make(instance, lake, "2026-03-01", version=5)
    make(instance, lake, "2026-03-02", version=4)
    make(instance, lake, "2026-03-03", version=6)
    make(instance, lake, "2026-03-04", version=6)  # beyond the range
    assert days_done(instance, lake, asked) == [1, 3]
    # a check that blocks failed: what is there now is not to be relied on
    make(instance, lake, "2026-03-03", version=7, is_good=False)
    assert days_done(instance, lake, asked) == [1]
    make(instance, lake, "2026-03-02", version=4, backfill=asked)  # its own runs count whatever they read
    assert days_done(instance, lake, asked) == [1, 2]
    assert days_done(instance, lake, replace(asked, backfill_id="forced", cut=None)) == []


def test_a_day_that_dagster_knows_counts_only_where_the_lake_has_it(
    instance: dg.DagsterInstance, lake: Settings, tmp_path: Path
) -> None:
    other = lake.model_copy(update={"lake_uri": (tmp_path / "other").as_uri()})
    here, there = asked_for(lake, RFM), asked_for(other, RFM)
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        make(instance, lake, day, version=5)
    assert days_done(instance, other, there) == []
    make(instance, other, "2026-03-02", version=5)
    assert days_done(instance, other, there) == [2]
    assert days_done(instance, lake, here) == [1, 2, 3]  # although the newest word on the 2nd is of the other lake
    shutil.rmtree(tmp_path / "lake")
    assert days_done(instance, lake, here) == []
    make(instance, lake, "2026-03-01", version=5)
    assert days_done(instance, lake, here) == [1]


def test_a_mart_of_a_day_is_not_done_once_the_days_that_it_reads_were_made_again(
    instance: dg.DagsterInstance, lake: Settings
) -> None:
    days = ("2026-03-01", "2026-03-02", "2026-03-03")
    for day in days:
        make(instance, lake, day, version=5)
        make(instance, lake, day, version=5, job=RFM_MOVEMENTS.name)
    asked = asked_for(lake, RFM, MOVEMENTS)
    assert days_done(instance, lake, asked) == [1, 2, 3]
    make(instance, lake, "2026-03-02", version=5)  # read by the movements of its own day and of the next
    assert days_done(instance, lake, asked) == days_done(instance, lake, asked_for(lake, MOVEMENTS)) == [1]
    make(instance, lake, "2026-03-02", version=5, job=RFM_MOVEMENTS.name)
    assert days_done(instance, lake, asked) == [1, 2]
    make(instance, lake, "2026-02-01", version=5)  # 30 days before the 3rd
    make(instance, lake, "2026-03-03", version=5, job=RFM_MOVEMENTS.name)
    assert days_done(instance, lake, asked) == [1, 2, 3]
    make(instance, lake, "2026-02-01", version=5)
    assert days_done(instance, lake, asked) == [1, 2]


def test_a_backfill_that_was_cut_short_goes_on_and_one_that_was_done_begins_anew(
    instance: dg.DagsterInstance, lake: Settings, tmp_path: Path
) -> None:
    def planned(now: datetime, force: bool = False, settings: Settings = lake) -> Backfill:
        return plan(instance, settings, DAYS, ["customer_rfm"], force, now)

    commit(lake, entry(1, "2026-03-15T12:00:00+00:00", {TRANSACTIONS.path: 5}))
    first = planned(NOW)
    assert (first.keys, first.is_whole, first.cut) == (frozenset({RFM}), False, {TRANSACTIONS.path: 5})
    make(instance, lake, "2026-03-01", version=5, backfill=first)
    commit(lake, entry(2, "2026-03-15T13:00:00+00:00", {TRANSACTIONS.path: 9}))
    later = datetime(2026, 3, 21, tzinfo=UTC)
    assert planned(later) == first  # the stream went on, yet the day that is done stays done
    assert days_done(instance, lake, planned(later)) == [1]
    other = lake.model_copy(update={"lake_uri": (tmp_path / "other").as_uri()})
    assert planned(later, settings=other).backfill_id != first.backfill_id  # it was not begun in that lake
    make(instance, lake, "2026-03-02", version=9, backfill=first)
    make(instance, lake, "2026-03-03", version=9, backfill=first)
    again = planned(later)
    assert (again.backfill_id, again.cut) == ("2026-03-21T00:00:00.000+00:00", {TRANSACTIONS.path: 9})
    assert days_done(instance, lake, again) == [2, 3]
    forced = planned(datetime(2026, 3, 22, tzinfo=UTC), force=True)
    assert forced.cut is None
    assert (forced.tags[IN_FULL_TAG], first.tags[IN_FULL_TAG]) == ("true", "false")
    assert days_done(instance, lake, forced) == []
    make(instance, lake, "2026-03-01", version=9, backfill=forced)
    assert planned(later) == forced  # cut short as well


def test_ranges_days_and_tables_that_cannot_be_are_refused_in_a_sentence(
    instance: dg.DagsterInstance, lake: Settings
) -> None:
    with pytest.raises(BackfillError, match="ends on 2026-03-01, before it begins on 2026-03-03"):
        days_between(date(2026, 3, 3), date(2026, 3, 1))
    with pytest.raises(BackfillError, match=r"gold/dim_user is not made by day: these are .*customer_rfm"):
        chosen_keys(["gold/dim_user"])
    with pytest.raises(NoSuchDayError, match=r"2999-01-01 is not a day from 2001-01-01 to today"):
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


def test_facts_are_made_with_the_dimensions_that_they_are_joined_to() -> None:
    found = {one.path[-1] for one in joined_keys({key(FACT_SALES)})}
    assert found == {"dim_user", "dim_product", "dim_date", "dim_country", "dim_payment_method"}
    assert joined_keys({RFM, MOVEMENTS}) == frozenset()
