"""`globalmart bench api`: what it asks of the API and of DuckDB is the same, and what waits behind a slow answer is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.manifest import read_manifest
from api.serving import Generation, Watchdog
from infra.bench.api import MIX
from infra.bench.load import milliseconds, steady

from .conftest import settings_in


@pytest.mark.parametrize(("path", "sql"), MIX, ids=[path for path, _ in MIX])
def test_the_statement_beside_a_route_has_as_many_rows(api: TestClient, template: Path, path: str, sql: str) -> None:
    settings = settings_in(template)
    manifest = read_manifest(settings.serving_dir)
    assert manifest is not None
    response = api.get(path)
    assert response.status_code == 200, response.text
    rows = Generation(settings.serving_dir, manifest, 1.0, Watchdog()).query(sql)
    assert len(response.json()["data"]) == len(rows)


def test_what_waits_behind_a_slow_answer_is_slow_too() -> None:
    lock = threading.Lock()
    pause = threading.Event()

    def make() -> Callable[[int], bool]:
        def ask(kind: int) -> bool:
            with lock:  # one at a time, and 20 ms each: at 100 a second every further request waits 10 ms longer
                pause.wait(0.02)
            return kind == 0

        return ask

    times, failed = steady(make, 2, 100, 0.5)
    assert (len(times[0]), len(times[1]), failed) == (25, 25, 25)
    found = milliseconds([*times[0], *times[1]])
    assert found["p50"] > 100
    assert found["max"] > 400
    assert found["p50"] <= found["p95"] <= found["p99"] <= found["max"]
