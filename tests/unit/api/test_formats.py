"""Formats by Accept, headers of version and freshness, ETag and 304: for hand-written routes and resources alike."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.refresher import Refresher
from lakehouse.heartbeat import beat
from lakehouse.settings import Settings

from .conftest import KNOWN, Lake, wait_for
from .gold import GOLD, at, session
from .test_sales import exact

PATHS = [
    "/v1/sales",
    "/v1/orders",
    "/v1/rfm/segments",
    "/v1/ingestion-rates",
    "/v1/quarantine",
    "/v1/quality",
    "/v1/sessions",
    "/v1/trends",
]
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"


def tables(client: TestClient, path: str) -> list[pa.Table]:
    parquet = client.get(path, headers={"Accept": PARQUET})
    arrow = client.get(path, headers={"Accept": ARROW})
    assert (parquet.headers["content-type"], arrow.headers["content-type"]) == (PARQUET, ARROW)
    return [pq.read_table(io.BytesIO(parquet.content)), pa.ipc.open_stream(arrow.content).read_all()]


@pytest.mark.parametrize("path", PATHS)
def test_every_format_has_the_same_rows(api: TestClient, path: str) -> None:
    body = exact(api.get(path).text)["data"]
    assert body
    for table in tables(api, path):
        assert table.column_names == list(body[0])
        assert table.num_rows == len(body)
    first, second = tables(api, path)
    assert first.to_pylist() == second.to_pylist()
    text = api.get(path, headers={"Accept": "text/csv"})
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.reader(io.StringIO(text.text, newline="")))
    assert lines[0] == list(body[0])
    assert len(lines) == len(body) + 1
    for line, row in zip(lines[1:], body, strict=True):
        for cell, value in zip(line, row.values(), strict=True):
            assert cell == (
                {None: "", True: "true", False: "false"}[value]
                if value is None or value is True or value is False
                else str(value)
            )


def test_money_and_times_keep_their_types(api: TestClient) -> None:
    for table in tables(api, "/v1/sessions?user_id=u1"):
        assert table.schema.field("revenue").type == pa.decimal128(18, 2)
        row = table.to_pylist()[0]
        assert row["revenue"] == Decimal("12.30")
        assert row["started_at"] == datetime(2026, 3, 14, 9, tzinfo=UTC)


def test_the_next_page_of_other_formats_is_in_the_headers(api: TestClient) -> None:
    first = api.get("/v1/inventory?limit=2&fields=product_id", headers={"Accept": "text/csv"})
    assert first.text == "product_id\r\np2\r\np1\r\n"
    link = first.headers["link"].partition(">")[0][1:]
    assert first.headers["x-next-cursor"] in link
    second = api.get(link, headers={"Accept": "text/csv"})
    assert second.text == "product_id\r\np3\r\n"
    assert "x-next-cursor" not in second.headers


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("*/*", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
        ("application/*", "application/json"),
        ("text/html,text/csv;q=0.5", "text/csv; charset=utf-8"),
        ("application/json;q=0.1, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("image/png", None),
        ("application/json;q=0", None),
        ("application/json;q=high", None),
        ("application/json;q=nan", None),
        ("", "application/json"),
        ("*/*, application/json;q=0", "text/csv; charset=utf-8"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
    ],
)
def test_the_format_is_the_one_accepted_most(api: TestClient, accept: str, answer: str | None) -> None:
    response = api.get("/v1/inventory", headers={"Accept": accept})
    assert response.status_code == (200 if answer else 406)
    assert response.headers["content-type"] == (answer or "application/problem+json")


def test_formats_accepted_in_two_headers_count_together(api: TestClient) -> None:
    response = api.get("/v1/inventory", headers=[("Accept", "text/html"), ("Accept", "text/csv")])
    assert (response.status_code, response.headers["content-type"]) == (200, "text/csv; charset=utf-8")


@pytest.mark.parametrize("path", PATHS)
def test_who_has_the_answer_is_told_so(api: TestClient, path: str) -> None:
    first = api.get(path)
    tag = first.headers["etag"]
    again = api.get(path, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert api.get(path, headers={"If-None-Match": "*"}).status_code == 304
    assert api.get(f"{path}?limit=1" if path != "/v1/quarantine" else f"{path}?topic=users").headers["etag"] != tag
    assert api.get(path, headers={"Accept": "text/csv"}).headers["etag"] != tag


ONE = ("/v1/products/p1", "/v1/customers/u1", "/v1/customers/u1/rfm", "/v1/books")


@pytest.mark.parametrize("path", [*ONE, "/v1/live", "/v1/lineage/revenue"])
def test_who_has_the_one_thing_is_told_so(api: TestClient, path: str) -> None:
    first = api.get(path)
    assert first.status_code == 200, first.text
    tag = first.headers["etag"]
    again = api.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert api.get(path, headers={"If-None-Match": '"other"'}).content == first.content
    documented = api.get("/openapi.json").json()["paths"]
    template = next(one for one in documented if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), path))
    assert {"ETag"} <= set(documented[template]["get"]["responses"]["200"]["headers"])
    assert "304" in documented[template]["get"]["responses"]
    if path in ONE:
        assert int(first.headers["x-table-version"]) == first.json()["table_version"]
        assert first.headers["x-known-at"] == first.json()["known_at"]


def test_the_tag_of_one_thing_tells_what_the_key_may_see_apart(
    api: TestClient, as_key: Callable[..., TestClient]
) -> None:
    open_one = api.get("/v1/customers/u1")
    client = as_key()
    pseudonym = client.get("/v1/sessions?limit=1&country=US").json()["data"][0]["user_id"]
    masked = client.get(f"/v1/customers/{pseudonym}", headers={"If-None-Match": open_one.headers["etag"]})
    assert masked.status_code == 200
    assert masked.headers["etag"] != open_one.headers["etag"]


def test_the_tag_changes_with_the_table_and_the_headers_say_from_what(
    filled: TestClient, lake: Lake, refresher: Refresher
) -> None:
    before = filled.get("/v1/sessions")
    assert before.headers["x-table-version"] == "0"
    assert before.headers["x-known-at"] == "2026-03-14T11:00:00.123000Z"
    assert "x-stale" not in before.headers
    table = next(table for table in GOLD if table.name == "sessions")
    lake.write(table, [session("u7", at(10), "BR", 5, known_at=KNOWN.replace(hour=12))])
    refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    after = filled.get("/v1/sessions", headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.headers["x-table-version"]) == (200, "1")
    assert after.headers["x-known-at"] == "2026-03-14T12:00:00.123000Z"


def test_what_the_refresher_cannot_read_is_served_as_it_was_and_marked(filled: TestClient, settings: Settings) -> None:
    beat(settings, "refresher", "waiting", reason="gold/sessions cannot be read.", stale_tables=["sessions"])
    wait_for(lambda: filled.get("/v1/sessions").headers.get("x-stale") == "true")
    assert filled.get("/v1/sessions").status_code == 200
    assert "x-stale" not in filled.get("/v1/sales").headers
    beat(settings, "refresher", "failed", reason="a bug")
    wait_for(lambda: filled.get("/v1/sales").headers.get("x-stale") == "true")
    beat(settings, "refresher", "running")
    wait_for(lambda: "x-stale" not in filled.get("/v1/sessions").headers)
