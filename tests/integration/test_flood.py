"""A thousand requests a second with one key: they are turned away, the requests of others are answered as before."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import flood
import pytest
from conftest import Stack, wait_for
from unit.api.conftest import Lake

from api.access import Access, Role
from api.keys.database import connect
from api.keys.store import Store
from api.refresher import Refresher
from lakehouse.settings import CHECKOUT, load_settings

pytestmark = [pytest.mark.integration, pytest.mark.long]

PATH = "/v1/sales"
CALM_RATE, FLOOD_RATE, SECONDS = 20, 1000, 8


@pytest.fixture
def port(stack: Stack, tmp_path: Path) -> Iterator[int]:
    """A server with the settings that it has by default."""
    stack("postgres")
    settings = load_settings("api").model_copy(
        update={"state_dir": tmp_path / "state", "lake_uri": (tmp_path / "lake").as_uri()}
    )
    Lake(settings).fill()
    Refresher(settings).refresh()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = {
        **os.environ,
        "GLOBALMART_STATE_DIR": str(settings.state_dir),
        "GLOBALMART_LAKE_URI": settings.lake_uri,
        "GLOBALMART_API_KEY_SHA256": settings.api_key_sha256,
        "GLOBALMART_POSTGRES_URL": settings.postgres_url.get_secret_value(),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port)]
    server = subprocess.Popen([*command, "--log-level", "warning"], cwd=CHECKOUT, env=environment)

    def alive() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(alive, "the API", 60)
        yield port
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def key(stack: Stack) -> Callable[[], str]:
    def issued() -> str:
        engine = connect(load_settings("operator"))
        assert engine is not None
        _, text = Store(engine).issue(Access("", "flood", Role.viewer), "tests", datetime.now(UTC), None)
        engine.dispose()
        return text

    return issued


def _client(port: int, key: str, rate: float) -> subprocess.Popen[str]:
    command = [sys.executable, flood.__file__, str(port), PATH, key, str(rate), str(SECONDS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _p95(found: list[list[float]], status: int) -> float:
    return statistics.quantiles([seconds for code, seconds in found if code == status], n=20)[-1]


def test_a_flood_of_one_key_is_turned_away_and_others_keep_their_speed(port: int, key: Callable[[], str]) -> None:
    calm, loud = key(), key()
    alone = json.loads(_client(port, calm, CALM_RATE).communicate()[0])
    flooding = _client(port, loud, FLOOD_RATE)
    beside = json.loads(_client(port, calm, CALM_RATE).communicate()[0])
    flooded = json.loads(flooding.communicate()[0])
    counts, others = Counter(code for code, _ in flooded), Counter(code for code, _ in beside)
    told = {
        "sent a second": len(flooded) / SECONDS,
        "flood": counts,
        "others": others,
        "p95 alone (ms)": 1000 * _p95(alone, 200),
        "p95 beside the flood (ms)": 1000 * _p95(beside, 200),
        "p95 of the flood's admitted (ms)": 1000 * _p95(flooded, 200),
    }
    print(told)
    assert {code for code, _ in alone} == {200}
    assert set(counts) <= {200, 429, 503}, told
    assert counts[429] + counts[503] > counts[200], told
    assert counts[200] <= 1.5 * 300 * (SECONDS + 1), told
    assert set(others) <= {200, 503}, told
    assert others[200] > 0.8 * len(beside), told
    assert _p95(beside, 200) < max(1.0, 5 * _p95(alone, 200)), told
