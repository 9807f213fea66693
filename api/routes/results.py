"""GET /v1/quality and /v1/lineage/{table}: what batch runs found of the tables, and what a figure is made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from api.deps import GenerationDep, SettingsDep
from api.errors import NotFoundError
from api.lineage import Cut, Source, offsets_of, trace
from api.problems import responses
from api.responses import ExactJSONResponse
from api.served import HOW
from lakehouse.settings import Settings
from lakehouse.tables import BY_PATH

router = APIRouter(tags=["operations"])
# Any of them, as the OpenAPI document lists them: names of tables are not written down twice.
_NAMES = [name for name, one in HOW.items() if one.table.layer == "gold"]
_PATHS = list(BY_PATH)


def _one_of(names: list[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no table {name}; there are {', '.join(names)}")
        return name

    return check


TableName = Annotated[
    str, AfterValidator(_one_of(_NAMES)), WithJsonSchema({"type": "string", "enum": _NAMES, "examples": _NAMES[:1]})
]
TablePath = Annotated[str, AfterValidator(_one_of(_PATHS)), WithJsonSchema({"type": "string", "enum": _PATHS})]


class QualityQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    table: list[TablePath] = Field(
        [], description="Only these tables, as layer/name; repeat for several.", examples=[["gold/fact_sales"]]
    )
    passed: bool | None = Field(None, description="Only what holds, or only what fails.", examples=[True])
    limit: int = Field(500, ge=1, le=5000, description="Most rows.", examples=[100])


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


class QualityList(BaseModel):
    """The newest results."""

    data: list[QualityResult] = Field(description="Newest first.")
    next_cursor: str | None = Field(None, description="Always null: the newest 50 runs are kept, and they fit.")


@router.get(
    "/v1/quality",
    summary="Data quality results",
    response_description="The results",
    response_model=QualityList,
    responses=responses("invalid-request"),
)
def quality_results(settings: SettingsDep, query: Annotated[QualityQuery, Query()]) -> ExactJSONResponse:
    """How each table fared in the batch runs of late, newest first; empty before the first run."""
    found = [
        one
        for one in _results(settings)
        if (not query.table or one.table in query.table) and query.passed in (None, one.passed)
    ]
    found.sort(key=lambda one: (one.judged_at, one.table), reverse=True)
    return ExactJSONResponse(QualityList(data=found[: query.limit], next_cursor=None))


def _results(settings: Settings) -> list[QualityResult]:
    results = []
    for path in sorted((settings.quality_dir / "runs").glob("*/results.jsonl")):
        run = path.parent.name
        for line in path.read_text(encoding="utf-8").splitlines():
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
    """What a table's figures are made from, down to Kafka."""

    table: str = Field(description="The table, as layer/name.", examples=["gold/sales_by_minute"])
    grain: str = Field(description="What one of its rows is.")
    version: int = Field(description="Its Delta version.", examples=[12])
    committed_at: datetime | None = Field(description="When that version was committed (UTC).")
    sources: list[Source] = Field(description="Every table on the way down to bronze, with the version that was read.")
    cut: Cut | None = Field(
        description="The micro-batch and the Kafka offsets that are in it; null before the first ledger entry."
    )


@router.get(
    "/v1/lineage/{table}",
    summary="Where figures come from",
    response_description="The lineage",
    response_model=Lineage,
    responses=responses("not-found", "invalid-request", "table-missing", "not-ready", "source-away"),
)
def lineage(
    generation: GenerationDep,
    settings: SettingsDep,
    table: Annotated[TableName, Path(description="A gold table.")],
    query: Annotated[LineageQuery, Query()],
) -> ExactJSONResponse:
    """From a figure's table at its version through every table that it was made from, with their versions, to the offsets in Kafka.

    Tables of the streaming service are tied to each other by the ledger, those of batch runs by the note in their commit.
    """
    asked = HOW[table].table
    generation.meta(asked)
    found = trace(settings, asked, query.as_of_date)
    if found is None:
        raise NotFoundError(f"{asked.path} has not been made for {query.as_of_date}.")
    return ExactJSONResponse(
        Lineage(
            table=asked.path,
            grain=asked.grain,
            version=found.version,
            committed_at=found.committed_at,
            sources=found.sources,
            cut=offsets_of(generation, found),
        )
    )
