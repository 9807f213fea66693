"""GET /v1/sales: whole answers to the cent, filters, grouping, periods, and every way to ask wrongly."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.refresher import Refresher
from lakehouse.tables import SALES_BY_MINUTE

from .conftest import KNOWN, Lake, at, sale

KNOWN_AT = "2026-03-14T11:00:00.123000Z"


def row(period: str, country: str | None, category: str | None, units: int, lines: int, revenue: str) -> dict[str, Any]:
    return {
        "period_start_at": f"2026-03-14T{period}:00Z",
        "country": country,
        "category": category,
        "unit_count": units,
        "line_count": lines,
        "revenue": revenue,
    }


def get(client: TestClient, path: str) -> list[dict[str, Any]]:
    """The rows of a whole answer, money as the text that stands in the JSON."""
    response = client.get(path)
    assert response.status_code == 200, response.text
    return exact(response.text)["data"]


def exact(text: str) -> Any:

    return json.loads(text, parse_float=str)


def test_default_is_by_hour_country_and_category_of_the_newest_24_hours(filled: TestClient) -> None:
    response = filled.get("/v1/sales")
    assert exact(response.text) == {
        "data": [
            row("09:00", "DE", "Coffee", 2, 1, "8.00"),
            row("09:00", "US", "Coffee", 4, 3, "13.00"),
            row("09:00", "US", "Tents", 1, 1, "199.99"),
            row("10:00", "US", "Coffee", 1, 1, "4.10"),
        ],
        "next_cursor": None,
        "table_version": 0,
        "known_at": KNOWN_AT,
    }


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("group_by=country", [
            row("09:00", "DE", None, 2, 1, "8.00"),
            row("09:00", "US", None, 5, 4, "212.99"),
            row("10:00", "US", None, 1, 1, "4.10"),
        ]),
        ("group_by=category", [
            row("09:00", None, "Coffee", 6, 4, "21.00"),
            row("09:00", None, "Tents", 1, 1, "199.99"),
            row("10:00", None, "Coffee", 1, 1, "4.10"),
        ]),
        ("group_by=none", [row("09:00", None, None, 7, 5, "220.99"), row("10:00", None, None, 1, 1, "4.10")]),
        ("group_by=none&interval=day", [row("00:00", None, None, 8, 6, "225.09")]),
        ("group_by=none&interval=minute", [
            row("09:05", None, None, 6, 4, "21.00"),
            row("09:59", None, None, 1, 1, "199.99"),
            row("10:00", None, None, 1, 1, "4.10"),
        ]),
        ("group_by=none&country=DE", [row("09:00", None, None, 2, 1, "8.00")]),
        ("group_by=none&country=DE&country=US", [
            row("09:00", None, None, 7, 5, "220.99"),
            row("10:00", None, None, 1, 1, "4.10"),
        ]),
        ("group_by=none&category=Tents", [row("09:00", None, None, 1, 1, "199.99")]),
        ("group_by=none&category=Tents&category=Coffee&country=DE", [row("09:00", None, None, 2, 1, "8.00")]),
        ("group_by=none&country=BR", []),
        ("group_by=none&category=%27%20OR%201=1--", []),
        ("group_by=none&from=2026-03-14T09:59:00Z&to=2026-03-14T10:00:00Z", [row("09:00", None, None, 1, 1, "199.99")]),
        ("group_by=none&from=2026-03-14T11:00:00%2B01:00", [row("10:00", None, None, 1, 1, "4.10")]),
        ("group_by=none&to=2026-03-14T09:06:00Z", [row("09:00", None, None, 6, 4, "21.00")]),
        ("from=2030-01-01T00:00:00Z", []),
    ],
)  # fmt: skip
def test_rows_are_summed_to_the_cent(filled: TestClient, query: str, rows: list[dict[str, Any]]) -> None:
    assert get(filled, f"/v1/sales?{query}") == rows


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("interval=week", "query.interval"),
        ("from=yesterday", "query.from"),
        ("from=2026-03-14T00:00:00", "query.from"),
        ("from=2026-03-15T00:00:00Z&to=2026-03-14T00:00:00Z", "query"),
        ("country=XX", "query.country.0"),
        ("group_by=none&group_by=country", "query"),
        ("group_by=user", "query.group_by.0"),
        ("limit=0", "query.limit"),
        ("limit=5001", "query.limit"),
        ("limit=many", "query.limit"),
        ("form=2026-03-14T00:00:00Z", "query.form"),
        ("cursor=" + "x" * 2001, "query.cursor"),
        ("from=0001-01-01T00:00:00%2B14:00", "query.from"),
        ("to=0001-01-01T00:00:00Z", "query.to"),
        ("to=9999-12-31T23:59:59Z", "query.to"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(filled: TestClient, query: str, where: str) -> None:
    response = filled.get(f"/v1/sales?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:globalmart:problem:invalid-request"
    assert problem["instance"] == "/v1/sales"
    assert [item["where"] for item in problem["errors"]] == [where]


@pytest.fixture
def late(filled: TestClient, lake: Lake, refresher: Refresher) -> TestClient:
    """The template's sales, and one that came three days late."""
    known_at = KNOWN + timedelta(days=3)
    lake.write(SALES_BY_MINUTE, [(*sale(at(9, 5), "US", "Coffee", 10, 5, "50.00", batch=3)[:-1], known_at)])
    assert refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    return filled


@pytest.mark.parametrize(
    ("known_at", "rows"),
    [
        ("2026-03-14T11:00:00.122Z", []),
        ("2026-03-14T11:00:00.123Z", [row("00:00", "US", None, 6, 5, "217.09")]),
        ("2026-03-17T12:00:00.122%2B01:00", [row("00:00", "US", None, 6, 5, "217.09")]),
        ("2026-03-17T11:00:00.123Z", [row("00:00", "US", None, 16, 10, "267.09")]),
        ("2030-01-01T00:00:00Z", [row("00:00", "US", None, 16, 10, "267.09")]),
    ],
)
def test_sales_can_be_asked_for_as_they_were_known(late: TestClient, known_at: str, rows: list[dict[str, Any]]) -> None:
    question = "/v1/sales?interval=day&group_by=country&country=US"
    assert get(late, f"{question}&known_at={known_at}") == rows
    assert get(late, question) == [row("00:00", "US", None, 16, 10, "267.09")]


def test_an_answer_of_the_past_says_so_and_keeps_it_from_page_to_page(late: TestClient) -> None:
    question = "/v1/sales?limit=3&known_at=2026-03-15T00:00:00Z"
    first = late.get(question)
    second = late.get(f"{question}&cursor={first.json()['next_cursor']}")
    assert [row["revenue"] for page in (first, second) for row in exact(page.text)["data"]] == [
        "8.00", "13.00", "199.99", "4.10",
    ]  # fmt: skip
    assert {page.json()["known_at"] for page in (first, second)} == {"2026-03-15T00:00:00Z"}


def test_pages_add_up_to_the_whole_answer(filled: TestClient) -> None:
    whole = get(filled, "/v1/sales")
    for limit in (1, 2, 3):
        pages: list[dict[str, Any]] = []
        cursor = ""
        while True:
            body = exact(filled.get(f"/v1/sales?limit={limit}{cursor}").text)
            assert len(body["data"]) <= limit
            pages += body["data"]
            if body["next_cursor"] is None:
                break
            cursor = f"&cursor={body['next_cursor']}"
        assert pages == whole


def test_pages_stay_at_their_version_while_sales_go_on(filled: TestClient, lake: Lake, refresher: Refresher) -> None:
    first = filled.get("/v1/sales?limit=2").json()
    lake.write(
        SALES_BY_MINUTE,
        [sale(at(10, 30), "US", "Coffee", 100, 100, "1000.00"), sale(at(11), "BR", "Tents", 1, 1, "1.00")],
    )
    assert refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    second = exact(filled.get(f"/v1/sales?limit=2&cursor={first['next_cursor']}").text)
    assert second == {
        "data": [row("09:00", "US", "Tents", 1, 1, "199.99"), row("10:00", "US", "Coffee", 1, 1, "4.10")],
        "next_cursor": None,
        "table_version": 0,
        "known_at": KNOWN_AT,
    }
    assert get(filled, "/v1/sales?group_by=none&interval=day") == [row("00:00", None, None, 109, 107, "1226.09")]


def test_a_cursor_of_a_version_that_was_rewritten_is_gone(filled: TestClient, lake: Lake, refresher: Refresher) -> None:
    cursor = filled.get("/v1/sales?limit=2").json()["next_cursor"]
    lake.table(SALES_BY_MINUTE).delete("country = 'DE'")
    assert refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    response = filled.get(f"/v1/sales?limit=2&cursor={cursor}")
    assert (response.status_code, response.json()["type"]) == (410, "urn:globalmart:problem:cursor-gone")


def test_a_forged_cursor_is_refused(filled: TestClient) -> None:
    cursor = filled.get("/v1/sales?limit=1").json()["next_cursor"]
    turned = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for forged in ("x", "AAAA", "ä", "%00", cursor[:-4], turned, cursor[1:]):
        response = filled.get("/v1/sales", params={"limit": 1, "cursor": forged})
        assert (response.status_code, response.json()["type"]) == (400, "urn:globalmart:problem:bad-cursor"), forged


def test_a_cursor_of_another_request_is_refused(filled: TestClient) -> None:
    cursor = filled.get("/v1/sales?limit=1").json()["next_cursor"]
    for path in ("/v1/sales?country=US", "/v1/orders?limit=1", "/v1/rfm/segments?limit=1"):
        response = filled.get(f"{path}&cursor={cursor}")
        assert (response.status_code, response.json()["type"]) == (400, "urn:globalmart:problem:bad-cursor"), path


def test_an_empty_table_gives_an_empty_list(client: TestClient, lake: Lake, refresher: Refresher) -> None:
    lake.write(SALES_BY_MINUTE, [])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    assert get(client, "/v1/sales") == []


def test_large_money_stays_exact(client: TestClient, lake: Lake, refresher: Refresher) -> None:
    lake.write(
        SALES_BY_MINUTE, [sale(at(9), "US", "Coffee", 1, 1, "9999999999999999.99", batch) for batch in range(10)]
    )
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    assert get(client, "/v1/sales") == [row("09:00", "US", "Coffee", 10, 10, "99999999999999999.90")]


def test_as_of_is_known_at_and_before_history_there_is_nothing(late: TestClient) -> None:
    question = "/v1/sales?interval=day&group_by=none"
    for moment in ("2026-03-14T12:00:00Z", "2026-03-18T00:00:00Z"):
        assert get(late, f"{question}&as_of={moment}") == get(late, f"{question}&known_at={moment}")
    for path in ("/v1/sales", "/v1/orders"):
        before = late.get(f"{path}?as_of=2020-01-01T00:00:00Z")
        assert (before.status_code, before.json()["type"]) == (404, "urn:globalmart:problem:not-found")
        assert "begins at 2026-03-14 11:00:00 UTC" in before.json()["detail"]
    both = late.get(f"{question}&as_of=2026-03-14T12:00:00Z&known_at=2026-03-14T12:00:00Z")
    assert (both.status_code, "send one of them" in both.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/sales", ["revenue", "country"]),
        ("/v1/orders", ["average_order_value", "period_start_at"]),
        ("/v1/ingestion-rates", ["late_count"]),
    ],
)
def test_only_the_fields_asked_for_on_every_page_and_in_every_format(
    filled: TestClient, path: str, fields: list[str]
) -> None:
    rows = [{name: row[name] for name in row if name in fields} for row in get(filled, path)]
    assert exact(filled.get(path, params={"fields": fields}).text)["data"] == rows
    first = filled.get(path, params={"fields": fields, "limit": 1}).json()
    second = filled.get(path, params={"fields": fields, "limit": 1, "cursor": first["next_cursor"]})
    assert list(second.json()["data"][0]) == list(rows[0])
    text = filled.get(path, params={"fields": fields}, headers={"Accept": "text/csv"}).text
    assert text.splitlines()[0] == ",".join(rows[0])
    assert filled.get(path, params={"fields": "price"}).status_code == 422
