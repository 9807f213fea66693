"""The audit log: one line an event, a file a day, old files go, and who reads a person's data is in it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi.testclient import TestClient

from api.audit import Audit, lines
from lakehouse.settings import Settings


def test_lines_are_appended_a_file_a_day_and_old_files_removed(settings: Settings) -> None:
    moments = [datetime(2026, 3, 14, 23, 59, tzinfo=UTC), datetime(2026, 3, 15, 0, 1, tzinfo=UTC)]
    clock = iter([*moments, datetime(2026, 4, 20, tzinfo=UTC)])
    audit = Audit(settings.model_copy(update={"audit_days": 36}), lambda: next(clock))
    audit.write("change", key_id="a")
    audit.write("change", key_id="b")
    names = [path.name for path in sorted(settings.audit_dir.iterdir())]
    assert names == ["api-2026-03-14.jsonl", "api-2026-03-15.jsonl"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in settings.audit_dir.iterdir()} == {0o600}
    found = lines(settings, 2, moments[1])
    assert found == [
        {"at": "2026-03-14T23:59:00Z", "what": "change", "key_id": "a"},
        {"at": "2026-03-15T00:01:00Z", "what": "change", "key_id": "b"},
    ]
    assert lines(settings, 1, moments[1]) == found[1:]
    audit.write("change", key_id="c")
    assert [path.name for path in sorted(settings.audit_dir.iterdir())] == [
        "api-2026-03-15.jsonl",
        "api-2026-04-20.jsonl",
    ]


def test_two_writers_do_not_disturb_each_other(settings: Settings) -> None:
    one, other = Audit(settings), Audit(settings)
    for number in range(50):
        one.write("change", number=number)
        other.write("change", number=number)
    found = lines(settings, 2, datetime.now(UTC))
    assert [line["number"] for line in found] == [number for number in range(50) for _ in range(2)]


def test_a_change_is_noted_with_key_route_and_time_before_it_is_made(filled: TestClient, settings: Settings) -> None:
    before = datetime.now(UTC)
    response = filled.post("/v1/sales?why=test", headers={"User-Agent": "x"})
    assert response.status_code == 405  # tried, so noted
    (line,) = _log(settings)
    assert before <= datetime.fromisoformat(line.pop("at")) <= datetime.now(UTC)
    assert line == {
        "what": "change",
        "key_id": "setup",
        "key_name": "set-up",
        "method": "POST",
        "path": "/v1/sales",
        "query": "why=test",
        "client": "testclient",
    }


def test_reading_figures_is_not_noted(filled: TestClient, settings: Settings) -> None:
    assert filled.get("/v1/sales").status_code == 200
    assert not settings.audit_dir.exists()


def test_a_log_that_cannot_be_written_stops_the_change(filled: TestClient, settings: Settings) -> None:
    settings.audit_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.audit_dir.write_text("in the way")
    response = filled.post("/v1/sales")
    assert response.status_code == 500
    assert response.json()["type"] == "urn:globalmart:problem:internal"
    assert filled.get("/v1/sales").status_code == 200


def _log(settings: Settings) -> list[dict[str, Any]]:
    return [orjson.loads(line) for path in settings.audit_dir.iterdir() for line in path.read_bytes().splitlines()]
