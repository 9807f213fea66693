"""One judgement of a service: state, cause and next step, the same for `globalmart status` and `/ready`."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.readiness import _refresher, _streaming
from infra.servers.base import heartbeat_health
from infra.services import SERVICES
from lakehouse.health import NEXT_STEPS, START, by_heartbeat
from lakehouse.heartbeat import beat
from lakehouse.settings import Settings


def _dated(details: dict[str, Any]) -> dict[str, Any]:
    """`details` with times in place of how many seconds ago they are."""
    now = datetime.now(UTC)
    return {
        name: (now - timedelta(seconds=value)).isoformat() if name.endswith("_at") else value
        for name, value in details.items()
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path)


def test_every_service_has_a_next_step() -> None:
    assert set(NEXT_STEPS) == {service.name for service in SERVICES}


def test_a_service_that_never_ran_is_to_be_started(settings: Settings) -> None:
    assert by_heartbeat(settings, "desk").next_step == START


@pytest.mark.parametrize(
    ("state", "details", "expected"),
    [
        ("running", {"lag_records": 0, "batch_id": 7}, "ok"),
        ("running", {"lag_records": 9, "committed_at": 300}, "waiting"),
        # It was started a moment ago: what the ledger's last commit is old by is no fault of its.
        ("running", {"lag_records": 9, "committed_at": 300, "started_at": 5}, "ok"),
        ("waiting", {"reason": "no broker answers"}, "waiting"),
        ("starting", {}, "waiting"),
        ("failed", {"reason": "a bug"}, "down"),
    ],
)
def test_status_and_ready_agree_about_the_stream(
    settings: Settings, state: str, details: dict[str, Any], expected: str
) -> None:
    beat(settings, "streaming", state, **_dated(details))
    verdict = by_heartbeat(settings, "streaming")
    ready = _streaming(settings, datetime.now(UTC))
    status = heartbeat_health(settings, "streaming", os.getpid())
    assert (verdict.state, ready.state, status.ok) == (expected, expected, expected == "ok")
    assert str(details.get("reason", "")) in ready.detail
    assert status.words == verdict.words
    assert (ready.next_step or "") == status.next_step
    assert bool(status.next_step) == (expected != "ok")


@pytest.mark.parametrize(
    ("state", "details", "expected"),
    [
        ("running", {"checked_at": 1}, "ok"),
        ("running", {"checked_at": 300}, "waiting"),
        ("starting", {}, "waiting"),
        ("waiting", {"reason": "gold/x cannot be read"}, "waiting"),
    ],
)
def test_status_and_ready_agree_about_the_refresher(
    settings: Settings, state: str, details: dict[str, Any], expected: str
) -> None:
    beat(settings, "refresher", state, **_dated(details))
    ready = _refresher(settings, datetime.now(UTC))
    status = heartbeat_health(settings, "refresher", os.getpid())
    assert (ready.state, status.ok) == (expected, expected == "ok")
    assert (ready.next_step or "") == status.next_step


def test_a_heartbeat_of_another_process_is_none_of_this_one(settings: Settings) -> None:
    beat(settings, "desk", "running")
    assert not heartbeat_health(settings, "desk", 4_194_303).ok
