"""List resources: whole rows, filters, orders, pages, fields, rights, each against literal rows."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from .test_sales import exact

LISTS = {
    "/v1/trends": 2,
    "/v1/cohorts": 2,
    "/v1/products": 3,
    "/v1/product-performance": 4,
    "/v1/basket-pairs": 1,
    "/v1/customers": 3,
    "/v1/customer-values": 3,
    "/v1/rfm/movements": 2,
    "/v1/sessions": 2,
    "/v1/carts": 2,
    "/v1/funnel": 1,
    "/v1/inventory": 3,
    "/v1/anomalies": 3,
}


def rows(client: TestClient, path: str, *fields: str) -> list[tuple[Any, ...]]:
    """The values of `fields`, in order, numbers as text."""
    mark = "&" if "?" in path else "?"
    response = client.get(path + mark + "&".join(f"fields={name}" for name in fields))
    assert response.status_code == 200, response.text
    return [tuple(row[name] for name in fields) for row in exact(response.text)["data"]]


@pytest.mark.parametrize(
    ("path", "fields", "expected"),
    [
        ("/v1/trends", ("period_start", "revenue"), [("2026-03-13", "100.00"), ("2026-03-14", "110.50"), ("2026-03-15", None)]),
        ("/v1/trends?country=US&country=DE&sort=-revenue", ("country", "revenue"), [("US", "60.00"), ("DE", "40.00")]),
        ("/v1/trends?is_forecast=true", ("revenue_forecast_low", "revenue_forecast", "revenue_forecast_high"), [("90.00", "120.25", "150.00")]),
        ("/v1/trends?since=2026-03-14&before=2026-03-15", ("period_start",), [("2026-03-14",)]),
        ("/v1/cohorts", ("month_number", "active_count", "retention_rate"), [(0, 10, "1.0"), (1, 4, "0.4")]),
        ("/v1/cohorts?country=US", ("customer_count", "active_count"), [(10, 6)]),
        ("/v1/products", ("name", "price"), [("Decaf Beans", "4.10"), ("House Beans", "12.30"), ("Ridge Tent", "199.99")]),
        ("/v1/products?search=BEAN&max_price=12.29", ("name",), [("Decaf Beans",)]),
        ("/v1/products?category=Tents", ("product_id",), [("p2",)]),
        ("/v1/product-performance?min_revenue=1", ("product_id", "revenue"), [("p2", "199.99"), ("p1", "20.30"), ("p3", "4.10")]),
        ("/v1/product-performance?category=Coffee&max_rank=1", ("product_id",), [("p1",)]),
        ("/v1/product-performance?sort=-revenue_rank&sort=product_id", ("product_id",), [("p3",), ("p1",), ("p2",), ("p4",)]),
        ("/v1/basket-pairs?min_lift=2", ("product_a_id", "product_b_id", "lift"), [("p1", "p2", "2.14")]),
        ("/v1/customers", ("user_id", "segment", "monetary"), [("u1", "champions", "700.50"), ("u2", "champions", "550.00"), ("u3", "lost", "9.99")]),
        ("/v1/customers?as_of_date=2026-03-13", ("user_id", "monetary"), [("u1", "600.00")]),
        ("/v1/customers?segment=champions&min_monetary=600", ("user_id",), [("u1",)]),
        ("/v1/customer-values?min_p_alive=0.5", ("user_id", "predicted_value"), [("u2", "44.00"), ("u1", "31.50")]),
        ("/v1/rfm/movements", ("from_segment", "to_segment", "customer_count"), [("champions", "champions", 1), ("champions", "lost", 2)]),
        # Of a visit that changed the newest row counts, and one that became part of another is gone.
        ("/v1/sessions", ("user_id", "view_count", "revenue"), [("u2", 2, "0.00"), ("u1", 3, "12.30")]),
        ("/v1/sessions?is_open=true", ("user_id",), []),
        ("/v1/sessions?since=2026-03-14T09:00:00Z&before=2026-03-14T09:10:00Z", ("user_id",), [("u1",)]),
        ("/v1/carts?status=abandoned", ("cart_id", "amount"), [("c1", "12.30")]),
        ("/v1/carts?user_id=u2", ("cart_id", "status"), [("c2", "purchased")]),
        ("/v1/funnel", ("session_count", "conversion_rate"), [(10, "0.1")]),
        ("/v1/funnel?category=Coffee", ("session_count",), [(4,)]),
        ("/v1/inventory", ("product_id", "level", "status"), [("p2", 0, "out"), ("p1", 3, "low"), ("p3", 90, "ok")]),
        ("/v1/inventory?status=low&status=out", ("product_id",), [("p2",), ("p1",)]),
        ("/v1/inventory?max_days_of_cover=1", ("product_id", "days_of_cover"), [("p1", "0.5")]),
        ("/v1/anomalies", ("anomaly_id", "detector"), [("a3", "regional_drop"), ("a2", "purchase_burst"), ("a1", "amount_outlier")]),
        ("/v1/anomalies?country=US&min_score=0.9", ("anomaly_id", "explanation"), [("a1", "u1 spent a lot")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_rows_are_those_that_are_asked_for(
    api: TestClient, path: str, fields: tuple[str, ...], expected: list[tuple[Any, ...]]
) -> None:
    assert rows(api, path, *fields) == expected


def test_a_whole_row_has_every_column_in_the_form_of_the_contract(api: TestClient) -> None:
    text = api.get("/v1/carts?status=purchased").text
    assert text == (
        '{"data":[{"opened_date":"2026-03-14","cart_id":"c2","user_id":"u2","country":"DE","status":"purchased",'
        '"opened_at":"2026-03-14T09:00:00Z","last_activity_at":"2026-03-14T09:30:00Z","abandoned_at":null,'
        '"purchased_at":null,"recovered_at":null,"amount":8.00,"unit_count":0,"product_count":0,'
        '"known_at":"2026-03-14T11:00:00.123000Z"}],"next_cursor":null,"table_version":0,'
        '"known_at":"2026-03-14T11:00:00.123000Z"}'
    )


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_one_row_add_up_to_the_whole_in_every_order(api: TestClient, path: str) -> None:
    document = api.app.openapi()  # type: ignore[attr-defined]
    parameters = {one["name"]: one for one in document["paths"][path]["get"]["parameters"]}
    orders = parameters["sort"]["schema"]["items"]["enum"]
    for order in orders[:: max(1, len(orders) // 9)]:
        whole = api.get(path, params={"sort": order}).json()
        assert len(whole["data"]) >= LISTS[path]
        found, cursor = [], None
        while True:
            page = api.get(path, params={"sort": order, "limit": 1, **({"cursor": cursor} if cursor else {})}).json()
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == whole["data"], order


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/products?sort=margin", 422),
        ("/v1/products?fields=secret", 422),
        ("/v1/products?limit=0", 422),
        ("/v1/products?limit=1e9", 422),
        ("/v1/products?min_price=cheap", 422),
        ("/v1/products?colour=red", 422),
        ("/v1/sessions?since=2026-03-14", 422),
        ("/v1/sessions?country=XX", 422),
        ("/v1/customers?as_of_date=14.3.2026", 422),
        ("/v1/customers?as_of_date=2020-01-01", 404),
        ("/v1/inventory?status=gone", 422),
        ("/v1/inventory?cursor=forged", 400),
        ("/v1/sessions?as_of=1999-01-01T00:00:00Z", 404),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(api: TestClient, path: str, status: int) -> None:
    response = api.get(path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.json()["detail"]) > 20


def test_a_cursor_is_good_for_its_request_only(api: TestClient) -> None:
    cursor = api.get("/v1/products?limit=1").json()["next_cursor"]
    assert api.get(f"/v1/products?limit=2&cursor={cursor}").status_code == 200
    assert api.get(f"/v1/products?limit=1&category=Tents&cursor={cursor}").status_code == 400
    assert api.get(f"/v1/inventory?cursor={cursor}").status_code == 400


def test_a_key_for_some_countries_sees_their_rows_only(as_key: Callable[..., TestClient]) -> None:
    german = as_key(countries=frozenset({"DE"}), sees_personal=True)
    assert rows(german, "/v1/sessions", "user_id") == [("u2",)]
    assert rows(german, "/v1/carts", "cart_id") == [("c2",)]
    assert rows(german, "/v1/anomalies", "anomaly_id") == [("a2",)]
    assert rows(german, "/v1/trends", "country", "revenue") == [("DE", "40.00")]
    assert german.get("/v1/funnel").json()["data"] == []
    for path in ("/v1/trends?country=all", "/v1/sessions?country=US", "/v1/customers", "/v1/product-performance"):
        assert german.get(path).status_code == 403, path


def test_without_the_grant_user_ids_are_pseudonyms_everywhere(as_key: Callable[..., TestClient]) -> None:
    client = as_key()
    ((shown, explanation),) = rows(client, "/v1/anomalies?detector=amount_outlier", "user_id", "explanation")
    assert shown.startswith("p_")
    assert explanation == f"{shown} spent a lot"
    assert rows(client, f"/v1/customers?user_id={shown}", "user_id", "monetary") == [(shown, "700.50")]
    assert client.get("/v1/customers?user_id=u1").status_code == 403
    first = client.get("/v1/customers?limit=1").json()
    second = client.get(f"/v1/customers?limit=1&cursor={first['next_cursor']}").json()
    assert [page["data"][0]["monetary"] for page in (first, second)] == [700.5, 550.0]
    assert b'"u1"' not in base64.urlsafe_b64decode(first["next_cursor"] + "==")


def test_a_table_that_is_not_there_is_named_and_not_an_empty_list(client: TestClient, refresher: Any) -> None:
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    for path in LISTS:
        response = client.get(path)
        assert response.status_code == 503, path
        assert response.json()["missing"].startswith("gold/")
