"""How a page of rows leaves: JSON, CSV, Parquet or Arrow by `Accept`, with version and freshness in headers, and 304 by ETag."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Request, Response
from pydantic import BaseModel

from api.access import Access
from api.errors import NotAcceptableError
from api.manifest import TableMeta
from api.responses import ExactJSONResponse, exact
from api.served import HOW
from api.serving import Serving

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
_CACHE = "private, no-cache"


@dataclass(frozen=True)
class Sheet:
    """One page: rows of values in the order of `schema`, and what they were made from. Times are UTC, with or without zone."""

    schema: pa.Schema
    rows: Sequence[Sequence[Any]]
    next_cursor: str | None
    table_version: int
    known_at: datetime


def wanted(request: Request) -> str:
    """The media type to answer with. Raises NotAcceptableError where none that is offered will do."""
    accepted = _parsed(",".join(request.headers.getlist("accept")) or "*/*")
    refused = {media for media, quality in accepted if quality <= 0}
    for media, quality in sorted(accepted, key=lambda one: -one[1]):
        if quality <= 0:
            continue
        if media in _WRITERS:
            return media
        for offered in _WRITERS:
            if media in ("*/*", f"{offered.partition('/')[0]}/*") and offered not in refused:
                return offered
    raise NotAcceptableError(f"This answers in {', '.join(_WRITERS)}: name one of them in Accept.")


def _parsed(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header.split(","):
        media, *options = (piece.strip().lower() for piece in part.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        try:
            weight = float(quality)
        except ValueError:
            weight = 0.0
        found.append((media, weight if 0 <= weight <= 1 else 0.0))
    return found


def etag(request: Request, access: Access, media: str, meta: TableMeta, version: int) -> str:
    """Changes with the table's version, the question, the format, and with what the key may see."""
    question = f"{request.url.path}?{request.url.query}|{media}|{access.scope}|{meta.epoch}|{version}"
    return f'"{hashlib.sha256(question.encode()).hexdigest()[:24]}"'


def respond(
    request: Request,
    access: Access,
    meta: TableMeta,
    version: int,
    make: Callable[[], Sheet],
    known_at: datetime | None = None,
) -> Response:
    """The answer that `make` gives, in the format asked for; 304 without making it where the caller has it already.

    `known_at` is when the newest of `version` was known (UTC without zone), where that is not the table's newest version.
    """
    media = wanted(request)
    tag = etag(request, access, media, meta, version)
    headers = {
        **_origin(request, meta, version, known_at or meta.known_at),
        "Cache-Control": _CACHE,
        "Vary": "Accept, X-API-Key, Cookie",
    }
    headers["ETag"] = tag
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    sheet = make()
    if sheet.next_cursor and media != JSON:
        headers["X-Next-Cursor"] = sheet.next_cursor
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        headers["Link"] = f'<{request.url.path}?{urlencode([*rest, ("cursor", sheet.next_cursor)])}>; rel="next"'
    return Response(_WRITERS[media](sheet), 200, headers, media)


def respond_one(request: Request, found: BaseModel, meta: TableMeta | None = None) -> Response:
    """One thing with its parts, which no row could hold: JSON whatever is accepted; 304 where the caller has just this already.

    The tag is of the content, since it may be made from several tables; `meta` is of the one that it is of, if there is one.
    """
    answer = ExactJSONResponse(found)
    tag = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:24]}"'
    headers = _origin(request, meta, meta.delta_version, meta.known_at) if meta else {}
    headers |= {"Cache-Control": _CACHE, "Vary": "X-API-Key, Cookie", "ETag": tag}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return answer


def _has(request: Request, tag: str) -> bool:
    given = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    return tag in given or "*" in given


def _origin(request: Request, meta: TableMeta, version: int, known_at: datetime) -> dict[str, str]:
    serving: Serving = request.app.state.serving
    headers = {
        "X-Table-Version": str(version),
        "X-Known-At": _moment(known_at),
        "X-Served-At": _moment(meta.built_at),
    }
    return headers | ({"X-Stale": "true"} if meta.name in HOW and serving.is_stale(meta.name) else {})


def _json(sheet: Sheet) -> bytes:
    names = sheet.schema.names
    body = {
        "data": [dict(zip(names, row, strict=True)) for row in sheet.rows],
        "next_cursor": sheet.next_cursor,
        "table_version": sheet.table_version,
        "known_at": sheet.known_at,
    }
    return orjson.dumps(body, default=exact, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)


def _csv(sheet: Sheet) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(sheet.schema.names)
    writer.writerows([_cell(value) for value in row] for row in sheet.rows)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return orjson.dumps(value, default=exact, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z).decode()
    return value.isoformat() if isinstance(value, date) else value


def _moment(value: datetime) -> str:
    naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return f"{naive.isoformat()}Z"


def _arrow_table(sheet: Sheet) -> pa.Table:
    columns = list(zip(*sheet.rows, strict=True)) if sheet.rows else [() for _ in sheet.schema]
    arrays = [_array(values, field.type) for values, field in zip(columns, sheet.schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=sheet.schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_map(kind):
        values = [None if value is None else list(value.items()) for value in values]
    return pa.array(values, kind)


def _parquet(sheet: Sheet) -> bytes:
    out = io.BytesIO()
    pq.write_table(_arrow_table(sheet), out)
    return out.getvalue()


def _arrow(sheet: Sheet) -> bytes:
    table = _arrow_table(sheet)
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


_WRITERS: dict[str, Callable[[Sheet], bytes]] = {JSON: _json, CSV: _csv, PARQUET: _parquet, ARROW: _arrow}

HEADERS = {
    "ETag": "Changes with the answer: send it as `If-None-Match` to be told 304 while there is nothing new.",
    "X-Table-Version": "Version of the gold table that the answer is made from.",
    "X-Known-At": "When the newest data that the answer is made from was known to the platform (UTC).",
    "X-Served-At": "When the serving files were last brought up to date (UTC).",
    "X-Stale": "`true` while gold cannot be read: the last good version is served.",
    "X-Next-Cursor": "`next_cursor` of formats other than JSON.",
}
"""What an answer says beside its rows."""
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The caller has this answer already (`If-None-Match`)"}
}


def _described(*names: str) -> dict[str, Any]:
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}


OPENAPI: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            CSV: {"schema": {"type": "string"}},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
        "headers": _described(*HEADERS),
    },
    **_UNCHANGED,
}
"""What every list's description says of formats and headers."""
OPENAPI_ONE: dict[int | str, dict[str, Any]] = {
    200: {"headers": _described("ETag", "X-Table-Version", "X-Known-At", "X-Served-At", "X-Stale")},
    **_UNCHANGED,
}
"""What the description of one thing says of its headers, where it is of a table."""
OPENAPI_UNTABLED: dict[int | str, dict[str, Any]] = {200: {"headers": _described("ETag")}, **_UNCHANGED}
"""The same, where it is of no table above others."""
