"""GET /quality/: the pages of Data Docs, with the key alone, and nothing outside their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakehouse.settings import Settings

PAGES = {
    "index.html": "<h1>all runs</h1>",
    "style.css": "td {}",
    "runs/abc/gold.customer_rfm.html": "<h1>one table</h1>",
}


@pytest.fixture
def site(settings: Settings) -> Path:
    for name, text in PAGES.items():
        path = settings.quality_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (settings.state_dir / "secret.env").write_text("PASSWORD=1")
    (settings.state_dir / "quality-of-others").mkdir()
    (settings.state_dir / "quality-of-others" / "page.html").write_text("secret")
    (settings.quality_dir / "link").symlink_to(settings.state_dir)
    (settings.quality_dir / "link.env").symlink_to(settings.state_dir / "secret.env")
    return settings.quality_dir


def test_pages_are_served_as_what_they_are_and_may_run_no_script(client: TestClient, site: Path) -> None:
    for path, name in (("/quality/", "index.html"), *((f"/quality/{name}", name) for name in PAGES)):
        response = client.get(path)
        assert (response.status_code, response.text) == (200, PAGES[name])
        assert response.headers["content-type"].startswith("text/css" if name.endswith("css") else "text/html")
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/quality/", "/quality/index.html", "/quality/runs/abc/nothing.html"])
def test_without_the_key_there_is_no_page(client: TestClient, site: Path, path: str) -> None:
    del client.headers["X-API-Key"]
    assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "..%2fsecret.env",
        "%2e%2e/secret.env",
        "%2e%2e%2fsecret.env",
        "..%5csecret.env",
        "runs/..%2f..%2f..%2fsecret.env",
        "runs/%2e%2e/%2e%2e/%2e%2e/secret.env",
        "..%2fquality-of-others%2fpage.html",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "link/secret.env",
        "link.env",
        "index.html%00.css",
        "x" * 5_000,
        "runs",
        "runs/abc/",
        "nothing.html",
    ],
)
def test_what_is_no_file_of_the_site_is_not_found(client: TestClient, site: Path, path: str) -> None:
    response = client.get(f"/quality/{path}", follow_redirects=False)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "PASSWORD" not in response.text


def test_before_the_first_run_there_is_nothing_and_nothing_can_be_written(client: TestClient, site: Path) -> None:
    assert client.post("/quality/index.html").status_code == 405
    (site / "index.html").unlink()
    assert client.get("/quality/").status_code == 404


def test_without_the_folder_there_is_nothing(client: TestClient) -> None:
    assert client.get("/quality/").status_code == 404
