"""The OpenAPI document: FastAPI's own, with the problem model, and with the key required where auth.py requires it."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.deps import declared
from api.problems import Problem

DESCRIPTION = """Gold figures of the GlobalMart lakehouse, at most a few seconds old.

* **Key**: every route under `/v1` wants the header `X-API-Key`; press *Authorize* and paste the key from `.env`.
* **Lists** are `{data, next_cursor, table_version, known_at}`. Send `next_cursor` as `cursor` for the next page: all pages of one
  answer come from one version of the table.
* **Money** is a JSON number with exactly two decimals, in USD. **Times** are RFC 3339 in UTC; a day is a UTC day.
* **Formats**: `Accept` picks JSON, `text/csv`, `application/vnd.apache.parquet` or `application/vnd.apache.arrow.stream`.
* **Freshness**: `X-Table-Version`, `X-Known-At` and `X-Served-At` say what an answer is made from; send its `ETag` as
  `If-None-Match` and the answer is 304 while there is nothing new.
* **Time travel**: `as_of` asks for a table as it was at a moment, `as_of_date` for a day of a mart.
* **Errors** are problem documents (RFC 9457) whose `detail` says what to do.
"""
TAGS = [
    {"name": "sales", "description": "What is sold, by event time."},
    {"name": "products", "description": "The catalogue, how products do, and what is bought together."},
    {"name": "visits", "description": "Sessions, carts and the funnel."},
    {"name": "inventory", "description": "Stock, by the second."},
    {"name": "operations", "description": "What runs, what is wrong, and where figures come from."},
    {"name": "customers", "description": "Customers by recency, frequency and monetary value."},
    {"name": "health", "description": "For the operator and the load balancer; no key needed."},
]


def install(app: FastAPI) -> None:
    """Make `app.openapi` give the document; built at the first request for it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            models = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schema["components"]["schemas"].update(models.pop("$defs"))
            schema["components"]["schemas"]["Problem"] = models
            for operations in schema["paths"].values():
                for operation in operations.values():
                    _simplify(operation.get("parameters", []))
            _name_roles(app, schema["paths"])
            _link(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _name_roles(app: FastAPI, paths: dict[str, Any]) -> None:
    """`x-required-role`, the least role of an operation, and `x-all-countries` where keys for some countries are refused."""
    for path, methods, needs in declared(app):
        for method in methods & {name.upper() for name in paths.get(path, {})} if needs else ():
            operation = paths[path][method.lower()]
            operation["x-required-role"] = max(need.role for need in needs).name
            operation["x-all-countries"] = any(need.all_countries for need in needs)


def _link(schema: dict[str, Any]) -> None:
    """Links of the lists: to their next page, and to the operations on one of their rows, which name a column of it in their path."""
    operations = [(path, one) for path, methods in schema["paths"].items() for one in methods.values()]
    about_one: dict[str, list[str]] = {}
    for path, operation in operations:
        for name in re.findall(r"{(\w+)}", path):
            about_one.setdefault(name, []).append(operation["operationId"])
    for path, operation in operations:
        columns = _row(schema, operation)
        if columns is None or "{" in path:
            continue
        links: dict[str, Any] = {}
        if any(one["name"] == "cursor" for one in operation["parameters"]):
            page = {"cursor": "$response.body#/next_cursor"}
            links["next_page"] = {"operationId": operation["operationId"], "parameters": page}
        for name in sorted(columns & about_one.keys()):
            where = {f"path.{name}": f"$response.body#/data/0/{name}"}
            links |= {to: {"operationId": to, "parameters": where} for to in about_one[name]}
        operation["responses"]["200"]["links"] = links


def _row(schema: dict[str, Any], operation: dict[str, Any]) -> set[str] | None:
    """The columns of a row of a list; None where the operation is none."""
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    body = _model(schema, answer).get("properties", {})
    if not {"data", "next_cursor"} <= body.keys():
        return None
    return set(_model(schema, body["data"]["items"]).get("properties", {}))


def _model(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    found: dict[str, Any] = schema["components"]["schemas"].get(part.get("$ref", "").rpartition("/")[2], part)
    return found


def _simplify(parameters: list[dict[str, Any]]) -> None:
    """Leave out that an optional parameter may be null (a query cannot say null), and put paging last."""
    for parameter in parameters:
        choices = parameter["schema"].pop("anyOf", [])
        parameter["schema"].update(next((choice for choice in choices if choice != {"type": "null"}), {}))
    parameters.sort(key=lambda parameter: parameter["name"] in {"limit", "cursor"})
