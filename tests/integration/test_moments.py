"""Kills of the streaming driver at named moments, placed from outside by a proxy before S3 and a look at the checkpoint, and stale writers.

The service runs as a child of the test, its S3 address the proxy's. What is lost, doubled or corrupted afterwards: nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from conftest import Stack, wait_for
from s3_proxy import Request, S3Proxy, When
from test_streaming import (
    Traffic,
    assert_balanced,
    intents,
    next_of,
    settle,
    traffic,  # noqa: F401 a fixture
    truth_folder,
    wait_drained,
    wait_fast,
)
from truth import assert_lake_is_the_truth, truth_of

from lakehouse.settings import CHECKOUT, Settings
from lakehouse.tables import BRONZE_EVENTS, LEDGER_STREAMING, SALES_BY_MINUTE, SESSIONS, TRANSACTIONS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

COMPACT_FILES = 4  # so few that a compaction comes every few batches


@dataclass(frozen=True)
class Moment:
    """A named moment. With `matches` the proxy holds the request there; without, the write-ahead entries are watched."""

    name: str
    victim: str
    matches: Callable[[Request], bool] | None = None
    when: When = "before"


def _writes_data(request: Request) -> bool:
    return request.method == "PUT" and f"/{BRONZE_EVENTS.path}/" in request.path and request.path.endswith(".parquet")


def _compacts(request: Request) -> bool:
    is_commit = request.method == "PUT" and "/_delta_log/" in request.path
    return is_commit and b'"operation":"OPTIMIZE"' in request.body


def _rewrites_snapshots(request: Request) -> bool:
    return request.commits(SESSIONS.path) and b'"remove"' in request.body


MOMENTS = (
    Moment("after the write-ahead entry", "jvm"),
    Moment("after the write-ahead entry", "python"),
    Moment("before a data file", "jvm", _writes_data),
    Moment("after a data file, before its commit", "python", _writes_data, "after"),
    Moment("before the first Delta commit", "python", lambda r: r.commits(BRONZE_EVENTS.path)),
    Moment("after the first Delta commit", "jvm", lambda r: r.commits(BRONZE_EVENTS.path), "after"),
    Moment("between two sinks of one batch", "python", lambda r: r.commits(SALES_BY_MINUTE.path)),
    Moment("between two sinks of one batch", "jvm", lambda r: r.commits(TRANSACTIONS.path), "after"),
    Moment("after all sinks, before the ledger", "python", lambda r: r.commits(LEDGER_STREAMING.path)),
    Moment("after the ledger, before the checkpoint's commit", "python", lambda r: r.commits(LEDGER_STREAMING.path), "after"),
    Moment("after the ledger, before the checkpoint's commit", "jvm", lambda r: r.commits(LEDGER_STREAMING.path), "after"),
    Moment("before the commit of a compaction", "python", _compacts),
    Moment("after the commit of a compaction", "python", _compacts, "after"),
    Moment("before the rewrite of snapshots", "jvm", _rewrites_snapshots),
    Moment("after the rewrite of snapshots", "python", _rewrites_snapshots, "after"),
)  # fmt: skip
SHORT = tuple(MOMENTS[number] for number in (3, 6, 9, 11))


class Driver:
    """The streaming service as a child of the test, under the lease that the supervisor's would have."""

    def __init__(self, stack: Stack, s3_address: str, log: Path) -> None:
        self._stack = stack
        self._environment = os.environ | {
            "GLOBALMART_SERVICE": "streaming",
            "GLOBALMART_S3_ENDPOINT": s3_address,
            "GLOBALMART_COMPACT_FILES": str(COMPACT_FILES),
            "GLOBALMART_LEASE_SECONDS": "3",
        }
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lakehouse.streams.service"],
                cwd=CHECKOUT, env=self._environment, stdout=output, stderr=output,
            )  # fmt: skip

    def halves(self) -> tuple[int, int]:
        """Process ids of Python and its JVM, once both are there."""

        def own_jvm() -> int:
            note = self._stack.settings().run_dir / "jvm" / "streaming.json"
            pid = int(json.loads(note.read_text())["pid"]) if note.exists() else 0
            assert self.process is not None
            return (
                pid if pid in {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)} else 0
            )

        assert self.process is not None
        return self.process.pid, wait_for(own_jvm, "the driver's JVM", 180)

    def kill(self, victim: str) -> None:
        """Kill one half and wait for the other to end."""
        python, jvm = self.halves()
        os.kill(jvm if victim == "jvm" else python, signal.SIGKILL)
        self.wait(60)
        wait_for(lambda: not psutil.pid_exists(jvm), "the killed driver's JVM has ended too", 60)

    def wait(self, seconds: float) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def end(self) -> None:
        """Stop it in peace."""
        if self.process is not None and self.process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                for child in (
                    *psutil.Process(self.process.pid).children(recursive=True),
                    psutil.Process(self.process.pid),
                ):
                    child.resume()
            self.process.terminate()
            try:
                self.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait(10)


@pytest.fixture(scope="module")
def settings(stack: Stack, traffic: Callable[..., Traffic]) -> Iterator[Settings]:
    """Kafka and MinIO, all taken that other tests left; the supervisor's own streaming service makes room for the test's."""
    stack("kafka", "minio", "streaming")
    traffic("--rate", "300", "--duration", "5s", "--seed", "20").finish()
    wait_drained(stack)
    stack.stop("streaming")
    yield stack.settings()
    stack("streaming")


@pytest.fixture
def proxy(settings: Settings) -> Iterator[S3Proxy]:
    with S3Proxy(settings.s3_endpoint) as opened:
        yield opened


@pytest.fixture
def driver(stack: Stack, settings: Settings, proxy: S3Proxy, tmp_path: Path) -> Iterator[Driver]:
    one = Driver(stack, proxy.address, tmp_path / "driver.log")
    yield one
    proxy.let_go()
    one.end()


def kill_at(moment: Moment, stack: Stack, driver: Driver, proxy: S3Proxy) -> None:
    """Start the driver, let it come to the moment, kill it there."""
    driver.start()
    driver.halves()
    if moment.matches is None:
        wait_fast(next_of(lambda: intents(stack)), 240)
    else:
        hold = proxy.hold(moment.matches, moment.when)
        wait_for(hold.reached.is_set, moment.name, 240)
    driver.kill(moment.victim)
    proxy.let_go()


def survive(moments: tuple[Moment, ...], stack: Stack, driver: Driver, proxy: S3Proxy, running: Traffic) -> None:
    for moment in moments:
        kill_at(moment, stack, driver, proxy)
    driver.start()
    report = running.stop()
    assert_balanced(settle(stack))
    assert_lake_is_the_truth(truth_of(truth_folder(stack, report)), stack.settings())


def test_kills_at_named_moments_lose_and_double_nothing(stack, settings, driver, proxy, traffic):
    running = traffic("--rate", "60", "--duration", "60m", "--seed", "21")
    survive(SHORT, stack, driver, proxy, running)


@pytest.mark.long
def test_forty_kills_at_named_moments_lose_and_double_nothing(stack, settings, driver, proxy, traffic):
    running = traffic("--rate", "200", "--duration", "60m", "--seed", "22")
    survive((MOMENTS * 3)[:40], stack, driver, proxy, running)


def replace_a_frozen_writer(stack: Stack, driver: Driver, proxy: S3Proxy, tmp_path: Path, table: str) -> None:
    """Freeze the owner with a commit under way, let a second take over and commit, wake the first: its commit is refused."""
    driver.start()
    python, jvm = driver.halves()
    hold = proxy.hold(lambda request: request.commits(table), "before")
    wait_for(hold.reached.is_set, "a commit under way", 240)
    for pid in (jvm, python):
        os.kill(pid, signal.SIGSTOP)
    second = Driver(stack, stack.settings().s3_endpoint, tmp_path / "second.log")
    note = stack.settings().run_dir / "jvm" / "streaming.json"
    note.unlink()  # on another machine the second would not know of the first's JVM either
    try:
        second.start()
        before = intents(stack)
        wait_for(lambda: intents(stack) > before + 1, "the second has committed", 240)
        hold.release()  # the commit that was under way reaches S3 only now
        for pid in (python, jvm):
            os.kill(pid, signal.SIGCONT)
        assert driver.wait(120) != 0
        log = (tmp_path / "driver.log").read_text()  # refused, or given up as the answer came too late for it
        assert any(words in log for words in ("has been replaced", "the lease was lost", "operation timed out"))
    finally:
        proxy.let_go()
        driver.end()
        second.end()


@pytest.mark.long
def test_a_frozen_writer_that_wakes_after_it_was_replaced_writes_nothing(
    stack,
    settings,
    driver,
    proxy,
    traffic,
    tmp_path,
):
    running = traffic("--rate", "60", "--duration", "60m", "--seed", "23")
    replace_a_frozen_writer(stack, driver, proxy, tmp_path, BRONZE_EVENTS.path)
    report = running.stop()
    driver.start()
    assert_balanced(settle(stack))
    assert_lake_is_the_truth(truth_of(truth_folder(stack, report)), stack.settings())


@pytest.mark.long
@pytest.mark.timeout(5400)  # the traffic alone lasts an hour where the rounds are slow
def test_twenty_frozen_writers_write_nothing(stack, settings, driver, proxy, traffic, tmp_path):
    running = traffic("--rate", "100", "--duration", "60m", "--seed", "24")
    for number in range(20):
        table = (BRONZE_EVENTS, TRANSACTIONS, LEDGER_STREAMING, SALES_BY_MINUTE)[number % 4]
        replace_a_frozen_writer(stack, driver, proxy, tmp_path, table.path)
    report = running.stop()
    driver.start()
    assert_balanced(settle(stack))
    assert_lake_is_the_truth(truth_of(truth_folder(stack, report)), stack.settings())
