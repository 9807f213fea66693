"""The alert desk's pages on the real PostgreSQL, with a session as a browser has it: list, look, and change with the session's token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Stack
from fastapi.testclient import TestClient

from api.app import create_app
from api.desk.core import Desk
from api.desk.database import connect, migrate
from api.desk.rules import load_rules
from lakehouse.findings import Finding, finding_id
from lakehouse.settings import CHECKOUT, load_settings

pytestmark = pytest.mark.integration
AT = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def finding(number: int) -> Finding:
    name = f"<b>page</b> {number}"
    return Finding(
        finding_id("page", name), "page_test", "critical", f"page:{name}", f"{name} has a trouble", f"{number} times",
        AT + timedelta(minutes=number), AT, country="DE", product_id="p1", evidence={"count": number},
    )  # fmt: skip


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[TestClient]:
    """Signed in by the form."""
    stack("postgres")
    settings = load_settings("desk")
    engine = connect(settings)
    migrate(engine)
    desk = Desk(engine, load_rules(CHECKOUT / settings.alert_rules), frozenset())
    for number in (1, 2):
        desk.tell([finding(number)], AT + timedelta(minutes=number))
    engine.dispose()
    with TestClient(create_app(load_settings("api")), raise_server_exceptions=False) as test_client:
        key = load_settings().api_key.get_secret_value()
        answer = test_client.post("/sign-in", data={"key": key, "next": "/explorer/alerts"}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/explorer/alerts")
        yield test_client


def links(client: TestClient, query: str = "") -> list[str]:
    """The pages of the alerts of this test, as the list has them."""
    page = client.get(f"/explorer/alerts{query}")
    assert page.status_code == 200
    return [
        path
        for path, title in re.findall(r'<a href="(/explorer/alerts/[^"?]+)">([^<]*)</a>', page.text)
        if title.endswith("has a trouble")
    ]


def token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_alerts_are_listed_and_told_literally(client: TestClient) -> None:
    newest, older = links(client)
    assert links(client, "?severity=critical") == [newest, older]
    assert links(client, "?severity=info") == []
    assert links(client, "?state=resolved") == []
    page = client.get(newest).text
    assert "&lt;b&gt;page&lt;/b&gt; 2 has a trouble" in page
    assert "<b>page</b>" not in page
    assert "Germany" in page
    assert client.get("/explorer/alerts/nothere").status_code == 404


def test_a_change_needs_the_session_s_token(client: TestClient) -> None:
    path = links(client)[0]
    for data in ({}, {"csrf_token": "forged"}):
        assert client.post(f"{path}/acknowledge", data=data).status_code == 403
    assert ">Open<" in client.get(path).text


def test_an_operator_acknowledges_snoozes_and_resolves(client: TestClient) -> None:
    path = links(client)[0]
    given = {"csrf_token": token(client.get(path).text)}
    page = client.post(f"{path}/acknowledge", data={**given, "note": "I <i>look</i>"})
    assert page.status_code == 200
    assert ">Acknowledged<" in page.text
    assert "I &lt;i&gt;look&lt;/i&gt;" in page.text
    assert path in links(client, "?state=acknowledged")
    assert ">Snoozed<" in client.post(f"{path}/snooze", data={**given, "hours": "4"}).text
    assert client.post(f"{path}/snooze", data={**given, "hours": "0"}).status_code == 422
    assert client.post(f"{path}/resolve", data=given).status_code == 422
    closed = client.post(f"{path}/resolve", data={**given, "note": "mended"})
    assert "mended" in closed.text
    assert "It is resolved" in closed.text
    assert client.post(f"{path}/acknowledge", data=given).status_code == 409
    assert path not in links(client)
