"""Shared fixtures: one throw-away stack and one Spark session for the whole pytest session, and settings of a lake on files."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra import envfile, supervision
from infra import stack as local_stack
from infra.ivy import jars_folder
from lakehouse.settings import Service, Settings, get_settings, load_settings

# A JVM that lives for a minute does not earn back what the optimising compiler costs; processes that tests start inherit this.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of `condition()`; fails the test when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    return pytest.fail(f"{what}: not within {seconds:.0f} s")


class Stack:
    """A local stack with its own `.env`, ports and data, in a temporary folder. `stack("kafka", "minio")` starts these."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *services: str) -> Settings:
        """Have at least `services` healthy (none named: all); returns the settings that a reader of the lake has."""
        local_stack.up(only=services, say=lambda text: print(f"  {text}"))
        return load_settings()

    def settings(self, service: Service | None = None) -> Settings:
        """The settings as the process of `service` has them, secrets included."""
        return load_settings(service)

    def status(self, name: str) -> local_stack.Status:
        return next(one for one in local_stack.status() if one.name == name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the process that supervisor started as `name`; returns its pid."""
        pid = self.status(name).pid
        assert pid, f"{name} does not run"  # to `kill`, 0 is the whole group of this process
        os.kill(pid, number)
        return pid

    def wait_healthy(self, name: str, after_pid: int = 0, seconds: float = 90) -> local_stack.Status:
        """Wait until `name` is healthy again, as another process than `after_pid`."""

        def healthy() -> local_stack.Status | None:
            one = self.status(name)
            return one if one.healthy and one.pid != after_pid else None

        return wait_for(healthy, f"{name} healthy", seconds)

    def stop(self, name: str) -> None:
        if self.status(name).pid:
            supervision.Supervisor(load_settings()).call("stopProcess", name)

    def processes(self) -> list[psutil.Process]:
        return supervision.leftovers(load_settings())


_STACK = pytest.StashKey[Stack]()


@pytest.fixture(scope="session")
def jars_dir() -> Path:
    """The Spark jars that set-up fetched."""
    folder = Path(os.environ.get("GLOBALMART_JARS_DIR") or jars_folder() / "spark")
    if not folder.is_dir():
        pytest.fail(f"No Spark jars in {folder}: run `make setup`.")
    return folder


@pytest.fixture(scope="session")
def stack_home(jars_dir: Path) -> Iterator[Path]:
    """The temporary folder of the session's stack; all settings of this process come from its `.env`, none from outside."""
    outside = {name for name in os.environ if name.startswith("GLOBALMART_") and name != "GLOBALMART_CACHE_DIR"}
    saved = {name: os.environ.pop(name) for name in outside}
    with tempfile.TemporaryDirectory(prefix="globalmart-test-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        os.environ["GLOBALMART_ENV_FILE"] = str(home / ".env")
        envfile.ensure_env(home / "state", envfile.random_ports())
        with (home / ".env").open("a") as file:  # small batches: more moments between two of them, shorter retries
            file.write("GLOBALMART_STREAM_MAX_OFFSETS=20000\n")
            file.write("GLOBALMART_REALTIME_TRIGGER_MINUTES=0.5\n")  # a product is known within a test's patience
        get_settings.cache_clear()
        try:
            yield home
        finally:
            os.environ.pop("GLOBALMART_ENV_FILE", None)
            os.environ.update(saved)
            get_settings.cache_clear()


@pytest.fixture(scope="session")
def stack(stack_home: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The session's one stack, without a service yet; taken down at the end whatever happened."""
    try:
        yield request.session.stash.setdefault(_STACK, Stack(stack_home))
    finally:
        local_stack.down(say=lambda text: print(f"  {text}"))


@pytest.fixture(scope="module", autouse=True)
def _rest(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a module started beyond the servers and the stream is stopped after it: even idle it takes cores from the next."""
    yield
    started: Stack | None = request.session.stash.get(_STACK, None)
    if started is not None:
        for one in local_stack.status():
            if one.state == "RUNNING" and one.name not in {"kafka", "minio", "postgres", "streaming"}:
                started.stop(one.name)


@pytest.fixture
def file_settings(tmp_path: Path, jars_dir: Path) -> Settings:
    """Settings of a lake on local files, in a folder of the test's own; no server is needed."""
    return Settings(
        _env_file=None,
        state_dir=tmp_path / "state",
        lake_uri=(tmp_path / "lake").as_uri(),
        jars_dir=jars_dir,
        spark_master="local[2]",
    )


@pytest.fixture(scope="session")
def spark(jars_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One local Spark session for all tests: two cores, 1.5 GiB, Delta, a lake on files."""
    from lakehouse.session import build_session

    home = tmp_path_factory.mktemp("spark")
    settings = Settings(
        _env_file=None,
        state_dir=home / "state",
        lake_uri=(home / "lake").as_uri(),
        jars_dir=jars_dir,
        spark_master="local[2]",
    )
    few_rows = {  # what pays for millions of rows is most of the time that a test with ten of them takes
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.warehouse.dir": str(home / "warehouse"),
    }
    session = build_session(settings, "tests", 1.5, few_rows)
    yield session
    session.stop()
