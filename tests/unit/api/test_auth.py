"""The key: every path needs it but the open ones, whatever the method, and only the right key opens."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth import HEADER, is_open
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings

from .conftest import KEY

OPEN = {"/health", "/ready", "/docs", "/openapi.json"}


def _anonymous(client: TestClient) -> TestClient:
    client.headers.pop(HEADER)
    return client


def test_every_route_of_the_document_but_the_open_ones_needs_the_key(filled: TestClient) -> None:
    paths = filled.get("/openapi.json").json()["paths"]
    anonymous = _anonymous(filled)
    for path, operations in paths.items():
        for method, operation in operations.items():
            response = anonymous.request(method, path.replace("{user_id}", "u1"))
            assert (response.status_code != 401) == (path in OPEN), (method, path)
            assert ("security" in operation) == (path not in OPEN), (method, path)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/admin", "/docsx", "/health/", "/Health", "//health"])
def test_paths_that_do_not_exist_are_denied_too(filled: TestClient, path: str) -> None:
    assert _anonymous(filled).get(path).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_every_method_is_denied_without_a_key(filled: TestClient, method: str) -> None:
    assert _anonymous(filled).request(method, "/v1/sales").status_code == 401


@pytest.mark.parametrize(
    "key", ["", " ", "wrong", KEY[:-1], KEY + "x", KEY.upper(), f" {KEY}x", "é" * 20, "x" * 10_000]
)
def test_a_wrong_key_is_denied(filled: TestClient, key: str) -> None:
    response = filled.get("/v1/sales", headers={HEADER: key.encode("utf-8")})  # type: ignore[dict-item]
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == 'ApiKey header="X-API-Key"'
    assert response.json() == {
        "type": "urn:globalmart:problem:unauthorized",
        "title": "API key missing or wrong",
        "status": 401,
        "detail": "The API key is wrong.",
        "instance": "/v1/sales",
    }


def test_two_keys_are_denied_even_if_one_is_right(filled: TestClient) -> None:
    response = _anonymous(filled).get("/v1/sales", headers=[(HEADER, KEY), (HEADER, "other")])
    assert response.status_code == 401


def test_the_key_in_the_query_is_denied(filled: TestClient) -> None:
    assert _anonymous(filled).get(f"/v1/sales?api_key={KEY}").status_code == 401


def test_without_a_key_the_answer_says_how_to_send_it(filled: TestClient) -> None:
    assert _anonymous(filled).get("/v1/sales").json()["detail"] == "Send your API key in the header X-API-Key."


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, KEY])
def test_the_application_does_not_start_without_a_usable_digest(settings: Settings, digest: str) -> None:
    with pytest.raises(SettingsError, match="GLOBALMART_API_KEY_SHA256"):
        create_app(settings.model_copy(update={"api_key_sha256": digest}))


def test_open_paths_are_exactly_these() -> None:
    pages = {"/sign-in", "/docs/page.js", "/explorer/static/style.css"}
    closed = {"/v1/sales", "/docs2", "/healthz", "/sign-out", "/sign-in/x", "/explorer", "/explorer/static"}
    assert {path for path in OPEN | pages | closed if is_open(path)} == OPEN | pages
