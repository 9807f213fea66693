"""GET /v1/sales: units, lines and revenue per period, country and category."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api import formats
from api.deps import AccessDep, GenerationDep
from api.problems import responses
from api.responses import Listing, Money
from api.sums import KINDS, PeriodQuery, Question, ask, optional, picked, sheet
from lakehouse.tables import MONEY, SALES_BY_MINUTE, TIME

router = APIRouter(tags=["sales"])
_DIMENSIONS: tuple[Literal["country", "category"], ...] = ("country", "category")


class SalesQuery(PeriodQuery):
    category: list[str] = Field(
        [], max_length=100, description="Only these categories; repeat for several.", examples=[["Coffee", "Tents"]]
    )
    group_by: list[Literal["country", "category", "none"]] = Field(
        ["country", "category"],
        description="What a row is beside its period; repeat for several, `none` for one row per period.",
        examples=[["country"]],
    )

    fields: list[Literal["period_start_at", "country", "category", "unit_count", "line_count", "revenue"]] = Field(
        [],
        max_length=100,
        description="Only these fields of each row; repeat for several. Default: all.",
        examples=[["period_start_at", "revenue"]],
    )

    @model_validator(mode="after")
    def _none_stands_alone(self) -> SalesQuery:
        if "none" in self.group_by and len(set(self.group_by)) > 1:
            raise ValueError("`group_by=none` cannot be joined with another")
        return self


class Sales(BaseModel):
    """Sales of one period, of one country and category where the answer is grouped by them."""

    model_config = ConfigDict(json_schema_extra=optional)

    period_start_at: datetime = Field(description="Start of the period (UTC).", examples=["2026-03-14T09:00:00Z"])
    country: str | None = Field(description="Country of the visit; null for all together.", examples=["US"])
    category: str | None = Field(description="Category of the product; null for all together.", examples=["Coffee"])
    unit_count: int = Field(description="Units sold.", examples=[3])
    line_count: int = Field(description="Order lines.", examples=[2])
    revenue: Money = Field(description="Sum of the lines' amounts, USD.", examples=[12.30])


class SalesList(Listing[Sales]):
    """A page of sales."""


SCHEMA = pa.schema(
    [("period_start_at", TIME), ("country", pa.string()), ("category", pa.string()), ("unit_count", pa.int64()),
     ("line_count", pa.int64()), ("revenue", MONEY)]
)  # fmt: skip


@router.get(
    "/v1/sales",
    summary="Sales by period, country and category",
    response_description="A page of sales",
    response_model=SalesList,
    responses={**responses(*KINDS), **formats.OPENAPI},
)
def sales(
    request: Request, generation: GenerationDep, access: AccessDep, query: Annotated[SalesQuery, Query()]
) -> Response:
    """Units, order lines and revenue of accepted transactions, by event time.

    Rows are sorted by period, country and category. Periods without sales have no row. All pages of one answer
    come from one version of the table, whatever is sold meanwhile.
    """
    dimensions = tuple(name for name in _DIMENSIONS if name in query.group_by)
    filters: dict[str, Sequence[str]] = {
        "country": access.countries_for(query.country),
        "category": query.category,
    }
    measures = ("unit_count", "line_count", "revenue")
    question = Question(SALES_BY_MINUTE, query.interval, dimensions, measures, filters, scope=access.scope)
    pinned = ask(generation, question, query, "/v1/sales")
    return formats.respond(
        request,
        access,
        pinned.meta,
        pinned.page.version,
        lambda: picked(sheet(pinned.answer(), SCHEMA, _DIMENSIONS, dimensions), query.fields),
        pinned.page.known_at,
    )
