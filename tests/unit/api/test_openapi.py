"""The OpenAPI document and the docs page: complete, true (every example runs), and without a CDN."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from api.problems import KINDS

PATHS = {
    "/health", "/ready", "/v1/sales", "/v1/orders", "/v1/rfm/segments", "/v1/customers/{user_id}/rfm", "/v1/trends",
    "/v1/cohorts", "/v1/products", "/v1/products/{product_id}", "/v1/product-performance", "/v1/basket-pairs",
    "/v1/customers", "/v1/customers/{user_id}", "/v1/customer-values", "/v1/rfm/movements", "/v1/sessions", "/v1/carts",
    "/v1/funnel", "/v1/inventory", "/v1/anomalies", "/v1/alerts", "/v1/alerts/{alert_id}",
    "/v1/alerts/{alert_id}/acknowledge", "/v1/alerts/{alert_id}/snooze", "/v1/alerts/{alert_id}/resolve",
    "/v1/ingestion-rates", "/v1/live", "/v1/live/stream", "/v1/books", "/v1/quarantine", "/v1/quality", "/v1/lineage/{figure}",
}  # fmt: skip
# They answer from PostgreSQL, which is not here; the stream does not end by itself.
ELSEWHERE = ("/v1/alerts", "/v1/live/stream")


@pytest.fixture(scope="module")
def document(api: TestClient) -> dict[str, Any]:
    body: dict[str, Any] = api.get("/openapi.json").json()
    return body


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, item in document["paths"].items() for operation in item.values()]


def test_exactly_these_paths_are_described(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == PATHS


def test_every_operation_parameter_and_field_is_described(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
            if parameter["name"] not in ("cursor", "as_of"):
                assert parameter["schema"].get("examples"), (path, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        for field, facts in schema.get("properties", {}).items():
            assert facts.get("description") or "$ref" in str(facts) or name == "ReadyReport", (name, field)


def test_every_error_of_an_operation_is_a_problem_with_a_true_example(document: dict[str, Any]) -> None:
    schema = {**document["components"]["schemas"]["Problem"], "components": document["components"]}
    for path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) < 400 or path == "/ready":
                continue
            content = response["content"]
            assert set(content) == {"application/problem+json"}, (path, status)
            for kind, example in content["application/problem+json"]["examples"].items():
                jsonschema.validate(example["value"], schema)
                assert (example["value"]["status"], example["value"]["title"]) == KINDS[kind]
                assert str(KINDS[kind][0]) == status
        if path.startswith("/v1"):
            assert {"401", "403", "500", "503"} <= set(operation["responses"]), path


def test_every_example_of_every_parameter_runs_and_answers_as_described(
    api: TestClient, document: dict[str, Any]
) -> None:
    ran = 0
    for path, operation in operations(document):
        if path.startswith(ELSEWHERE):
            continue
        parameters = operation.get("parameters", [])
        url = path
        for parameter in parameters:
            if parameter["in"] == "path":
                url = url.replace(f"{{{parameter['name']}}}", parameter["schema"]["examples"][0])
        queries: list[dict[str, Any]] = [{}]
        queries += [
            {parameter["name"]: example}
            for parameter in parameters
            if parameter["in"] == "query"
            for example in parameter["schema"].get("examples", [])
        ]
        queries.append({name: value for query in queries for name, value in query.items()})
        for query in queries:
            response = api.get(url, params=query)
            assert response.status_code == (200 if path != "/ready" else response.status_code), (
                url,
                query,
                response.text,
            )
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(response.json(), {**schema, "components": document["components"]})
            if "data" in response.json():
                assert response.json()["data"], (url, query)
            ran += 1
    assert ran > 150


def test_every_amount_of_money_has_two_decimals(api: TestClient) -> None:
    paths = ("/v1/sales", "/v1/orders", "/v1/rfm/segments", "/v1/customers/u1/rfm", "/v1/customers/u1", "/v1/products/p1",
             "/v1/products", "/v1/carts", "/v1/customer-values", "/v1/cohorts", "/v1/books", "/v1/live")  # fmt: skip
    for path in paths:
        text = api.get(path).text
        money = re.findall(
            r'"(?:revenue|revenue_last_hour|average_order_value|monetary|mean_\w+|price|amount|\w+_by_minute|predicted_value)":([^,}]+)',
            text,
        )
        assert money
        assert all(re.fullmatch(r"\d+\.\d\d", value) for value in money), text


def test_the_docs_page_takes_everything_from_this_server(filled: TestClient) -> None:
    page = filled.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "http" not in page.text
    assert "<script>" not in page.text
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert links
    for link in links:
        response = filled.get(link)
        assert response.status_code == 200, link
        assert response.content
    assert filled.get("/docs/swagger-ui-bundle.js").headers["content-type"].startswith("text/javascript")
