"""A failed run and a failed check become findings under ids of their own, and the next success takes them back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg
import pytest

from lakehouse.errors import StorageError
from orchestration.alarms import findings
from orchestration.partitions import DAILY
from orchestration.runs import PROCESS_TAG, close_dead, process_tag

AT = datetime(2026, 3, 15, 1, tzinfo=UTC)
DAY, OTHER = "2026-03-14", "2026-03-13"
BROKEN = {"table": True, "check": False}


@dg.asset(key=["gold", "table"], partitions_def=DAILY)
def table() -> None:
    if BROKEN["table"]:
        raise StorageError("S3 does not answer at http://127.0.0.1:9.")


@dg.asset(key=["gold", "other"], partitions_def=DAILY)
def other() -> None:
    pass


@dg.asset_check(asset=table, name="expectations", blocking=True, partitions_def=DAILY)
def check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not BROKEN["check"], description="1 of 7 expectations failed")


@dg.asset_check(asset=["gold", "weekly"], name="full_computation")
def in_full() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not BROKEN["check"], description="4 rows differ")


JOB = dg.Definitions(
    [table, other], jobs=[dg.define_asset_job("daily", partitions_def=DAILY)], asset_checks=[check]
).resolve_job_def("daily")
WEEKLY = dg.Definitions(
    [dg.AssetSpec(["gold", "weekly"])],
    jobs=[dg.define_asset_job("weekly", selection=dg.AssetSelection.checks(in_full))],
    asset_checks=[in_full],
).resolve_job_def("weekly")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def run(instance: dg.DagsterInstance, day: str = DAY, broken: str = "", only: str = "") -> dg.DagsterRun:
    BROKEN.update(table=broken == "table", check=broken == "check")
    keys = [dg.AssetKey(["gold", only])] if only else None
    done = JOB.execute_in_process(partition_key=day, instance=instance, raise_on_error=False, asset_selection=keys)
    return instance.get_run_by_id(done.run_id)


def told(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[tuple[str, str, str]]:
    return [(one.kind, one.severity, one.fingerprint) for one in findings(instance, run, AT, AT)]


def test_a_failed_run_says_why_and_is_the_same_finding_however_often_it_is_looked_at(
    instance: dg.DagsterInstance,
) -> None:
    failed = run(instance, broken="table")
    (finding,) = findings(instance, failed, AT, AT)
    assert (finding.kind, finding.severity, finding.fingerprint) == (
        "run_failed",
        "critical",
        f"run_failed|daily {DAY}",
    )
    assert finding.title == f"The batch run daily {DAY} failed"
    assert (
        finding.detail
        == "step gold__table failed: lakehouse.errors.StorageError: S3 does not answer at http://127.0.0.1:9."
    )
    assert finding.evidence == {"run_id": failed.run_id, "job": "daily", "day": DAY}
    assert findings(instance, failed, AT, AT) == [finding]


def test_a_check_that_fails_is_told_of_beside_its_run_and_success_takes_both_back(instance: dg.DagsterInstance) -> None:
    bad = f"check_failed|gold/table|expectations|{DAY}"
    assert told(instance, run(instance, broken="check")) == [
        ("check_failed", "critical", bad),
        ("run_failed", "critical", f"run_failed|daily {DAY}"),
    ]
    assert told(instance, run(instance, OTHER)) == []
    assert told(instance, run(instance, only="other")) == []
    assert told(instance, run(instance)) == [
        ("check_recovered", "info", bad),
        ("run_recovered", "info", f"run_failed|daily {DAY}"),
    ]


def test_a_check_that_does_not_block_is_told_of_and_taken_back_although_its_run_succeeds(
    instance: dg.DagsterInstance,
) -> None:
    def week(is_broken: bool) -> dg.DagsterRun:
        BROKEN.update(check=is_broken)
        done = WEEKLY.execute_in_process(instance=instance)
        assert done.success
        return instance.get_run_by_id(done.run_id)

    bad = "check_failed|gold/weekly|full_computation|all"
    assert told(instance, week(is_broken=False)) == []
    for _ in range(2):
        assert told(instance, week(is_broken=True)) == [("check_failed", "warning", bad)]
    assert told(instance, week(is_broken=False)) == [("check_recovered", "info", bad)]


def test_a_run_that_is_tried_again_says_nothing_yet(instance: dg.DagsterInstance) -> None:
    failed = run(instance, broken="table")
    instance.add_run_tags(failed.run_id, {"dagster/will_retry": "true"})
    assert told(instance, instance.get_run_by_id(failed.run_id)) == []


def test_a_run_whose_process_is_gone_is_closed_as_failed_and_one_that_works_is_not(
    instance: dg.DagsterInstance,
) -> None:
    ids = [str(uuid4()) for _ in range(4)]
    own = [process_tag(run_id)[PROCESS_TAG] for run_id in ids]
    process, _, started = own[0].rpartition(":")
    tags = [
        f"{process}:{float(started) - 100:.2f}",  # the process id was given to another since
        own[1],
        own[2].replace(socket.gethostname(), "elsewhere").replace(started, "1.00"),
        f"{process}:{float(started) - 100:.2f}",  # of the run that is tried again: it has no process yet
    ]
    runs = [
        instance.create_run_for_job(JOB, run_id=i, tags={PROCESS_TAG: tag}, status=dg.DagsterRunStatus.STARTED)
        for i, tag in zip(ids, tags, strict=True)
    ]
    assert close_dead(instance) == [runs[0].run_id]
    assert close_dead(instance) == []
    states = [instance.get_run_by_id(one.run_id).status.value for one in runs]
    assert states == ["FAILURE", "STARTED", "STARTED", "STARTED"]
    (finding,) = findings(instance, instance.get_run_by_id(runs[0].run_id), AT, AT)
    assert "is gone: it was killed, or the machine went down" in finding.detail
