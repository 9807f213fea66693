"""The OpenAPI document and the docs page: complete, true (every example runs), and without a CDN."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from api.problems import KINDS

PATHS = {"/health", "/ready", "/v1/sales", "/v1/orders", "/v1/rfm/segments", "/v1/customers/{user_id}/rfm"}


@pytest.fixture
def document(filled: TestClient) -> dict[str, Any]:
    body: dict[str, Any] = filled.get("/openapi.json").json()
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
            if parameter["name"] != "cursor":
                assert parameter["schema"].get("examples"), (path, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        for field, facts in schema["properties"].items():
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
            assert {"401", "422", "500", "503"} <= set(operation["responses"]), path


def test_every_example_of_every_parameter_runs_and_answers_as_described(
    filled: TestClient, document: dict[str, Any]
) -> None:
    ran = 0
    for path, operation in operations(document):
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
            response = filled.get(url, params=query)
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
    assert ran > 20


def test_every_number_with_a_fraction_has_two_decimals(filled: TestClient) -> None:
    for path in ("/v1/sales", "/v1/orders", "/v1/rfm/segments", "/v1/customers/u1/rfm"):
        text = filled.get(path).text
        money = re.findall(r'"(?:revenue|average_order_value|monetary|mean_\w+)":([^,}]+)', text)
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
