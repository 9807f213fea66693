"""500 payloads in every place of a request that takes free text: the meaning stays literal, the tables stay, nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.refresher import Refresher
from lakehouse import tables as t
from lakehouse.tables import Table

from .conftest import HEADERS, Lake, at, sale, settings_in
from .gold import level, row
from .payloads import PAYLOADS

# A value that is stored as it stands; NUL cannot be sent as part of an address, and is refused there.
STORED = [payload for payload in PAYLOADS if "\x00" not in payload and payload]


def test_there_are_500_of_them() -> None:
    assert len(PAYLOADS) == len(set(PAYLOADS)) == 500


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Tables in which every payload is a value of its own: a category, a product, a name, a segment, a detector."""
    folder: Path = tmp_path_factory.mktemp("payloads")
    settings = settings_in(folder).model_copy(update={"api_requests_per_second": 1_000_000})
    lake = Lake(settings)
    lake.write(t.SALES_BY_MINUTE, [sale(at(9), "US", payload, n + 1, 1, "1.00") for n, payload in enumerate(STORED)])
    lake.write(t.INVENTORY_LEVELS, [level(payload, n, "ok") for n, payload in enumerate(STORED)])
    names = [(f"p{n}", payload) for n, payload in enumerate(STORED)]
    products = [
        row(t.DIM_PRODUCT, product_key=n, product_id=p, name=x, is_current=True) for n, (p, x) in enumerate(names)
    ]
    lake.write(t.DIM_PRODUCT, products)
    members: list[tuple[Table, str]] = [(t.CUSTOMER_RFM, "segment"), (t.RFM_MOVEMENTS, "from_segment")]
    for table, column in members:
        key = "user_id" if table is t.CUSTOMER_RFM else "to_segment"
        lake.write(table, [row(table, **{column: payload, key: f"u{n}"}) for n, payload in enumerate(STORED)])
    refresher = Refresher(settings)
    refresher.refresh()
    assert refresher.problems == {}
    with TestClient(create_app(settings), headers=HEADERS, raise_server_exceptions=False) as test_client:
        yield test_client


def test_a_payload_finds_exactly_the_row_that_has_it(client: TestClient) -> None:
    for number, payload in enumerate(STORED):
        sold = client.get("/v1/sales", params={"category": payload, "group_by": "category", "interval": "day"})
        assert [(r["category"], r["unit_count"]) for r in sold.json()["data"]] == [(payload, number + 1)], payload
        stock = client.get("/v1/inventory", params={"product_id": payload, "fields": ["product_id", "level"]})
        assert stock.json()["data"] == [{"product_id": payload, "level": number}], payload


def test_a_payload_finds_exactly_the_members_and_names_that_have_it(client: TestClient) -> None:
    for number, payload in enumerate(STORED):
        members = client.get("/v1/customers", params={"segment": payload, "fields": "user_id"}).json()["data"]
        assert members == [{"user_id": f"u{number}"}], payload
        found = client.get("/v1/products", params={"search": payload, "fields": "name", "limit": 5000}).json()["data"]
        names = {one["name"] for one in found}
        assert payload in names
        assert names == {one for one in STORED if payload.lower() in one.lower()} or not payload.isascii(), payload


def test_a_payload_for_anything_else_is_refused_or_finds_nothing(client: TestClient) -> None:
    places = ("sort", "fields", "country", "limit", "cursor", "as_of", "since", "user_id")
    for number, payload in enumerate(PAYLOADS):
        place = places[number % len(places)]
        path = (
            "/v1/customers"
            if place in ("sort", "fields", "user_id")
            else "/v1/sales"
            if place == "country"
            else "/v1/inventory"
        )
        response = client.get(path, params={place: payload})
        assert response.status_code in (200, 400, 404, 422), (place, payload, response.text)
        if response.status_code == 200:
            assert (place, payload) == ("cursor", "") or response.json()["data"] == [], (place, payload)
    whole = client.get("/v1/sales", params={"group_by": "none", "interval": "day"}).json()["data"]
    assert whole[0]["line_count"] == len(STORED)


def test_a_payload_in_the_path_is_a_name_and_nothing_else(client: TestClient) -> None:
    for payload in PAYLOADS:
        name = quote(payload, safe="")
        for path in (f"/v1/products/{name}", f"/v1/customers/{name}/rfm", f"/v1/lineage/{name}", f"/quality/{name}"):
            response = client.get(path)
            assert response.status_code in (404, 422, 503), (path, response.text)
            assert "x-injected" not in response.headers
