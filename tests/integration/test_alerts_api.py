"""Alerts over REST on the real PostgreSQL: list, filters, pages, countries, masks, and what an operator does to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Stack
from fastapi.testclient import TestClient

from api import deps
from api.access import Access, Role
from api.app import create_app
from api.desk.core import Desk
from api.desk.database import connect, migrate
from api.desk.rules import load_rules
from lakehouse.findings import Finding, finding_id
from lakehouse.settings import CHECKOUT, load_settings

pytestmark = pytest.mark.integration
AT = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def finding(number: int, country: str | None) -> Finding:
    user = f"u{number}"
    return Finding(
        finding_id("rest", user), "rest_test", "critical" if number % 2 else "warning", f"rest:{user}", f"{user} buys much",
        f"{user} spent {number} USD", AT + timedelta(minutes=number), AT, user_id=user, country=country, evidence={"who": user},
    )  # fmt: skip


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[TestClient]:
    stack("postgres")
    settings = load_settings("desk")
    engine = connect(settings)
    migrate(engine)
    desk = Desk(engine, load_rules(CHECKOUT / settings.alert_rules), frozenset())
    for number, country in enumerate(("US", "DE", "DE", None)):
        desk.tell([finding(number, country)], AT + timedelta(minutes=number))
    engine.dispose()
    app = create_app(load_settings("api"))
    headers = {"X-API-Key": load_settings().api_key.get_secret_value()}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as test_client:
        yield test_client


def listed(client: TestClient, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"/v1/alerts?kind=rest_test{query}")
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


def test_alerts_are_listed_latest_first_and_filtered(client: TestClient) -> None:
    assert [row["user_id"] for row in listed(client)] == ["u3", "u2", "u1", "u0"]
    assert [row["user_id"] for row in listed(client, "&severity=warning")] == ["u2", "u0"]
    assert [row["user_id"] for row in listed(client, "&country=DE")] == ["u2", "u1"]
    (first,) = listed(client, "&country=US")
    assert (first["title"], first["state"], first["count"], first["evidence"]) == (
        "u0 buys much", "open", 1, {"who": "u0"},
    )  # fmt: skip


def test_pages_add_up(client: TestClient) -> None:
    found, cursor = [], ""
    while cursor is not None:
        body = client.get("/v1/alerts?kind=rest_test&limit=1" + (f"&cursor={cursor}" if cursor else "")).json()
        found += body["data"]
        cursor = body["next_cursor"]
    assert found == listed(client)
    page = client.get("/v1/alerts?kind=rest_test&limit=1").json()
    assert client.get(f"/v1/alerts?kind=other&limit=1&cursor={page['next_cursor']}").status_code == 400


def test_a_key_for_one_country_without_the_grant(client: TestClient) -> None:
    access = Access("k", "k", Role.operator, frozenset({"DE"}))
    overrides = client.app.dependency_overrides  # type: ignore[attr-defined]
    (foreign,) = listed(client, "&country=US")
    overrides[deps._access] = lambda: access
    try:
        rows = listed(client)
        assert [row["country"] for row in rows] == ["DE", "DE"]
        shown = rows[0]["user_id"]
        assert shown.startswith("p_")
        assert rows[0]["title"] == f"{shown} buys much"
        assert rows[0]["evidence"] == {"who": shown}
        assert client.get(f"/v1/alerts/{foreign['alert_id']}").status_code == 404
        assert client.post(f"/v1/alerts/{foreign['alert_id']}/acknowledge", json={}).status_code == 404
    finally:
        overrides.clear()


def test_an_operator_acknowledges_snoozes_and_resolves(client: TestClient) -> None:
    alert_id = listed(client)[0]["alert_id"]
    path = f"/v1/alerts/{alert_id}"
    taken = client.post(f"{path}/acknowledge", json={"note": "mine"}).json()
    assert (taken["state"], taken["changed_by"]) == ("acknowledged", "set-up")
    quiet = client.post(f"{path}/snooze", json={"until": "2099-01-01T00:00:00Z"}).json()
    assert (quiet["state"], quiet["snoozed_until"]) == ("snoozed", "2099-01-01T00:00:00Z")
    assert client.post(f"{path}/snooze", json={"until": "2001-01-01T00:00:00Z"}).status_code == 409
    closed = client.post(f"{path}/resolve", json={"note": "seen"}).json()
    assert (closed["state"], closed["reason"]) == ("resolved", "seen")
    assert [event["what"] for event in closed["events"]] == ["opened", "acknowledged", "snoozed", "resolved"]
    again = client.post(f"{path}/acknowledge", json={})
    assert (again.status_code, again.json()["type"]) == (409, "urn:globalmart:problem:conflict")
    assert client.get(path[:-10]).json()["alert_id"] == alert_id


def test_what_is_said_twice_is_done_once(client: TestClient) -> None:
    path = f"/v1/alerts/{listed(client)[1]['alert_id']}"
    for action, body in (
        ("acknowledge", {"note": "mine"}),
        ("snooze", {"until": "2099-01-01T00:00:00Z", "note": "later"}),
        ("resolve", {"note": "seen"}),
    ):
        first = client.post(f"{path}/{action}", json=body)
        assert first.status_code == 200, first.text
        assert client.post(f"{path}/{action}", json=body).json() == first.json()
        if action != "resolve":  # other words are another thing said
            other = client.post(f"{path}/{action}", json={**body, "note": "still mine"}).json()
            assert len(other["events"]) == len(first.json()["events"]) + 1
    assert client.post(f"{path}/resolve", json={"note": "for another reason"}).status_code == 409


@pytest.mark.parametrize("name", ["nothere", "%", "' OR 1=1 --", "a\u0000b"])
def test_an_alert_that_is_not_there_is_404(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/alerts/{quote(name, safe='')}").status_code == 404
