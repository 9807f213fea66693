"""Fixtures of the browser tests: the API as a process over a small shop, Chromium, and pages that may not complain."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser.shop import shop
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from unit.api.conftest import KEY, Lake, wait_for

from api.explorer.assets import content
from api.refresher import Refresher
from infra.chromium import find_chromium
from lakehouse.heartbeat import beat
from lakehouse.settings import CHECKOUT, Settings

SIZES = {"desktop": (1280, 900), "phone": (375, 812)}


@pytest.fixture(scope="session")
def shop_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with the shop in it, and the serving files made from it."""
    folder = tmp_path_factory.mktemp("shop")
    settings = Settings(
        _env_file=None,
        state_dir=folder / "state",
        lake_uri=(folder / "lake").as_uri(),
        api_key_sha256=hashlib.sha256(KEY.encode()).hexdigest(),
    )
    lake = Lake(settings)
    for table, rows in shop().items():
        lake.write(table, rows)
    refresher = Refresher(settings)
    assert refresher.refresh()
    assert refresher.problems == {}
    beat(settings, "refresher", "running", checked_at=datetime.now(UTC).isoformat())
    return settings


@pytest.fixture(scope="session")
def server(shop_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API as `globalmart up` starts it, over the shop; its address."""
    content("vega.js")  # made once a machine; a page's time is not to have it
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GLOBALMART_") or name.endswith("CACHE_DIR")
        },
        "GLOBALMART_ENV_FILE": str(tmp_path_factory.mktemp("env") / "none"),
        "GLOBALMART_STATE_DIR": str(shop_settings.state_dir),
        "GLOBALMART_LAKE_URI": shop_settings.lake_uri,
        "GLOBALMART_API_KEY_SHA256": shop_settings.api_key_sha256,
        "PYTHONPATH": str(CHECKOUT),
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "api.app:create_app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    with subprocess.Popen(command, env=environment, cwd=CHECKOUT) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: _answers(address), 60)
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/explorer", headers={"X-API-Key": KEY}, timeout=20).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, which set-up installs for developers.

    It ends with its module: Playwright keeps an event loop running in the thread, in which others could start none.
    """
    with sync_playwright() as playwright:
        # Its own sandbox needs rights that containers withhold; the pages are our own.
        browser = playwright.chromium.launch(
            executable_path=str(find_chromium()), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: GLOBALMART_PICTURES_DIR, or pytest's temporary folder."""
    named = os.environ.get("GLOBALMART_PICTURES_DIR")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def cookies(chromium: Browser, server: str) -> list[Any]:
    """The session of somebody who has signed in by the form."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server}/explorer")
    assert page.url.startswith(f"{server}/sign-in")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server}/explorer")
    found: list[Any] = context.cookies()
    context.close()
    return found


Opened = Callable[..., Page]


@pytest.fixture
def opened(chromium: Browser, server: str, cookies: list[Any]) -> Iterator[Opened]:
    """Open a path at a size, signed in. A test fails for anything that its pages complained of."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(
        path: str, size: str = "desktop", scheme: str = "light", signed_in: bool = True, but: str = "nothing of it"
    ) -> Page:
        """`but` is what the page may complain of."""
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            is_mobile=size == "phone",
            accept_downloads=True,
        )
        contexts.append(context)
        if signed_in:
            context.add_cookies(cookies)
        page = context.new_page()
        page.on("console", lambda said: _said(complaints, said, but))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: _failed(complaints, request))
        page.goto(f"{server}{path}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def _said(complaints: list[str], said: Any, but: str) -> None:
    if said.type in {"error", "warning"} and but not in said.text:
        complaints.append(said.text)


def _failed(complaints: list[str], request: Any) -> None:
    # An event stream and a download end by being left.
    if request.failure != "net::ERR_ABORTED":
        complaints.append(f"{request.url}: {request.failure}")


def drawn(page: Page) -> None:
    """Wait until every chart of the page is drawn."""
    expect(page.locator(".chart[data-chart]:not([data-state=drawn])")).to_have_count(0, timeout=20_000)
