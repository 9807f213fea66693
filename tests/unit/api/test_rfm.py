"""GET /v1/rfm/segments and GET /v1/customers/{user_id}/rfm: whole answers and every outcome."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.refresher import Refresher
from lakehouse.tables import CUSTOMER_RFM

from .conftest import Lake, customer
from .test_sales import exact, get

CHAMPIONS = {
    "as_of_date": "2026-03-14",
    "segment": "champions",
    "customer_count": 2,
    "monetary": "1250.50",
    "mean_recency_days": "1.50",
    "mean_frequency": "6.50",
    "mean_monetary": "625.25",
}
LOST = {
    "as_of_date": "2026-03-14",
    "segment": "lost",
    "customer_count": 1,
    "monetary": "9.99",
    "mean_recency_days": "300.00",
    "mean_frequency": "1.00",
    "mean_monetary": "9.99",
}


def committed_at(refresher: Refresher) -> str:
    known_at = refresher.metas["customer_rfm"].known_at.replace(tzinfo=UTC)
    return known_at.isoformat().replace("+00:00", "Z")


def test_segments_of_the_newest_day(filled: TestClient, refresher: Refresher) -> None:
    assert exact(filled.get("/v1/rfm/segments").text) == {
        "data": [CHAMPIONS, LOST],
        "next_cursor": None,
        "table_version": 0,
        "known_at": committed_at(refresher),
    }


def test_segments_of_an_earlier_day(filled: TestClient) -> None:
    assert get(filled, "/v1/rfm/segments?as_of_date=2026-03-13") == [
        {
            "as_of_date": "2026-03-13",
            "segment": "champions",
            "customer_count": 1,
            "monetary": "600.00",
            "mean_recency_days": "0.00",
            "mean_frequency": "6.00",
            "mean_monetary": "600.00",
        }
    ]


def test_segment_pages_stay_on_their_day_when_a_newer_one_comes(
    filled: TestClient, lake: Lake, refresher: Refresher
) -> None:
    first = exact(filled.get("/v1/rfm/segments?limit=1").text)
    lake.write(CUSTOMER_RFM, [customer(date(2026, 3, 15), "u1", 2, 7, "700.50", "promising")])
    refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    second = exact(filled.get(f"/v1/rfm/segments?limit=1&cursor={first['next_cursor']}").text)
    assert (first["data"], second["data"], second["next_cursor"]) == ([CHAMPIONS], [LOST], None)
    assert [one["as_of_date"] for one in get(filled, "/v1/rfm/segments")] == ["2026-03-15"]


@pytest.mark.parametrize("path", ["/v1/rfm/segments", "/v1/customers/u1/rfm"])
def test_a_day_that_is_not_there_is_not_found(filled: TestClient, path: str) -> None:
    response = filled.get(f"{path}?as_of_date=2026-03-20")
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no RFM as of 2026-03-20: the newest day is 2026-03-14."


@pytest.mark.parametrize("path", ["/v1/rfm/segments", "/v1/customers/u1/rfm"])
@pytest.mark.parametrize("query", ["as_of_date=today", "as_of=2026-03-14"])
def test_what_cannot_be_used_is_refused(filled: TestClient, path: str, query: str) -> None:
    assert filled.get(f"{path}?{query}").status_code == 422


def test_one_customer_on_the_newest_day(filled: TestClient, refresher: Refresher) -> None:
    assert exact(filled.get("/v1/customers/u1/rfm").text) == {
        "user_id": "u1",
        "as_of_date": "2026-03-14",
        "recency_days": 1,
        "frequency": 7,
        "monetary": "700.50",
        "r_score": 5,
        "f_score": 4,
        "m_score": 3,
        "segment": "champions",
        "table_version": 0,
        "known_at": committed_at(refresher),
    }


def test_one_customer_on_an_earlier_day(filled: TestClient) -> None:
    body: dict[str, Any] = exact(filled.get("/v1/customers/u1/rfm?as_of_date=2026-03-13").text)
    assert (body["as_of_date"], body["monetary"], body["frequency"]) == ("2026-03-13", "600.00", 6)


@pytest.mark.parametrize("user", ["u4", "u1%27%20OR%201=1", "U1", "%F0%9F%98%80", "x" * 200])
def test_an_unknown_customer_is_not_found(filled: TestClient, user: str) -> None:
    response = filled.get(f"/v1/customers/{user}/rfm")
    assert (response.status_code, response.json()["type"]) == (404, "urn:globalmart:problem:not-found")


def test_an_empty_table_has_no_day(client: TestClient, lake: Lake, refresher: Refresher) -> None:
    lake.write(CUSTOMER_RFM, [])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    for path in ("/v1/rfm/segments", "/v1/customers/u1/rfm", "/v1/rfm/segments?as_of_date=2026-03-14"):
        assert client.get(path).status_code == 404
