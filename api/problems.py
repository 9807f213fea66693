"""Errors as problem documents (RFC 9457): the model, the response, and the handlers that turn every error into one."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from api.errors import (
    ConflictError,
    CursorError,
    CursorGoneError,
    DeskAwayError,
    ForbiddenError,
    NotAcceptableError,
    NotFoundError,
    QueryLimitError,
    ServingError,
    ServingFileError,
    SourceError,
    TableMissingError,
)
from api.headers import SECURITY_HEADERS

MEDIA_TYPE = "application/problem+json"
_URN = "urn:globalmart:problem:"
log = logging.getLogger(__name__)


class InvalidValue(BaseModel):
    """One value of the request that is not usable."""

    where: str = Field(description="Place and name of the value, e.g. `query.limit`.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """A problem document as RFC 9457 defines it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{_URN}unauthorized",
                "title": "API key missing or wrong",
                "status": 401,
                "detail": "Send your API key in the header X-API-Key.",
                "instance": "/v1/sales",
            }
        }
    )

    type: str = Field(description="Kind of problem, a URN that stays the same.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened here, and what to do.")
    instance: str = Field(description="Path of the request.")
    missing: str | None = Field(None, description="The table that is not there yet, as `layer/name`.")
    errors: list[InvalidValue] | None = Field(None, description="Each value that is not usable.")


# slug -> (status, title)
KINDS: dict[str, tuple[int, str]] = {
    "bad-cursor": (400, "Cursor not usable"),
    "unauthorized": (401, "API key missing or wrong"),
    "forbidden": (403, "Not allowed with this key"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "not-acceptable": (406, "Format not offered"),
    "conflict": (409, "Not possible in this state"),
    "body-too-slow": (408, "Body too slow to arrive"),
    "cursor-gone": (410, "Version no longer served"),
    "body-too-large": (413, "Body too large"),
    "uri-too-long": (414, "Address too long"),
    "invalid-request": (422, "Request not usable"),
    "rate-limited": (429, "Too many requests"),
    "internal": (500, "Internal error"),
    "table-missing": (503, "Table not materialised yet"),
    "not-ready": (503, "Nothing to serve from"),
    "query-limit": (503, "Question too large"),
    "source-away": (503, "The lake cannot be read"),
    "desk-away": (503, "Alert desk away"),
    "overloaded": (503, "Too much at once"),
    "keys-away": (503, "Keys cannot be looked up"),
}
# Any route under a key may answer with these, whatever it does.
ALWAYS = ("unauthorized", "forbidden", "uri-too-long", "rate-limited", "overloaded", "keys-away", "internal")
_BY_ERROR: tuple[tuple[type[ServingError], str], ...] = (
    (CursorGoneError, "cursor-gone"),
    (CursorError, "bad-cursor"),
    (ForbiddenError, "forbidden"),
    (NotAcceptableError, "not-acceptable"),
    (ConflictError, "conflict"),
    (SourceError, "source-away"),
    (DeskAwayError, "desk-away"),
    (NotFoundError, "not-found"),
    (QueryLimitError, "query-limit"),
    (TableMissingError, "table-missing"),
    (ServingFileError, "not-ready"),
)
_RETRY_SECONDS = {
    "table-missing": "10", "not-ready": "2", "query-limit": "10", "source-away": "10", "desk-away": "5",
    "overloaded": "1", "keys-away": "5", "rate-limited": "1",
}  # fmt: skip


def problem_response(kind: str, detail: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document of a kind in `KINDS`. It carries the security headers itself, for a 500 passes no middleware."""
    status, title = KINDS[kind]
    problem = Problem(type=_URN + kind, title=title, status=status, detail=detail, instance=path, **more)
    body = orjson.dumps(problem.model_dump(exclude_none=True))
    retry = {"Retry-After": _RETRY_SECONDS[kind]} if kind in _RETRY_SECONDS else {}
    return Response(body, status, {**SECURITY_HEADERS, **retry, **(headers or {})}, MEDIA_TYPE)


def _on_serving_error(request: Request, error: Exception) -> Response:
    kind = next((slug for cls, slug in _BY_ERROR if isinstance(error, cls)), "internal")
    missing = error.path if isinstance(error, TableMissingError) else None
    return problem_response(kind, str(error), request.url.path, missing=missing)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    path, headers = request.url.path, dict(error.headers or {})
    if error.status_code == 405:
        allowed = headers.get("Allow", "another method")
        return problem_response(
            "method-not-allowed", f"{request.method} is not possible here: use {allowed}.", path, headers
        )
    if error.status_code == 404:
        return problem_response("not-found", f"There is no {path}: /docs lists the routes.", path, headers)
    kind = {408: "body-too-slow", 413: "body-too-large"}.get(error.status_code, "invalid-request")
    return problem_response(kind, str(error.detail), path, headers)


def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [
        InvalidValue(where=".".join(str(part) for part in item["loc"]), message=_sentence(item))
        for item in error.errors()
    ]
    detail = "; ".join(f"{item.where}: {item.message}" for item in errors[:5])
    return problem_response("invalid-request", detail, request.url.path, errors=errors)


def _sentence(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such parameter; /docs lists them"
    return str(item["msg"]).removeprefix("Value error, ")


def _on_bug(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        "internal", "The request failed through an error of ours; the log has the details.", request.url.path
    )


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ServingError, _on_serving_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_bug)


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that a route may answer with, each with an example; those of `ALWAYS` belong to every route."""
    entries: dict[int | str, dict[str, Any]] = {}
    for kind in dict.fromkeys((*ALWAYS, *kinds)):
        status, title = KINDS[kind]
        entry = entries.setdefault(
            status,
            {
                "description": title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        if title not in entry["description"]:
            entry["description"] += f"; {title[0].lower()}{title[1:]}"
        entry["content"][MEDIA_TYPE]["examples"][kind] = {
            "summary": title,
            "value": {"type": _URN + kind, "title": title, "status": status, **_EXAMPLES[kind]},
        }
    return entries


_EXAMPLES: dict[str, dict[str, Any]] = {
    "bad-cursor": {"detail": "The cursor was not made by this API: start again without one.", "instance": "/v1/sales"},
    "unauthorized": {"detail": "Send your API key in the header X-API-Key.", "instance": "/v1/sales"},
    "forbidden": {
        "detail": "This needs a key of the role operator; yours is viewer.",
        "instance": "/v1/alerts/3f9a2c41/resolve",
    },
    "not-found": {
        "detail": "The customer u99999999 is not in the table as of 2026-03-14.",
        "instance": "/v1/customers/u99999999/rfm",
    },
    "not-acceptable": {
        "detail": "This answers in application/json, text/csv: name one of them in Accept.",
        "instance": "/v1/products",
    },
    "conflict": {
        "detail": "Alert 3f9a2c41 was resolved by ada at 2026-03-14 11:02 UTC: should it come again, that is a new alert.",
        "instance": "/v1/alerts/3f9a2c41/acknowledge",
    },
    "source-away": {
        "detail": "gold/product_performance: it cannot be read (connection refused).",
        "instance": "/v1/products/performance",
    },
    "desk-away": {"detail": "PostgreSQL: connection refused", "instance": "/v1/alerts"},
    "body-too-slow": {"detail": "The body did not arrive within 10 seconds.", "instance": "/v1/query"},
    "body-too-large": {
        "detail": "The body is larger than 1,048,576 bytes, which is the most that is taken.",
        "instance": "/v1/query",
    },
    "uri-too-long": {
        "detail": "The address has 20,000 bytes, 16,384 are allowed: ask for less at once.",
        "instance": "/v1/sales",
    },
    "rate-limited": {
        "detail": "This key has asked more than 300 times within a second: ask again later.",
        "instance": "/v1/sales",
    },
    "overloaded": {
        "detail": "The API has as much in hand as it can answer quickly: ask again in a second.",
        "instance": "/v1/sales",
    },
    "keys-away": {
        "detail": "Whether this API key is good cannot be told now: the store of keys does not answer.",
        "instance": "/v1/sales",
    },
    "cursor-gone": {
        "detail": "The table was reloaded since this cursor was made: start again without one.",
        "instance": "/v1/sales",
    },
    "invalid-request": {
        "detail": "query.limit: Input should be greater than or equal to 1",
        "instance": "/v1/sales",
        "errors": [{"where": "query.limit", "message": "Input should be greater than or equal to 1"}],
    },
    "internal": {
        "detail": "The request failed through an error of ours; the log has the details.",
        "instance": "/v1/sales",
    },
    "table-missing": {
        "detail": "The table gold/sales_by_minute has not been materialised yet, so this route has nothing to answer from.",
        "instance": "/v1/sales",
        "missing": "gold/sales_by_minute",
    },
    "not-ready": {
        "detail": "There is no serving file yet: the refresher has not published one.",
        "instance": "/v1/sales",
    },
    "query-limit": {
        "detail": "The answer took longer than 10 seconds: ask for a shorter time or fewer groups.",
        "instance": "/v1/sales",
    },
}
