"""Batch runs at length: a month killed again and again, a kill at each asset, and the daemon that starts, restarts and tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from batch_lake import PRICE, content, fill, reach, row
from conftest import Stack, wait_for
from deltalake import DeltaTable
from ledger_rows import append
from sqlalchemy import text

from api.desk.database import connect
from infra.servers.dagster import instance_env
from lakehouse.settings import CHECKOUT, Settings, load_settings
from lakehouse.storage import delta_options, delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, TABLES, TRANSACTIONS
from orchestration.backfill import LAKE_TAG
from orchestration.runs import PROCESS_TAG

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(7200)]

MADE = [table for table in TABLES if table.owner == "batch" and table.layer == "gold"]
FIRST = date(2026, 3, 1)


@pytest.fixture
def home(stack: Stack) -> Settings:
    stack("minio", "postgres")
    return stack.settings("batch")


@pytest.fixture
def instance(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for name, value in instance_env(home).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as opened:
        yield opened


def own_lake(home: Settings) -> Settings:
    """A lake within the lake, where the batch service may write."""
    return home.model_copy(update={"lake_uri": f"{home.lake_uri}/{CUSTOMER_RFM.path}/test-{uuid4().hex}"})


def start(settings: Settings, jars_dir: Path, *command: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        **instance_env(settings),
        "GLOBALMART_LAKE_URI": settings.lake_uri,
        "GLOBALMART_JARS_DIR": str(jars_dir),
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=CHECKOUT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def days_told(process: subprocess.Popen[str], count: int) -> tuple[list[str], list[str]]:
    """What a backfill said of its first days, `count` of them, in a word each; and what it said before of runs that were killed."""
    assert process.stdout is not None
    words, closed = [], []
    while len(words) < count:
        line = process.stdout.readline()
        assert line, f"it ended after {words}"
        if "closed as failed" in line:
            closed.append(line)
        else:
            words.append("done" if line.endswith("done already\n") else "made" if " tables in " in line else line)
    return words, closed


def test_a_month_killed_in_the_middle_and_gone_on_with_equals_one_that_ran_through(
    home: Settings, jars_dir: Path, instance: dg.DagsterInstance
) -> None:
    days = [FIRST + timedelta(days=number) for number in range(30)]
    through, killed = own_lake(home), own_lake(home)
    command = ("infra.cli", "backfill", "--from", str(days[0]), "--to", str(days[-1]))
    for settings in (through, killed):
        fill(settings, FIRST, len(days), empty=FIRST + timedelta(days=4))
        reach(settings, "2026-04-02T00:00:00+00:00")
    first = start(through, jars_dir, *command)
    assert days_told(first, len(days)) == (["made"] * len(days), [])
    assert first.wait() == 0

    def is_under_way(day: date) -> bool:
        tags = {"dagster/partition": str(day), LAKE_TAG: killed.lake_uri}
        found = instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.STARTED]), limit=1)
        of_type = dg.DagsterEventType.ASSET_MATERIALIZATION
        return any(instance.all_logs(run.run_id, of_type=of_type) for run in found)

    made = 0
    for seen in (1, 9, 22):  # killed while the day after so many is half made
        one = start(killed, jars_dir, *command)
        words, closed = days_told(one, seen)
        wait_for(partial(is_under_way, days[seen]), f"some tables of {days[seen]} are made", 300)
        one.kill()
        one.communicate()
        assert one.returncode == -signal.SIGKILL
        assert words == ["done"] * made + ["made"] * (seen - made)
        assert len(closed) == bool(made)  # the run that the kill before has cut short
        made = seen
    final = start(killed, jars_dir, *command)
    words, closed = days_told(final, len(days))
    assert final.wait() == 0
    assert words == ["done"] * made + ["made"] * (len(days) - made)
    assert len(closed) == 1
    for table in MADE:
        assert content(killed, table) == content(through, table), table.path


def test_a_run_killed_at_each_asset_leaves_whole_tables_and_the_next_run_makes_each_once(
    home: Settings, jars_dir: Path, instance: dg.DagsterInstance
) -> None:
    settings, day = own_lake(home), "2026-03-03"
    fill(settings, FIRST, 3)
    reach(settings, "2026-03-05T00:00:00+00:00")
    command = ("orchestration.materialize", "--day", day)

    def newest() -> dg.DagsterRun | None:
        found = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": day}), limit=1)
        return found[0] if found else None

    before = newest()
    for table in MADE:
        step = table.path.replace("/", "__")
        one = start(settings, jars_dir, *command)

        def begun(step: str = step, before: dg.DagsterRun | None = before) -> bool:
            run = newest()
            if run is None or (before is not None and run.run_id == before.run_id):
                return False
            events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
            return step in {event.step_key for event in events}

        wait_for(begun, f"{step} has begun", 300)
        one.send_signal(signal.SIGKILL)
        one.communicate()
        before = newest()
        for made in MADE:  # whatever is there can be read, and holds no row twice
            if DeltaTable.is_deltatable(delta_uri(settings, made), storage_options=delta_options(settings)):
                rows = open_table(settings, made).to_pyarrow_table(columns=list(made.key)).to_pylist()
                assert len(rows) == len({tuple(row.values()) for row in rows}), made.path
    done = start(settings, jars_dir, *command)
    lines, _ = done.communicate()
    assert done.returncode == 0, lines
    run = newest()
    assert run is not None
    made_by_it = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    keys = [event.get_dagster_event().asset_key.to_user_string() for event in made_by_it]
    assert sorted(keys) == sorted(table.path for table in MADE)
    killed = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": day}), limit=len(MADE) + 1)
    assert [one.status.value for one in killed] == ["SUCCESS", *["FAILURE"] * len(MADE)]


@pytest.fixture
def daemon(stack: Stack, home: Settings) -> Iterator[Settings]:
    """Dagster's daemon and the alert desk on a lake of the test's own; the settings of who writes silver there."""
    env_file = stack.home / ".env"
    before = env_file.read_text()
    env_file.write_text(f"{before}GLOBALMART_LAKE_URI={home.lake_uri}/test-{uuid4().hex}\n")
    try:
        stack("kafka", "minio", "postgres", "desk", "dagster-webserver", "dagster-daemon")
        yield stack.settings("streaming")
    finally:
        env_file.write_text(before)
        for name in ("dagster-daemon", "dagster-webserver", "desk"):
            stack.stop(name)
        stack("minio")  # gives the services their rights on the lake back


def test_the_daemon_makes_a_day_once_it_is_over_again_when_killed_and_tells_of_what_fails(
    daemon: Settings, jars_dir: Path, instance: dg.DagsterInstance
) -> None:
    def runs(day: str) -> list[dg.DagsterRun]:
        return list(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": day, "dagster/run_key": day})))

    def started() -> dg.DagsterRun | None:
        under_way = (run for run in runs("2026-03-02") if not run.is_finished)
        return next((run for run in under_way if run.tags.get(PROCESS_TAG, "").startswith(run.run_id)), None)

    def alerts(state: str) -> set[str]:
        engine = connect(load_settings("desk"))
        with engine.connect() as connection:
            found = text("SELECT fingerprint FROM desk.alerts WHERE fingerprint LIKE '%2026-03-0%' AND state = :state")
            return set(connection.scalars(found, {"state": state}))

    fill(daemon, FIRST, 3)
    reach(daemon, "2026-03-03T12:00:00+00:00")
    first = wait_for(started, "the run of the day that is over", 600)
    assert first is not None
    os.kill(int(first.tags[PROCESS_TAG].rsplit(":", 2)[1]), signal.SIGKILL)
    wait_for(lambda: any(run.status is dg.DagsterRunStatus.SUCCESS for run in instance.get_runs(
        dg.RunsFilter(tags={"dagster/partition": "2026-03-02"}))), "the run that was started again", 1200)  # fmt: skip
    assert {row[0] for row in content(daemon, CUSTOMER_RFM)} == {date(2026, 3, 2)}
    assert alerts("open") == set()  # a run that is started again has nothing to tell

    bad = row(TRANSACTIONS, datetime(2026, 3, 3, 12, tzinfo=UTC), transaction_id="bad", total_amount=PRICE)
    append(daemon, TRANSACTIONS, [bad])
    reach(daemon, "2026-03-04T12:00:00+00:00", batch_id=2)
    told = {"run_failed|daily 2026-03-03", "check_failed|silver/transactions|expectations|2026-03-03"}
    wait_for(lambda: alerts("open") >= told, "an alert of the run that failed, and one of the check", 1200)
    assert {row[0] for row in content(daemon, CUSTOMER_RFM)} == {date(2026, 3, 2)}

    open_table(daemon, TRANSACTIONS).delete("transaction_id = 'bad'")
    reach(daemon, "2026-03-04T12:00:00+00:00", batch_id=3)
    again = start(load_settings("batch"), jars_dir, "orchestration.materialize", "--day", "2026-03-03")
    lines, _ = again.communicate()
    assert again.returncode == 0, lines
    wait_for(lambda: alerts("resolved") >= told, "both alerts resolved", 300)
