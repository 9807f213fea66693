"""The reading side: swaps under load, the locked instance, the time limit, damaged and vanished files."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from api.errors import QueryLimitError, ServingFileError
from api.manifest import Manifest, write_manifest
from api.refresher import Refresher
from api.serving import Generation, Serving, Watchdog
from lakehouse.settings import Settings
from lakehouse.tables import SALES_BY_MINUTE

from .conftest import DAY, Lake, sale, wait_for

SWAPS = 500


def test_no_request_fails_while_the_files_are_swapped_500_times(
    client: TestClient, settings: Settings, lake: Lake, refresher: Refresher
) -> None:
    """Each answer must hold the sums of one published set, never a mixture and never fewer than the answer before."""
    refresher.fold_rows = 40  # so that base files are swapped as well
    lake.write(SALES_BY_MINUTE, [sale(DAY, "US", "Coffee", 1, 1, "0.01", 0)])
    refresher.refresh()
    serving: Serving = client.app.state.serving  # type: ignore[attr-defined]
    serving.look()
    done = threading.Event()
    faults: list[str] = []
    answers = [0, 0]

    def ask(number: int) -> None:
        seen = 0
        while not done.is_set():
            response = client.get("/v1/sales?interval=day&group_by=none")
            if response.status_code != 200:
                faults.append(response.text)
                return
            row = response.json()["data"][0]
            if row["unit_count"] < seen or Decimal(str(row["revenue"])) != Decimal(row["unit_count"]) / 100:
                faults.append(f"{row} after {seen}")
                return
            seen = row["unit_count"]
            answers[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, SWAPS + 1):
        # Every tenth swap is to new files with one more sale, the others to the same files opened anew.
        if number % 10 == 0:
            lake.write(SALES_BY_MINUTE, [sale(DAY + timedelta(minutes=number), "US", "Coffee", 1, 1, "0.01", number)])
            assert refresher.refresh()
        else:
            write_manifest(settings.serving_dir, refresher.manifest)
        serving.look()
        assert not faults
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert min(answers) > 50
    assert client.get("/v1/sales?interval=day&group_by=none").json()["data"][0]["unit_count"] == 1 + SWAPS // 10


@pytest.fixture
def generation(settings: Settings, lake: Lake, refresher: Refresher) -> Generation:
    lake.fill()
    refresher.refresh()
    return Generation(settings.serving_dir, refresher.manifest, 1.0, Watchdog())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY sales_by_minute TO 'out.csv'",
        "ATTACH 'other.duckdb'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "DELETE FROM live.sales_by_minute",
        "CREATE TABLE live.more (i INTEGER)",
        "DROP TABLE base_sales_by_minute.sales_by_minute",
    ],
)
def test_the_instance_is_read_only_and_locked(generation: Generation, sql: str) -> None:
    with pytest.raises((duckdb.Error, ServingFileError)):
        generation.query(sql)
    assert generation.query("SELECT count(*) FROM sales_by_minute") == [(5,)]


def test_a_statement_that_runs_too_long_is_stopped_and_others_go_on(
    settings: Settings, lake: Lake, refresher: Refresher
) -> None:
    lake.fill()
    refresher.refresh()
    serving = Serving(settings)
    serving.start()
    try:
        started = time.monotonic()
        with pytest.raises(QueryLimitError, match=r"longer than 0\.3 seconds"):
            serving.current().query(
                "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", seconds=0.3
            )
        assert time.monotonic() - started < 5
        assert serving.current().query("SELECT count(*) FROM sales_by_minute") == [(5,)]
    finally:
        serving.stop()


def test_a_statement_that_needs_too_much_memory_is_stopped(settings: Settings, refresher: Refresher) -> None:
    refresher.refresh()
    small = Generation(settings.serving_dir, refresher.manifest, 0.1, Watchdog())
    with pytest.raises(QueryLimitError, match="more memory"):
        small.query("SELECT list(range) FROM range(100000000)")


def test_a_set_whose_files_are_damaged_leaves_the_one_before_in_use(
    settings: Settings, lake: Lake, refresher: Refresher
) -> None:
    lake.fill()
    refresher.refresh()
    serving = Serving(settings)
    serving.look()
    (settings.serving_dir / "live-99.duckdb").write_bytes(b"no database")
    write_manifest(settings.serving_dir, Manifest(99, "live-99.duckdb", {}, refresher.manifest.cursor_key))
    serving.look()
    assert serving.current().manifest.sequence == 1
    assert serving.problem is not None
    assert "set 99" in serving.problem
    write_manifest(settings.serving_dir, refresher.manifest)
    serving.look()
    assert serving.problem is None


def test_a_generation_outlives_the_removal_of_its_files(generation: Generation, settings: Settings) -> None:
    for path in settings.serving_dir.glob("*.duckdb"):
        path.unlink()
    assert generation.query("SELECT count(*), sum(revenue)::VARCHAR FROM sales_by_minute") == [(5, "225.09")]


def test_before_the_first_set_there_is_nothing_to_serve(settings: Settings) -> None:
    with pytest.raises(ServingFileError, match="no serving file yet"):
        Serving(settings).current()


def test_the_pointer_is_followed_without_being_asked(
    settings: Settings, lake: Lake, refresher: Refresher, tmp_path: Path
) -> None:
    serving = Serving(settings)
    serving.start()
    try:
        lake.fill()
        refresher.refresh()
        wait_for(lambda: serving._generation is not None)
        assert set(serving.current().metas) == {"sales_by_minute", "orders_by_minute", "customer_rfm"}
    finally:
        serving.stop()
