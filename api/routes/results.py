"""GET /v1/quality and /v1/lineage/{figure}: what batch runs found of the tables, and what a figure is made from."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from api import formats
from api.cursors import Page, decode, encode, fingerprint
from api.deps import AccessDep, GenerationDep, SettingsDep
from api.errors import NotFoundError
from api.lineage import Cut, Source, offsets_of, trace
from api.manifest import TableMeta
from api.problems import responses
from api.responses import Listing
from api.served import HOW
from api.sums import Paged
from lakehouse.settings import Settings
from lakehouse.tables import BY_PATH, TIME

router = APIRouter(tags=["operations"])
# Any of them, as the OpenAPI document lists them: names of tables are not written down twice.
_NAMES = [name for name, one in HOW.items() if one.table.layer == "gold"]
# Key figures of the dashboards, by the table that each is a sum over
_FIGURES = {
    "revenue": "sales_by_minute",
    "units": "sales_by_minute",
    "orders": "orders_by_minute",
    "average_order_value": "orders_by_minute",
    "conversion": "sessions",
}
_PATHS = list(BY_PATH)


def _one_of(names: list[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no {name}; there are {', '.join(names)}")
        return name

    return check


FigureName = Annotated[
    str,
    AfterValidator(_one_of([*_FIGURES, *_NAMES])),
    WithJsonSchema({"type": "string", "enum": [*_FIGURES, *_NAMES], "examples": ["revenue"]}),
]
TablePath = Annotated[str, AfterValidator(_one_of(_PATHS)), WithJsonSchema({"type": "string", "enum": _PATHS})]


class QualityQuery(Paged):
    table: list[TablePath] = Field(
        [], description="Only these tables, as layer/name; repeat for several.", examples=[["gold/fact_sales"]]
    )
    passed: bool | None = Field(None, description="Only what holds, or only what fails.", examples=[True])


class QualityResult(BaseModel):
    """How one table fared in one run."""

    run_id: str = Field(description="The run.", examples=["run-1"])
    table: str = Field(description="The table, as layer/name.", examples=["gold/fact_sales"])
    day: date | None = Field(
        description="The day that was judged; null for a table without days.", examples=["2026-03-14"]
    )
    passed: bool = Field(description="Whether every expectation holds.", examples=[True])
    expectation_count: int = Field(description="Expectations.", examples=[12])
    failed_count: int = Field(description="Of these, how many fail.", examples=[0])
    row_count: int = Field(description="Rows that were judged.", examples=[1000])
    duration_seconds: float = Field(description="How long it took, seconds.", examples=[1.5])
    judged_at: datetime = Field(description="When (UTC).", examples=["2026-03-15T01:10:00Z"])
    page: str = Field(
        description="Path of the page with examples of the rows.", examples=["/quality/runs/run-1/gold.fact_sales.html"]
    )


class QualityList(Listing[QualityResult]):
    """A page of results, newest first. The version is the time of the newest one, in whole seconds since 1970."""


_RESULT = pa.schema(
    [("run_id", pa.string()), ("table", pa.string()), ("day", pa.date32()), ("passed", pa.bool_()),
     ("expectation_count", pa.int64()), ("failed_count", pa.int64()), ("row_count", pa.int64()),
     ("duration_seconds", pa.float64()), ("judged_at", TIME), ("page", pa.string())]
)  # fmt: skip
# Runs are only added, so a cursor, which names a result, is good as long as it is ours.
_ANY_VERSION = 2**53


@router.get(
    "/v1/quality",
    summary="Data quality results",
    response_description="A page of results",
    response_model=QualityList,
    responses={**responses("bad-cursor", "not-acceptable", "invalid-request"), **formats.OPENAPI},
)
def quality_results(
    request: Request, settings: SettingsDep, access: AccessDep, query: Annotated[QualityQuery, Query()]
) -> Response:
    """How each table fared in the newest 50 batch runs, newest first; empty before the first run."""
    results = sorted(_results(settings), key=_place, reverse=True)
    newest = results[0].judged_at if results else datetime.now(UTC)
    digest = hashlib.sha256("".join(one.model_dump_json() for one in results).encode()).hexdigest()
    known_at = newest.astimezone(UTC).replace(tzinfo=None)
    version = int(newest.timestamp()) if results else 0
    meta = TableMeta("quality", version, 0, digest, digest, len(results), known_at, known_at)
    signed = replace(meta, epoch="quality", delta_version=_ANY_VERSION)
    question = fingerprint("/v1/quality", query.model_dump())
    key = hmac.digest(bytes.fromhex(settings.api_key_sha256), b"globalmart quality cursors", "sha256").hex()
    page = decode(query.cursor, signed, question, key) if query.cursor else Page(version, known_at)

    def answer() -> formats.Sheet:
        found = [
            one
            for one in results
            if (not query.table or one.table in query.table)
            and query.passed in (None, one.passed)
            and (not page.last or _place(one) < page.last)
        ]
        next_cursor = None
        if len(found) > query.limit:
            next_cursor = encode(replace(page, last=_place(found[query.limit - 1])), signed, question, key)
        rows = [tuple(one.model_dump().values()) for one in found[: query.limit]]
        return formats.Sheet(_RESULT, rows, next_cursor, page.version, page.known_at.replace(tzinfo=UTC))

    return formats.respond(request, access, meta, page.version, answer, page.known_at)


def _place(one: QualityResult) -> tuple[str, str, str]:
    """Where a result stands among all."""
    return one.judged_at.astimezone(UTC).isoformat(), one.table, one.run_id


def _results(settings: Settings) -> list[QualityResult]:
    results = []
    for path in sorted((settings.quality_dir / "runs").glob("*/results.jsonl")):
        run = path.parent.name
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:  # a new run has just removed the oldest
            continue
        for line in lines:
            one = json.loads(line)
            at = datetime.fromisoformat(one["at"])
            results.append(
                QualityResult(
                    run_id=run,
                    table=one["table"],
                    day=one["day"],
                    passed=one["passed"],
                    expectation_count=one["expectations"],
                    failed_count=one["failed"],
                    row_count=one["rows"],
                    duration_seconds=one["seconds"],
                    judged_at=at if at.tzinfo else at.replace(tzinfo=UTC),
                    page=f"/quality/runs/{run}/{one['page']}",
                )
            )
    return results


class LineageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    as_of_date: date | None = Field(
        None, description="The day of a mart or fact. Default: whatever was made last.", examples=["2026-03-14"]
    )


class Lineage(BaseModel):
    """What a figure is made from, down to Kafka."""

    figure: str = Field(description="The figure that was asked for.", examples=["revenue"])
    table: str = Field(description="The table, as layer/name.", examples=["gold/sales_by_minute"])
    grain: str = Field(description="What one of its rows is.")
    version: int = Field(description="Its Delta version.", examples=[12])
    committed_at: datetime | None = Field(description="When that version was committed (UTC).")
    sources: list[Source] = Field(description="Every table on the way down to bronze, with the version that was read.")
    cut: Cut | None = Field(
        description="The micro-batch and the Kafka offsets that are in it; null before the first ledger entry."
    )


@router.get(
    "/v1/lineage/{figure}",
    summary="Where figures come from",
    response_description="The lineage",
    response_model=Lineage,
    responses={
        **responses("not-found", "invalid-request", "table-missing", "not-ready", "source-away"),
        **formats.OPENAPI_UNTABLED,
    },
)
def lineage(
    request: Request,
    generation: GenerationDep,
    settings: SettingsDep,
    figure: Annotated[FigureName, Path(description="A key figure of the dashboards, or a gold table.")],
    query: Annotated[LineageQuery, Query()],
) -> Response:
    """From a figure to its table, and from that table's version through every table that it was made from to the offsets in Kafka.

    Tables of the streaming service are tied to each other by the ledger, those of batch runs by the note in their commit.
    """
    asked = HOW[_FIGURES.get(figure, figure)].table
    generation.meta(asked)
    found = trace(settings, asked, query.as_of_date)
    if found is None:
        raise NotFoundError(f"{asked.path} has not been made for {query.as_of_date}.")
    return formats.respond_one(
        request,
        Lineage(
            figure=figure,
            table=asked.path,
            grain=asked.grain,
            version=found.version,
            committed_at=found.committed_at,
            sources=found.sources,
            cut=offsets_of(generation, found),
        ),
    )
