"""GET /v1/ingestion-rates: records by second, minute or hour of Kafka time, what became of them, and why some were refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import formats
from api.deps import AccessDep, GenerationDep
from api.problems import responses
from api.responses import Listing
from api.sums import KINDS, Question, TimeQuery, ask, optional, picked, sheet
from lakehouse.tables import INGESTION_RATES, TIME

router = APIRouter(tags=["operations"])
Topic = Literal["transactions", "product_views", "cart_events", "inventory_events", "users", "products"]
_DIMENSIONS: tuple[Literal["topic", "reasons"], ...] = ("topic", "reasons")
_MEASURES = ("record_count", "accepted_count", "quarantined_count", "duplicate_count", "late_count")


class RatesQuery(TimeQuery):
    interval: Literal["second", "minute", "hour"] = Field(
        "minute", description="Length of a period of Kafka time, in UTC.", examples=["second"]
    )
    topic: list[Topic] = Field([], description="Only these topics; repeat for several.", examples=[["transactions"]])
    group_by: list[Literal["topic", "reasons", "none"]] = Field(
        ["topic"],
        description="What a row is beside its period; repeat for several, `none` for one row per period.",
        examples=[["topic", "reasons"]],
    )
    fields: list[
        Literal[
            "period_start_at",
            "topic",
            "reasons",
            "record_count",
            "accepted_count",
            "quarantined_count",
            "duplicate_count",
            "late_count",
        ]
    ] = Field(
        [],
        max_length=100,
        description="Only these fields of each row; repeat for several. Default: all.",
        examples=[["period_start_at", "late_count"]],
    )


class Rates(BaseModel):
    """Records of one period, of one topic and with the same reasons of quarantine where the answer is grouped by them."""

    model_config = ConfigDict(json_schema_extra=optional)

    period_start_at: datetime = Field(
        description="Start of the period of Kafka time (UTC).", examples=["2026-03-14T10:00:00Z"]
    )
    topic: str | None = Field(description="Kafka topic; null for all together.", examples=["transactions"])
    reasons: str | None = Field(
        description="Rules that the records break, joined by a space, empty where none; null for all together.",
        examples=[""],
    )
    record_count: int = Field(description="Records.", examples=[10])
    accepted_count: int = Field(description="Of these, to silver.", examples=[7])
    quarantined_count: int = Field(description="Of these, to quarantine.", examples=[2])
    duplicate_count: int = Field(description="Of these, duplicates.", examples=[1])
    late_count: int = Field(description="Accepted records behind the watermark.", examples=[1])


class RatesList(Listing[Rates]):
    """A page of rates."""


SCHEMA = pa.schema(
    [
        ("period_start_at", TIME),
        ("topic", pa.string()),
        ("reasons", pa.string()),
        *((name, pa.int64()) for name in _MEASURES),
    ]
)


@router.get(
    "/v1/ingestion-rates",
    summary="Ingestion rates",
    response_description="A page of rates",
    response_model=RatesList,
    responses={**responses(*KINDS), **formats.OPENAPI},
)
def ingestion_rates(
    request: Request, generation: GenerationDep, access: AccessDep, query: Annotated[RatesQuery, Query()]
) -> Response:
    """Records that came in over Kafka: accepted, quarantined and duplicate, of the last 48 hours.

    They are of all countries together. Seconds in which nothing came have no row.
    """
    dimensions = tuple(name for name in _DIMENSIONS if name in query.group_by)
    filters: dict[str, Sequence[str]] = {"topic": query.topic}
    question = Question(INGESTION_RATES, query.interval, dimensions, _MEASURES, filters, "second", access.scope)
    pinned = ask(generation, question, query, "/v1/ingestion-rates")
    return formats.respond(
        request,
        access,
        pinned.meta,
        pinned.page.version,
        lambda: picked(sheet(pinned.answer(), SCHEMA, _DIMENSIONS, dimensions), query.fields),
        pinned.page.known_at,
    )
