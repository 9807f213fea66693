"""GET /health and GET /ready: each dependency in each state, and what becomes of the whole."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.refresher import Refresher
from lakehouse.heartbeat import beat
from lakehouse.settings import Settings

from .conftest import Lake


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ready(settings: Settings) -> tuple[int, dict[str, Any]]:
    """Status and report, asked for without a key; dependencies by name."""
    with TestClient(create_app(settings)) as client:
        response = client.get("/ready")
    body = response.json()
    body["dependencies"] = {one["name"]: one for one in body["dependencies"]}
    return response.status_code, body


@pytest.fixture
def well(settings: Settings, lake: Lake, refresher: Refresher, listener: int) -> Settings:
    """Settings under which everything is well."""
    lake.fill_all()
    refresher.refresh()
    beat(settings, "refresher", "running", checked_at=datetime.now(UTC).isoformat())
    beat(settings, "streaming", "running", lag_records=0, batch_id=7, committed_at=_ago(600))
    return settings.model_copy(
        update={"kafka_bootstrap_servers": f"127.0.0.1:{free_port()},127.0.0.1:{listener}", "postgres_port": listener}
    )


def test_health_needs_nothing_but_the_process(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_ready_when_all_is_well(well: Settings) -> None:
    status, body = ready(well)
    assert (status, body["status"]) == (200, "ready")
    assert {name: one["state"] for name, one in body["dependencies"].items()} == dict.fromkeys(
        ["serving", "refresher", "streaming", "kafka", "storage", "postgres"], "ok"
    )
    assert body["dependencies"]["streaming"]["lag_seconds"] == 0
    assert body["dependencies"]["streaming"]["detail"] == "running; lag records 0; batch id 7"
    assert body["dependencies"]["serving"]["lag_seconds"] < 60
    assert all(one["next_step"] is None for one in body["dependencies"].values())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"kafka_bootstrap_servers": "127.0.0.1:1"}, "kafka"),
        ({"kafka_bootstrap_servers": "nonsense"}, "kafka"),
        ({"postgres_port": 1}, "postgres"),
        ({"lake_uri": "s3a://lakehouse", "s3_endpoint": "http://127.0.0.1:1"}, "storage"),
        ({"lake_uri": "s3a://lakehouse", "s3_endpoint": "file:///etc"}, "storage"),
    ],
)
def test_a_server_that_is_away_degrades(well: Settings, change: dict[str, Any], name: str) -> None:
    status, body = ready(well.model_copy(update=change))
    assert (status, body["status"]) == (200, "degraded")
    assert [one["name"] for one in body["dependencies"].values() if one["state"] != "ok"] == [name]
    assert body["dependencies"][name]["state"] == "down"
    assert body["dependencies"][name]["next_step"]


def test_nothing_published_is_not_ready(settings: Settings) -> None:
    status, body = ready(settings)
    assert (status, body["status"]) == (503, "not_ready")
    assert (
        body["dependencies"]["serving"]["detail"]
        == "There is no serving file yet: the refresher has not published one."
    )
    assert body["dependencies"]["refresher"]["detail"] == "it has never run"


def test_missing_tables_degrade_and_are_named(well: Settings, tmp_path: Any) -> None:
    (tmp_path / "lake/gold/customer_rfm").rename(tmp_path / "away")
    Refresher(well).refresh()
    status, body = ready(well)
    assert (status, body["status"]) == (200, "degraded")
    assert body["dependencies"]["serving"]["detail"].endswith("not materialised yet: gold/customer_rfm")


@pytest.mark.parametrize(
    ("state", "details", "expected", "status"),
    [
        ("waiting", {"reason": "gold/x cannot be read."}, "waiting", "degraded"),
        ("starting", {}, "waiting", "degraded"),
        ("failed", {"reason": "a bug"}, "down", "not_ready"),
        ("running", {"checked_at": (datetime.now(UTC) - timedelta(minutes=5)).isoformat()}, "waiting", "degraded"),
    ],
)
def test_the_refresher_in_trouble(
    well: Settings, state: str, details: dict[str, Any], expected: str, status: str
) -> None:
    beat(well, "refresher", state, **details)
    _, body = ready(well)
    assert (body["dependencies"]["refresher"]["state"], body["status"]) == (expected, status)
    assert details.get("reason", "") in body["dependencies"]["refresher"]["detail"]


@pytest.mark.parametrize(("service", "status"), [("refresher", "not_ready"), ("streaming", "degraded")])
def test_a_stale_heartbeat_is_down(well: Settings, service: str, status: str) -> None:
    path = well.run_dir / f"{service}.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "updated_at": (datetime.now(UTC) - timedelta(minutes=2)).isoformat()}))
    code, report = ready(well)
    assert (report["dependencies"][service]["state"], report["status"]) == ("down", status)
    assert code == (503 if status == "not_ready" else 200)
    assert 119 < report["dependencies"][service]["lag_seconds"] < 200


@pytest.mark.parametrize(("state", "expected"), [("waiting", "waiting"), ("starting", "waiting"), ("failed", "down")])
def test_the_streaming_service_in_trouble_degrades(well: Settings, state: str, expected: str) -> None:
    beat(well, "streaming", state, reason="no broker answers")
    status, body = ready(well)
    assert (status, body["status"]) == (200, "degraded")
    assert body["dependencies"]["streaming"]["state"] == expected
    assert "no broker answers" in body["dependencies"]["streaming"]["detail"]


def test_ready_tells_no_secret(well: Settings, listener: int) -> None:
    secret = well.model_copy(
        update={
            "postgres_url": type(well.postgres_url)(f"postgresql://shop:hush@127.0.0.1:{listener}/shop"),
            "s3_secret_key": type(well.s3_secret_key)("hush"),
        }
    )
    with TestClient(create_app(secret)) as client:
        text = client.get("/ready").text
    assert "hush" not in text
    assert secret.api_key_sha256 not in text


@pytest.mark.parametrize(
    ("records", "age", "state", "lag"),
    [
        (500, 2, "ok", range(2, 50)),
        (500, 300, "waiting", range(300, 400)),
        (None, 2, "ok", [None]),
        (3, None, "ok", [None]),
    ],
)
def test_the_lag_of_the_streaming_service_is_the_age_of_its_last_commit_while_records_wait(
    well: Settings, records: int | None, age: int | None, state: str, lag: Any
) -> None:
    beat(well, "streaming", "running", lag_records=records, committed_at=_ago(age) if age else None)
    _, body = ready(well)
    found = body["dependencies"]["streaming"]
    assert found["state"] == state
    assert (found["lag_seconds"] if found["lag_seconds"] is None else int(found["lag_seconds"])) in lag
