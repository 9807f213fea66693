"""The mirror on the real PostgreSQL, of a lake on files: equal to gold row by row, never half, never empty, back after every fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from batch_lake import PRICE, fill, reach
from conftest import wait_for
from mirror_rows import FIRST_DAY, append, empty, expected, row
from typer.testing import CliRunner

from api.mirror import command, target
from api.mirror.follow import Mirror
from api.mirror.plan import Mirrored, mirrored
from api.mirror.service import Follower
from api.mirror.target import Shown, Target
from infra.credentials import dashboards_file, read_pairs
from infra.servers.dagster import instance_env
from lakehouse import upkeep
from lakehouse.maintenance import compact_snapshots
from lakehouse.settings import CHECKOUT, Settings, load_settings
from lakehouse.storage import open_table
from lakehouse.tables import (
    ANOMALIES,
    CARTS,
    CUSTOMER_RFM,
    DIM_COUNTRY,
    DIM_USER,
    FACT_SALES,
    INVENTORY_LEVELS,
    SALES_BY_MINUTE,
    SESSIONS,
    TABLES,
    Table,
)
from lakehouse.travel import VersionGoneError, open_at
from orchestration.defs import mirror as asset

pytestmark = pytest.mark.integration

DAYS = [FIRST_DAY + timedelta(days=number) for number in range(4)]


@pytest.fixture
def settings(stack: Any, tmp_path: Path) -> Iterator[Settings]:
    """The serving service's account, a lake on files, two days in the mirror, and the mirror empty before and after."""
    stack("postgres")
    serving: Settings = stack.settings("serving")
    made = serving.model_copy(update={"lake_uri": (tmp_path / "lake").as_uri(), "mirror_days": 2})
    empty(made)
    yield made
    stack("postgres")
    empty(made)


@contextmanager
def dashboard(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as Grafana has it."""
    url = read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


def of(settings: Settings, *tables: Table) -> list[Mirrored]:
    return [one for one in mirrored(settings) if one.table in tables]


def shows(settings: Settings, one: Mirrored) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.mirror_url) as connection:  # personal columns too, which dashboards may not read
        return sorted(connection.execute(f"SELECT * FROM mirror.{one.table.name}").fetchall(), key=repr)


def assert_equal(settings: Settings, plan: list[Mirrored], shown: dict[str, Shown]) -> None:
    for one in plan:
        at = shown[one.table.path]
        assert at.delta_version == open_table(settings, one.table).version()
        rows = shows(settings, one)
        assert rows == expected(settings, one, at.first_day), one.table.path
        assert len(rows) == at.row_count, one.table.path
        assert rows, one.table.path


def test_every_gold_table_equals_delta_row_by_row_at_first_and_after_each_commit(settings: Settings) -> None:
    plan = list(mirrored(settings))
    mirror = Mirror(settings, plan)
    assert mirror.refresh() == {}  # gold is empty, and so is the mirror
    for one in plan:
        append(settings, one.table, [row(one.table, number, day) for number in range(8) for day in DAYS[:3]])
    shown = mirror.refresh()
    assert mirror.problems == {}
    assert_equal(settings, plan, shown)
    loaded = {path: at.loaded_at for path, at in shown.items()}
    for one in plan:
        again = range(4, 12) if one.table.reading != "rows" else range(20, 24)  # keys that are there, and new ones
        append(settings, one.table, [row(one.table, number, DAYS[2], 1) for number in again])
        append(settings, one.table, [row(one.table, number, DAYS[3], 2) for number in range(30, 33)])
    shown = mirror.refresh()
    assert mirror.problems == {}
    assert_equal(settings, plan, shown)
    assert {at.first_day for path, at in shown.items() if path.startswith("gold/fact_")} == {DAYS[2]}
    assert shown[CUSTOMER_RFM.path].first_day == DAYS[3]
    # Live tables and facts took the difference; they were not loaded anew.
    steps = [one for one in plan if one.is_live or one.table.name.startswith("fact_")]
    assert {one.table.path for one in steps if shown[one.table.path].loaded_at != loaded[one.table.path]} == set()
    assert mirror.refresh() == shown


def test_snapshots_follow_retractions_compactions_and_rewrites(settings: Settings) -> None:
    (one,) = plan = of(settings, SESSIONS)
    mirror = Mirror(settings, plan)
    append(settings, SESSIONS, [row(SESSIONS, number, DAYS[0]) for number in range(4)])
    first = mirror.refresh()
    gone = row(SESSIONS, 2, DAYS[0], 1) | {"is_retracted": True}
    append(settings, SESSIONS, [gone, row(SESSIONS, 3, DAYS[0], 1)])
    append(settings, SESSIONS, [row(SESSIONS, 3, DAYS[0], 2)])
    assert_equal(settings, plan, mirror.refresh())
    assert len(shows(settings, one)) == 3
    delta = open_table(settings, SESSIONS)
    compact_snapshots(SESSIONS, delta)
    shown = mirror.refresh()
    assert shown[SESSIONS.path].delta_version == delta.version()
    assert shown[SESSIONS.path].loaded_at == first[SESSIONS.path].loaded_at
    append(settings, SESSIONS, [row(SESSIONS, 2, DAYS[0], 3)])  # the key comes back
    assert_equal(settings, plan, mirror.refresh())
    append(settings, SESSIONS, [row(SESSIONS, 9, DAYS[1], 4)], mode="overwrite")  # a rebuild's swap
    assert_equal(settings, plan, mirror.refresh())
    assert len(shows(settings, one)) == 1
    with dashboard(settings) as connection:
        assert connection.execute("SELECT session_count FROM mirror.sessions_by_hour").fetchall() == [(1,)]


def test_a_days_backfill_touches_that_day_alone(settings: Settings) -> None:
    plan = of(settings, FACT_SALES, CUSTOMER_RFM)
    mirror = Mirror(settings, plan)
    for table in (FACT_SALES, CUSTOMER_RFM):
        append(settings, table, [row(table, number, day) for number in range(3) for day in DAYS])
    first = mirror.refresh()
    for table, day in ((FACT_SALES, DAYS[2]), (CUSTOMER_RFM, DAYS[1])):
        made = [row(table, number, day, 1) for number in range(5)]
        append(settings, table, made, mode="overwrite", predicate=f"{table.partition_by[0]} = '{day}'")
    shown = mirror.refresh()
    assert_equal(settings, plan, shown)
    assert shown[FACT_SALES.path].row_count == 3 + 5
    assert {path: at.loaded_at for path, at in shown.items()} == {path: at.loaded_at for path, at in first.items()}
    made = [row(CUSTOMER_RFM, number, DAYS[3], 1) for number in range(7)]
    append(settings, CUSTOMER_RFM, made, mode="overwrite", predicate=f"as_of_date = '{DAYS[3]}'")
    open_table(settings, FACT_SALES).optimize.compact()
    assert_equal(settings, plan, mirror.refresh())


def customers(day: date, count: int, segment: str) -> list[dict[str, Any]]:
    shared = {"recency_days": 1, "frequency": 1, "monetary": Decimal("1.00"), "r_score": 1, "f_score": 1, "m_score": 1}
    return [shared | {"as_of_date": day, "user_id": f"u{number}", "segment": segment} for number in range(count)]


def test_a_reader_sees_one_day_or_the_next_and_never_none(settings: Settings) -> None:
    (plan,) = of(settings, CUSTOMER_RFM)
    mirror = Mirror(settings, [plan])
    append(settings, CUSTOMER_RFM, customers(DAYS[0], 1_000, "first"))
    mirror.refresh()
    seen: list[tuple[Any, ...]] = []
    done, failures = threading.Event(), []

    def look() -> None:
        try:
            with dashboard(settings) as connection:
                while not done.is_set():
                    query = "SELECT count(*), min(as_of_date), max(as_of_date), sum(monetary) FROM mirror.customer_rfm"
                    seen.extend(connection.execute(query).fetchall())
        except psycopg.Error as error:
            failures.append(error)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number, day in enumerate(DAYS[1:] * 4, start=1):
        append(settings, CUSTOMER_RFM, customers(day, 1_000 + number, "next"), mode="overwrite")
        mirror.refresh()
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert mirror.problems == {}
    assert len(set(seen)) > 5
    for count, first, last, money in seen:
        assert first == last
        assert 1_000 <= count <= 1_012
        assert money == count


def test_a_long_query_delays_the_swap_and_nobody_else(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (plan,) = of(settings, DIM_COUNTRY)
    mirror = Mirror(settings, [plan])
    append(settings, DIM_COUNTRY, [row(DIM_COUNTRY, 1, DAYS[0])])
    mirror.refresh()
    append(settings, DIM_COUNTRY, [row(DIM_COUNTRY, 2, DAYS[0])])
    with dashboard(settings) as slow, dashboard(settings) as quick:
        slow.execute("BEGIN")
        slow.execute("SELECT * FROM mirror.dim_country").fetchall()
        loader = threading.Thread(target=mirror.refresh)
        loader.start()
        wait_for(lambda: waits(quick), "the swap waits for the reader", 20)
        began = time.monotonic()
        assert len(quick.execute("SELECT * FROM mirror.dim_country").fetchall()) == 1
        assert time.monotonic() - began < 5
        assert loader.is_alive()
        slow.execute("COMMIT")
        loader.join()
    assert mirror.problems == {}
    assert len(shows(settings, plan)) == 2
    monkeypatch.setattr(target, "_LOCK_TRIES", 1)
    append(settings, DIM_COUNTRY, [row(DIM_COUNTRY, 3, DAYS[0])])
    with dashboard(settings) as slow:
        slow.execute("BEGIN")
        slow.execute("SELECT * FROM mirror.dim_country").fetchall()
        mirror.refresh()
        assert "end the long query" in mirror.problems[DIM_COUNTRY.path]
        slow.execute("COMMIT")
    assert len(shows(settings, plan)) == 2
    mirror.refresh()
    assert len(shows(settings, plan)) == 3


def waits(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    found = connection.execute(query).fetchone()
    return bool(found and found[0])


def refused(connection: psycopg.Connection[Any], statement: str) -> bool:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def test_the_dashboards_role_reads_the_mirror_and_nothing_else(settings: Settings) -> None:
    for table in (CARTS, DIM_USER):
        append(settings, table, [row(table, 1, DAYS[0])])
    Mirror(settings, of(settings, CARTS, DIM_USER)).refresh()
    with dashboard(settings) as connection:
        assert connection.execute("SELECT count(*), sum(unit_count) FROM mirror.carts").fetchone() is not None
        assert connection.execute("SELECT country FROM mirror.dim_user").fetchall() != []
        assert connection.execute("SELECT count(*) FROM mirror.versions").fetchone() == (2,)
        assert connection.execute("SELECT sum(cart_count) FROM carts_by_status").fetchone() == (1,)
        connection.execute(
            "SET default_transaction_read_only = off"
        )  # that it is on guards against slips, not against this
        for statement in (
            "SELECT user_id FROM mirror.carts",
            "SELECT * FROM mirror.carts",
            "SELECT email FROM mirror.dim_user",
            "SELECT age FROM mirror.dim_user",
            "SELECT preferences FROM mirror.dim_user",
            "SELECT to_json(u) FROM mirror.dim_user u",
            "DELETE FROM mirror.carts",
            "UPDATE mirror.versions SET delta_version = 0",
            "INSERT INTO mirror.versions (table_path) VALUES ('x')",
            "TRUNCATE mirror.carts",
            "CREATE TABLE mirror.mine (n integer)",
            "CREATE TABLE public.mine (n integer)",
            "CREATE TEMP TABLE mine (n integer)",
            "CREATE SCHEMA mine",
            "SELECT lo_create(0)",
            "SELECT lo_from_bytea(0, 'x')",
            "SELECT pg_read_file('/etc/hostname')",
            "COPY mirror.carts TO PROGRAM 'cat'",
            "SET ROLE serving",
        ):
            assert refused(connection, statement), statement
        with psycopg.connect(settings.mirror_url) as serving:
            assert refused(connection, f"SELECT pg_terminate_backend({serving.info.backend_pid})")
    url = read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"]
    for database in ("globalmart", "dagster", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url.replace(f"/{settings.mirror_database}", f"/{database}"))


def test_the_mirror_catches_up_when_postgres_is_back(
    stack: Any, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    plan = of(settings, SALES_BY_MINUTE, ANOMALIES, CUSTOMER_RFM)
    follower = Follower("test", Mirror(settings, plan))

    def sell(batch_id: int) -> None:
        for one in plan:
            append(settings, one.table, [row(one.table, batch_id, DAYS[0], batch_id)])

    sell(0)
    follower.round()
    complete_at = follower.complete_at
    assert complete_at is not None
    sell(1)
    stack.stop("postgres")
    follower.round()
    follower.round()
    assert follower.problem is not None
    assert follower.problem.startswith("PostgreSQL: ")
    assert follower.complete_at == complete_at
    assert [r.message for r in caplog.records if "waits" in r.message] == [f"the test mirror waits: {follower.problem}"]
    sell(2)  # gold goes on without PostgreSQL
    stack("postgres")
    follower.round()
    assert follower.problem is None
    assert follower.complete_at > complete_at
    assert "the test mirror goes on" in caplog.messages
    assert_equal(settings, plan, follower.mirror.refresh())
    assert follower.said()["row_count"] == 9


@pytest.mark.long  # a whole daily run; that the mirror catches up is tested above
@pytest.mark.timeout(1800)
def test_marts_land_while_postgres_is_away_and_the_mirror_catches_up(
    stack: Any, settings: Settings, jars_dir: Path
) -> None:
    made = [table for table in TABLES if table.owner == "batch" and table.layer == "gold"]
    plan = of(settings, *made)
    mirror = Mirror(settings, plan)
    assert mirror.refresh() == {}
    fill(settings, DAYS[0], 1)
    reach(settings, f"{DAYS[1]}T12:00:00+00:00")
    env = {
        **os.environ,
        **instance_env(load_settings()),  # Dagster's record is in the same PostgreSQL
        "GLOBALMART_LAKE_URI": settings.lake_uri,
        "GLOBALMART_JARS_DIR": str(jars_dir),
    }
    command = [sys.executable, "-m", "orchestration.materialize", "--day", str(DAYS[0])]
    stack.stop("postgres")
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "PostgreSQL, where Dagster keeps its record of runs, does not answer" in done.stderr
    assert [line for line in done.stdout.splitlines() if "FAILED" in line] == []
    assert {table.path for table in made} <= {line.split(":")[0] for line in done.stdout.splitlines()}
    stack("postgres")
    shown = mirror.refresh()
    assert mirror.problems == {}
    assert set(shown) == {table.path for table in made}
    for one in plan:
        assert shown[one.table.path].delta_version == open_table(settings, one.table).version()
        assert shows(settings, one) == expected(settings, one, shown[one.table.path].first_day), one.table.path
    (scores,) = of(settings, CUSTOMER_RFM)
    names = scores.names
    rows = [dict(zip(names, found, strict=True)) for found in shows(settings, scores)]
    assert {row["user_id"]: row["monetary"] for row in rows} == {"alice": PRICE, "bob": 2 * PRICE, "carol": 3 * PRICE}


def test_a_load_that_is_cut_short_leaves_what_was_shown(stack: Any, settings: Settings) -> None:
    (plan,) = of(settings, CUSTOMER_RFM)
    mirror = Mirror(settings, [plan])
    append(settings, CUSTOMER_RFM, customers(DAYS[0], 10, "first"))
    mirror.refresh()
    append(settings, CUSTOMER_RFM, customers(DAYS[1], 20, "next"))
    killed: list[int] = []

    def cut(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Target, *arguments: Any, **named: Any) -> Any:
            result = original(self, *arguments, **named)  # the rows are in the shadow table
            killed.append(stack.kill("postgres"))
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "copy", cut(Target.copy))
        with pytest.raises(Exception, match="PostgreSQL: "):
            mirror.refresh()
    stack.wait_healthy("postgres", after_pid=killed[0])
    assert len(shows(settings, plan)) == 10
    assert_equal(settings, [plan], mirror.refresh())
    with dashboard(settings) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'mirror' ORDER BY 1").fetchall()
    assert names == [("customer_rfm",), ("versions",)]


def test_what_was_dropped_is_made_anew_by_the_next_round_and_by_the_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = of(settings, INVENTORY_LEVELS, CUSTOMER_RFM)
    mirror = Mirror(settings, plan)
    for one in plan:
        append(settings, one.table, [row(one.table, number, DAYS[0]) for number in range(5)])
    mirror.refresh()
    with psycopg.connect(settings.mirror_url) as connection:
        connection.execute("DROP TABLE mirror.inventory_levels")
        connection.execute("DELETE FROM mirror.customer_rfm")  # and somebody's hand was in this one
    assert len(mirror.refresh()) == 2
    assert len(shows(settings, plan[0])) + len(shows(settings, plan[1])) == 5
    monkeypatch.setattr(command, "load_settings", lambda *_: settings)
    run = CliRunner().invoke(command.app, ["rebuild", "--table", "customer_rfm"])
    assert run.exit_code == 0, run.output
    assert "gold/customer_rfm" in run.output
    assert "5 rows" in run.output
    assert_equal(settings, plan, mirror.refresh())
    empty(settings)
    with psycopg.connect(settings.mirror_url) as connection:
        connection.execute("CREATE TABLE mirror.of_an_older_release (number integer)")
    assert CliRunner().invoke(command.app, ["rebuild", "--table", "customer_rfm"]).exit_code == 0
    run = CliRunner().invoke(command.app, ["rebuild"])
    assert run.exit_code == 0
    assert re.search(r"^of_an_older_release +dropped", run.output, re.M)  # only now: one table was asked for before
    assert_equal(settings, plan, mirror.refresh())
    told = CliRunner().invoke(command.app, ["status", "--json"])
    assert '"row_count": 5' in told.output


def test_dagsters_asset_makes_the_mirror_anew_and_drops_what_no_gold_table_is_called(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = of(settings, INVENTORY_LEVELS, CUSTOMER_RFM)
    mirror = Mirror(settings, plan)
    for one in plan:
        append(settings, one.table, [row(one.table, number, DAYS[0]) for number in range(5)])
    before = mirror.refresh()
    with psycopg.connect(settings.mirror_url) as connection:
        connection.execute("DELETE FROM mirror.customer_rfm")
        connection.execute("CREATE TABLE mirror.of_an_older_release AS SELECT 1 AS number")
        connection.execute("CREATE VIEW mirror.upon_it AS SELECT * FROM mirror.of_an_older_release")
        connection.execute(
            "INSERT INTO mirror.versions SELECT 'gold/of_an_older_release', delta_version, log_digest, first_day, row_count, "
            "committed_at, mirrored_at, loaded_at, load_seconds FROM mirror.versions LIMIT 1"
        )
    monkeypatch.setattr(asset, "load_settings", lambda *_: settings)
    done = dg.materialize([asset.mirror])
    (event,) = done.get_asset_materialization_events()
    said = {name: value.value for name, value in event.materialization.metadata.items()}
    versions = {one.table.path: before[one.table.path].delta_version for one in plan}
    assert (said["dagster/row_count"], said["version_read"]) == (10, versions)
    assert said["dropped"] == ["of_an_older_release"]
    assert_equal(settings, plan, mirror.refresh())
    with dashboard(settings) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'mirror'::regnamespace AND relkind IN ('r', 'v')"
        )
        kinds = {name for (name,) in names.fetchall()}
        paths = {path for (path,) in connection.execute("SELECT table_path FROM mirror.versions").fetchall()}
    assert kinds == {"customer_rfm", "inventory_levels", "versions"}
    assert paths == set(versions)


def test_two_that_load_the_same_table_do_not_meet(settings: Settings) -> None:
    (plan,) = of(settings, DIM_COUNTRY)
    append(settings, DIM_COUNTRY, [row(DIM_COUNTRY, 1, DAYS[0])])
    with Target(settings) as other:
        other.prepare()
        with other.transaction():
            assert other.claim(plan)
            assert Mirror(settings, [plan]).refresh() == {}
        assert set(Mirror(settings, [plan]).refresh()) == {DIM_COUNTRY.path}


def test_a_table_that_cannot_be_read_does_not_hold_up_the_others(settings: Settings, tmp_path: Path) -> None:
    plan = of(settings, DIM_COUNTRY, INVENTORY_LEVELS)
    for one in plan:
        append(settings, one.table, [row(one.table, 1, DAYS[0])])
    for file in (tmp_path / "lake" / DIM_COUNTRY.path).glob("*.parquet"):
        file.write_bytes(b"not parquet")
    mirror = Mirror(settings, plan)
    assert set(mirror.refresh()) == {INVENTORY_LEVELS.path}
    assert set(mirror.problems) == {DIM_COUNTRY.path}


def test_on_minio_the_batch_account_maintains_and_the_serving_account_mirrors(stack: Any, settings: Settings) -> None:
    stack("minio")
    # A lake within the lake, where the batch service's policy lets it write.
    place = {"lake_uri": f"{load_settings().lake_uri}/{CUSTOMER_RFM.path}/test-{uuid4().hex}"}
    batch, serving = stack.settings("batch").model_copy(update=place), settings.model_copy(update=place)
    for number in range(3):
        append(batch, DIM_COUNTRY, [row(DIM_COUNTRY, number, DAYS[0])])
    mirror = Mirror(serving, of(serving, DIM_COUNTRY))
    shown = mirror.refresh()
    assert mirror.problems == {}
    assert shown[DIM_COUNTRY.path].row_count == 3
    done, sizes = upkeep.run(batch.model_copy(update={"batch_history_days": 0}), datetime.now(UTC))
    assert [(one.files_before, one.files_after, one.deleted) for one in done] == [(3, 1, 3)]
    assert sizes["row_count"].to_pylist() == [3]
    after = mirror.refresh()[DIM_COUNTRY.path]
    assert after.delta_version > shown[DIM_COUNTRY.path].delta_version
    assert after.row_count == 3
    reader = load_settings().model_copy(update=place)
    with pytest.raises(VersionGoneError, match="maintenance deleted files of it"):
        open_at(reader, DIM_COUNTRY, version=1)
    assert open_at(reader, DIM_COUNTRY).delta.to_pyarrow_table().num_rows == 3


@pytest.mark.long  # the process as it is; what it does in each round is tested above
def test_the_refresher_goes_on_while_postgres_is_away_and_says_what_the_mirror_waits_for(
    stack: Any, settings: Settings
) -> None:
    stack("minio", "postgres", "refresher")

    def says(pattern: str) -> bool:
        return re.fullmatch(pattern, stack.status("refresher").health) is not None

    complete = r"running; live mirror \d+ s behind, [\d,]+ rows; batch mirror \d+ s behind, [\d,]+ rows"
    wait_for(lambda: says(complete), "the mirror is complete")
    stack.stop("postgres")
    wait_for(lambda: says(r"running; live mirror .* rows, waits: PostgreSQL: .*"), "the mirror waits")
    assert stack.status("refresher").healthy
    stack("postgres")
    wait_for(lambda: says(complete), "the mirror goes on")
