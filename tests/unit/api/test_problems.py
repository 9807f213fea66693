"""Problem documents: every error is one, with the right status, type and a sentence that helps."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.headers import SECURITY_HEADERS
from api.refresher import Refresher
from lakehouse.tables import SALES_BY_MINUTE

from .conftest import SALES, Lake

ROUTES = {
    "/v1/sales": "gold/sales_by_minute",
    "/v1/orders": "gold/orders_by_minute",
    "/v1/rfm/segments": "gold/customer_rfm",
    "/v1/customers/u1/rfm": "gold/customer_rfm",
}


@pytest.mark.parametrize("path", ROUTES)
def test_before_the_first_refresh_each_route_says_so(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "2"
    assert response.json() == {
        "type": "urn:globalmart:problem:not-ready",
        "title": "Nothing to serve from",
        "status": 503,
        "detail": "There is no serving file yet: the refresher has not published one.",
        "instance": path,
    }


@pytest.mark.parametrize(("path", "table"), ROUTES.items())
def test_a_table_that_is_not_materialised_is_named(
    client: TestClient, refresher: Refresher, path: str, table: str
) -> None:
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    response = client.get(path)
    assert response.status_code == 503
    assert response.json() == {
        "type": "urn:globalmart:problem:table-missing",
        "title": "Table not materialised yet",
        "status": 503,
        "detail": f"The table {table} has not been materialised yet, so this route has nothing to answer from.",
        "instance": path,
        "missing": table,
    }


def test_only_the_routes_of_a_missing_table_are_refused(client: TestClient, lake: Lake, refresher: Refresher) -> None:
    lake.write(SALES_BY_MINUTE, SALES)
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    assert {path: client.get(path).status_code for path in ROUTES} == {
        "/v1/sales": 200,
        "/v1/orders": 503,
        "/v1/rfm/segments": 503,
        "/v1/customers/u1/rfm": 503,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/sale",
        "/v1/sales/",
        "/v1/customers//rfm",
        "/v1/customers/u1/more",
        "/docs/../app.py",
        "/docs/x.js",
    ],
)
def test_an_unknown_path_is_not_found(filled: TestClient, path: str) -> None:
    response = filled.get(path)
    assert response.status_code == 404
    assert response.json()["type"] == "urn:globalmart:problem:not-found"


@pytest.mark.parametrize("path", [*ROUTES, "/health", "/ready", "/docs"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_method_is_not_allowed(filled: TestClient, path: str, method: str) -> None:
    response = filled.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET"
    assert response.json()["detail"] == f"{method} is not possible here: use GET."


@pytest.mark.parametrize("path", [*ROUTES, "/health", "/docs", "/explorer", "/v1/nothing", "/v1/sales?limit=0"])
def test_head_is_get_without_the_body(filled: TestClient, path: str) -> None:
    asked = {"Accept": "*/*"}
    get, head = filled.get(path, headers=asked), filled.head(path, headers=asked)
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("content-type", "content-length", "etag", "x-table-version", "cache-control"):
        assert head.headers.get(name) == get.headers.get(name), name


def test_head_of_a_stream_ends(filled: TestClient) -> None:
    head = filled.head("/v1/live/stream")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


def test_head_is_denied_without_a_key_and_changes_nothing(filled: TestClient) -> None:
    assert filled.head("/v1/alerts/a1/resolve").status_code == 405
    filled.headers.pop("X-API-Key")
    assert filled.head("/v1/sales").status_code == 401


def test_a_bug_is_a_problem_without_its_details(filled: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    app = filled.app
    assert isinstance(app, FastAPI)

    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("the secret is 42")

    response = filled.get("/v1/broken")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:globalmart:problem:internal"
    assert "42" not in response.text
    assert "the secret is 42" in caplog.text
    assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize("path", ["/v1/sales", "/v1/nothing", "/health", "/v1/sales?limit=0"])
def test_every_answer_has_the_security_headers_and_no_cors(filled: TestClient, path: str) -> None:
    response = filled.get(path, headers={"Origin": "https://elsewhere.example"})
    # What has an ETag may be kept by the caller alone, and asked for each time.
    expected = {**SECURITY_HEADERS, **({"Cache-Control": "private, no-cache"} if "etag" in response.headers else {})}
    assert {name: response.headers[name] for name in SECURITY_HEADERS} == expected
    assert ("etag" in response.headers) == (path == "/v1/sales")
    assert not [name for name in response.headers if name.startswith("access-control")]
