"""`globalmart simulate` as people run it: a day with incidents on its own stack, and one that is cut short; nothing is left but the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import wait_for

from lakehouse.settings import CHECKOUT

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(2400)]

INCIDENTS = ("bad-release@6h+6h", "broker-loss@14h+6h")


def command(out: Path, *more: str) -> list[str]:
    asked = [word for one in INCIDENTS for word in ("--incident", one)]
    day = ["simulate", "--days", "1", "--speed", "1440", "--scale", "0.005", "--out", str(out), "--json"]
    return [sys.executable, "-m", "infra.cli", *day, *asked, *more]


def of_stacks(folder: Path) -> list[psutil.Process]:
    """Processes of a stack whose data lies below `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("GLOBALMART_STACK", "").startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where temporary files of the command go; a short path, because sockets of the stack lie below it."""
    with tempfile.TemporaryDirectory(prefix="globalmart-simulate-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def started(folder: Path, out: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    """The command under way; ended, and waited for, whatever happens."""
    env = {**os.environ, "TMPDIR": str(folder)}
    with log.open("w") as errors:
        running = subprocess.Popen(
            command(out), cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                running.terminate()
                running.communicate()


def test_a_day_with_a_bad_release_and_a_lost_broker_ends_with_balanced_books(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "day.html"
    log = tmp_path / "errors"
    with started(folder, out, log) as running:
        text, _ = running.communicate()
    assert running.returncode == 0, log.read_text()
    body: dict[str, Any] = json.loads(text)
    assert body["problems"] == []
    assert body["books"]["balanced"]
    assert len(body["hours"]) == 24
    broken = sum(count for fault, count in body["injected"].items() if fault.startswith("bad_release"))
    hours = [one["quarantined_count"] for one in body["hours"]]
    assert broken > 100
    assert sum(hours[6:14]) > 0.9 * broken  # and what the stream takes a little later
    assert {one["kind"]: bool(one["alarm"]) for one in body["incidents"]} == {"bad-release": True, "broker-loss": True}
    (run,) = body["runs"]
    assert run["status"] == "SUCCESS"
    assert "gold/fact_sales" in {one["table"] for one in run["tables"]}
    assert sum(one["event_count"] for one in body["hours"]) > 5_000
    html = out.read_text()
    assert html.count("<svg") == 8
    assert "The books balance" in html
    assert of_stacks(folder) == []
    assert not list(folder.glob("globalmart-*"))


def test_one_that_is_told_to_stop_writes_what_happened_until_then(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "day.html"
    log = tmp_path / "errors"
    with started(folder, out, log) as running:
        wait_for(lambda: "simulated: bad-release" in log.read_text() or running.poll() is not None, "the day", 900)
        running.send_signal(signal.SIGTERM)
        text, _ = running.communicate()
    assert running.returncode == 130, log.read_text()
    body: dict[str, Any] = json.loads(text)
    assert body["is_interrupted"]
    assert body["books"]["balanced"]
    assert 6 <= len(body["hours"]) < 24
    assert "Interrupted at" in out.read_text()
    assert of_stacks(folder) == []
    assert not list(folder.glob("globalmart-*"))
