"""Signing in to the pages: the cookie and its attributes, its end, forged and foreign requests, where one goes on to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from starlette.responses import Response

from api.access import Access, Role
from api.app import create_app
from api.auth import HEADER
from api.routes.session import inside
from api.session import COOKIE, Session, Sessions
from lakehouse.settings import Settings

from .conftest import KEY

PAGE = {"Accept": "text/html,application/xhtml+xml"}
AT = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def browser(settings: Settings) -> Iterator[TestClient]:
    """Without a key; it keeps cookies and shows where it is led."""
    with TestClient(create_app(settings), follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def sign_in(browser: TestClient, key: str = KEY, **more: Any) -> Any:
    return browser.post("/sign-in", data={"key": key, **more})


def token(browser: TestClient) -> str:
    """The token as a page would have it."""
    sessions: Sessions = browser.app.state.sessions  # type: ignore[attr-defined]
    session = sessions.read(browser.cookies[COOKIE])
    assert isinstance(session, Session)
    return session.csrf_token


def test_a_page_asked_for_without_a_session_leads_to_the_sign_in_and_back(browser: TestClient) -> None:
    led = browser.get("/quality/?run=1&x=%C3%A9", headers=PAGE)
    assert led.status_code == 303
    assert led.headers["location"] == "/sign-in?next=/quality/%3Frun%3D1%26x%3D%25C3%25A9"
    page = browser.get(led.headers["location"], headers=PAGE)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert 'name="next" value="/quality/?run=1&amp;x=%C3%A9"' in page.text
    signed_in = sign_in(browser, next="/quality/?run=1&x=%C3%A9")
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/quality/?run=1&x=%C3%A9")
    assert browser.get("/quality/", headers=PAGE).status_code == 404  # let in: there is no page yet


def test_programs_and_the_routes_of_data_get_401_instead(browser: TestClient) -> None:
    assert browser.get("/quality/").status_code == 401
    assert browser.get("/v1/sales", headers=PAGE).status_code == 401
    assert browser.post("/quality/", headers=PAGE).status_code == 401
    assert browser.get("/quality/", headers={**PAGE, HEADER: "wrong"}).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser: TestClient) -> None:
    cookie = SimpleCookie(sign_in(browser).headers["set-cookie"])[COOKIE]
    facts = {name: cookie[name] for name in ("httponly", "samesite", "secure", "path", "max-age", "domain")}
    assert facts == {
        "httponly": True, "samesite": "strict", "secure": "", "path": "/", "max-age": "43200", "domain": "",
    }  # fmt: skip
    assert KEY not in cookie.value


def test_with_tls_the_cookie_is_secure_and_browsers_stay_with_tls(settings: Settings) -> None:
    tls = settings.model_copy(update={"api_tls_certificate": settings.state_dir, "api_tls_key": settings.state_dir})
    with TestClient(create_app(tls)) as client:
        response = client.post("/sign-in", data={"key": KEY}, follow_redirects=False)
        assert "; Secure" in response.headers["set-cookie"]
        assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_a_session_reads_figures_but_a_key_beside_it_decides_alone(browser: TestClient) -> None:
    sign_in(browser)
    assert browser.get("/v1/sales").status_code == 503  # let in: there is no serving file
    assert browser.get("/v1/sales", headers={HEADER: "wrong"}).status_code == 401


@pytest.mark.parametrize("key", ["", "wrong", "gm_0123456789ab_" + "x" * 43, "é", KEY + " x"])
def test_a_wrong_key_is_asked_for_again_and_noted(browser: TestClient, settings: Settings, key: str) -> None:
    response = sign_in(browser, key)
    assert response.status_code == 401
    assert 'role="alert"' in response.text
    assert "The API key is wrong." in response.text
    assert "set-cookie" not in response.headers
    (line,) = [orjson.loads(line) for path in settings.audit_dir.iterdir() for line in path.read_bytes().splitlines()]
    assert (line["what"], line["key_id"]) == ("sign_in_refused", None)
    assert key not in str(line) or not key


def test_guessing_is_slowed_down(browser: TestClient) -> None:
    assert {sign_in(browser, "wrong").status_code for _ in range(10)} == {401}
    response = sign_in(browser)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver"}, 303),
        ({}, 303),
    ],
)
def test_nobody_is_signed_in_by_another_site(browser: TestClient, headers: dict[str, str], status: int) -> None:
    assert browser.post("/sign-in", data={"key": KEY}, headers=headers).status_code == status


def test_what_a_session_changes_needs_its_token(browser: TestClient) -> None:
    sign_in(browser)
    right = token(browser)
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": right[:-1]}, {"X-CSRF-Token": "é".encode()}):
        response = browser.post("/v1/sales", headers=headers)
        assert response.status_code == 403, headers
        assert response.json()["type"] == "urn:globalmart:problem:forbidden"
    assert browser.post("/v1/sales", data={"csrf_token": "0" * 64}).status_code == 403
    assert browser.post("/v1/sales", json={"csrf_token": right}).status_code == 403
    many = {"csrf_token": right, **{f"field{number}": "x" for number in range(1001)}}
    assert browser.post("/v1/sales", data=many).status_code == 403
    assert browser.post("/v1/sales", headers={"X-CSRF-Token": right}).status_code == 405  # past the check
    assert browser.post("/v1/sales", data={"csrf_token": right, "other": "é"}).status_code == 405


def test_the_token_of_one_session_is_not_good_for_another(browser: TestClient) -> None:
    sign_in(browser)
    old = token(browser)
    sign_in(browser)
    assert token(browser) != old
    assert browser.post("/sign-out", data={"csrf_token": old}).status_code == 403


def test_signing_out_ends_the_session_for_copies_of_its_cookie_too(browser: TestClient) -> None:
    sign_in(browser)
    copy = browser.cookies[COOKIE]
    response = browser.post("/sign-out", data={"csrf_token": token(browser)})
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert COOKIE not in browser.cookies
    response = browser.get("/v1/sales", headers={"Cookie": f"{COOKIE}={copy}"})
    assert response.status_code == 401
    assert response.json()["detail"] == "This session was signed out."


def test_a_session_ends_by_itself() -> None:
    now = AT
    sessions = Sessions(b"x" * 32, timedelta(hours=1), False, lambda: now)
    response = Response()
    opened = sessions.open(Access("k1", "", Role.viewer), response)
    cookie = SimpleCookie(response.headers["set-cookie"])[COOKIE].value
    now = AT + timedelta(minutes=59)
    assert sessions.read(cookie) == opened
    now = AT + timedelta(hours=1)
    assert sessions.read(cookie) is None


def test_a_cookie_that_was_changed_or_made_elsewhere_is_none() -> None:
    sessions, others = (Sessions(secret * 32, timedelta(hours=1), False, lambda: AT) for secret in (b"x", b"y"))
    response = Response()
    sessions.open(Access("k1", "", Role.viewer), response)
    cookie = SimpleCookie(response.headers["set-cookie"])[COOKIE].value
    assert others.read(cookie) is None
    assert sessions.read(cookie.replace("k1", "setup")) is None
    assert sessions.read(re.sub(r"\.\d+\.", ".9999999999.", cookie)) is None
    for broken in ("", ".", "...", cookie[:-1], cookie + "0", cookie.replace(".", ""), "é.1.x.y"):
        assert sessions.read(broken) is None, broken


@pytest.mark.parametrize("to", ["/explorer", "/quality/x?a=1&b=//c", "/v1/sales#x"])
def test_one_goes_on_to_a_path_of_this_server(to: str) -> None:
    assert inside(to) == to


@pytest.mark.parametrize(
    "to",
    [
        "",
        "explorer",
        "//else.example",
        "/\\else.example",
        "https://else.example",
        "/a\nb",
        "/\t/x",
        "javascript:x",
        "/x\\y",
    ],
)
def test_one_is_led_nowhere_else(to: str) -> None:
    assert inside(to) == "/explorer"
