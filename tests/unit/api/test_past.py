"""The past: days that the serving files no longer have, versions long superseded, and a lake that is away while it is asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import past
from api.app import create_app
from api.refresher import Refresher
from lakehouse import tables as t
from lakehouse.settings import Settings
from lakehouse.travel import Log

from .conftest import HEADERS, Lake, customer, wait_for
from .gold import level

DAYS = [date(2026, 3, 10) + timedelta(days=number) for number in range(5)]


@pytest.fixture
def months(client: TestClient, lake: Lake, refresher: Refresher) -> TestClient:
    """Five days of customer_rfm, of which the files have two."""
    for number, day in enumerate(DAYS):
        lake.write(t.CUSTOMER_RFM, [customer(day, f"u{n}", n, 1, f"{number}.0{n}", "lost") for n in range(3)])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    return client


def test_a_day_that_is_not_served_is_read_from_the_lake_page_by_page(months: TestClient) -> None:
    found: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        path = "/v1/customers?as_of_date=2026-03-10&fields=user_id&fields=monetary&limit=2&sort=-monetary"
        body = months.get(path + (f"&cursor={cursor}" if cursor else "")).json()
        found += body["data"]
        cursor = body["next_cursor"]
    assert found == [{"user_id": f"u{n}", "monetary": n / 100} for n in (2, 1, 0)]
    newest = months.get("/v1/customers?fields=as_of_date&limit=1").json()["data"]
    assert newest == [{"as_of_date": "2026-03-14"}]


def test_segments_and_one_customer_of_such_a_day_are_read_from_the_lake_too(months: TestClient) -> None:
    first = months.get("/v1/rfm/segments?as_of_date=2026-03-10").json()
    assert [(one["as_of_date"], one["segment"], one["customer_count"]) for one in first["data"]] == [
        ("2026-03-10", "lost", 3)
    ]
    one = months.get("/v1/customers/u2/rfm?as_of_date=2026-03-10").json()
    assert (one["as_of_date"], one["monetary"]) == ("2026-03-10", 0.02)
    unknown = months.get("/v1/customers/u9/rfm?as_of_date=2026-03-10")
    assert (unknown.status_code, "no purchase" in unknown.json()["detail"]) == (404, True)


def test_a_day_that_never_was_names_the_newest(months: TestClient) -> None:
    response = months.get("/v1/customers?as_of_date=2026-03-15")
    assert response.status_code == 404
    assert (
        response.json()["detail"] == "The table gold/customer_rfm has nothing for 2026-03-15; the newest is 2026-03-14."
    )


def test_a_lake_that_is_away_is_said_and_the_present_is_answered(
    months: TestClient, settings: Settings, tmp_path: Any
) -> None:
    (tmp_path / "lake/gold/customer_rfm/_delta_log").rename(tmp_path / "log")
    away = months.get("/v1/customers?as_of_date=2026-03-10")
    assert away.status_code in (404, 503)
    assert months.get("/v1/customers").status_code == 200
    with TestClient(create_app(settings), headers=HEADERS) as again:
        assert len(again.get("/v1/customers").json()["data"]) == 3


def test_readers_of_the_lake_do_not_pile_up(months: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "_TURN_SECONDS", 0.05)
    for _ in range(4):
        assert past._READERS.acquire(blocking=False)
    try:
        refused = months.get("/v1/customers?as_of=2026-03-14T00:00:00Z")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:globalmart:problem:source-away")
        assert refused.headers["retry-after"]
        assert months.get("/v1/customers").status_code == 200
    finally:
        for _ in range(4):
            past._READERS.release()


def test_what_was_known_then_is_said_with_the_time_of_that_version(
    client: TestClient, lake: Lake, refresher: Refresher, settings: Settings
) -> None:
    lake.write(t.INVENTORY_LEVELS, [level("p0", 1, "ok", 1)])
    then = Log(settings, t.INVENTORY_LEVELS).committed_at(0)
    assert then is not None
    wait_for(lambda: datetime.now(UTC) > then + timedelta(milliseconds=5))
    lake.write(t.INVENTORY_LEVELS, [level("p0", 2, "ok", 2)])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    past_answer = client.get("/v1/inventory", params={"as_of": (then + timedelta(milliseconds=1)).isoformat()})
    body = past_answer.json()
    assert (body["table_version"], body["data"][0]["level"]) == (0, 1)
    assert datetime.fromisoformat(body["known_at"]) == then
    assert datetime.fromisoformat(past_answer.headers["x-known-at"]) == then


def test_a_cursor_of_the_past_stays_there_while_the_present_moves_on(
    client: TestClient, lake: Lake, refresher: Refresher
) -> None:
    lake.write(t.INVENTORY_LEVELS, [level(f"p{n}", n, "ok", 1) for n in range(4)])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    path = "/v1/inventory?as_of=2100-01-01T00:00:00Z&fields=product_id&fields=level&limit=2"
    first = client.get(path).json()
    lake.write(t.INVENTORY_LEVELS, [level(f"p{n}", 100 - n, "ok", 2) for n in range(4)])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    second = client.get(f"{path}&cursor={first['next_cursor']}").json()
    assert first["data"] + second["data"] == [{"product_id": f"p{n}", "level": n} for n in range(4)]
