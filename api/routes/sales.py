"""GET /v1/sales: units, lines and revenue per period, country and category."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator

from api.deps import GenerationDep
from api.problems import responses
from api.responses import ExactJSONResponse, Listing, Money
from api.sums import PeriodQuery, Question, ask
from lakehouse.tables import SALES_BY_MINUTE

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

    @model_validator(mode="after")
    def _none_stands_alone(self) -> SalesQuery:
        if "none" in self.group_by and len(set(self.group_by)) > 1:
            raise ValueError("`group_by=none` cannot be joined with another")
        return self


class Sales(BaseModel):
    """Sales of one period, of one country and category where the answer is grouped by them."""

    period_start_at: datetime = Field(description="Start of the period (UTC).", examples=["2026-03-14T09:00:00Z"])
    country: str | None = Field(description="Country of the visit; null for all together.", examples=["US"])
    category: str | None = Field(description="Category of the product; null for all together.", examples=["Coffee"])
    unit_count: int = Field(description="Units sold.", examples=[3])
    line_count: int = Field(description="Order lines.", examples=[2])
    revenue: Money = Field(description="Sum of the lines' amounts, USD.", examples=[12.30])


class SalesList(Listing[Sales]):
    """A page of sales."""


@router.get(
    "/v1/sales",
    summary="Sales by period, country and category",
    response_description="A page of sales",
    response_model=SalesList,
    responses=responses("bad-cursor", "cursor-gone", "invalid-request", "table-missing", "not-ready", "query-limit"),
)
def sales(generation: GenerationDep, query: Annotated[SalesQuery, Query()]) -> ExactJSONResponse:
    """Units, order lines and revenue of accepted transactions, by event time.

    Rows are sorted by period, country and category. Periods without sales have no row. All pages of one answer
    come from one version of the table, whatever is sold meanwhile.
    """
    dimensions = tuple(name for name in _DIMENSIONS if name in query.group_by)
    filters: dict[str, Sequence[str]] = {"country": query.country, "category": query.category}
    question = Question(SALES_BY_MINUTE, query.interval, dimensions, ("unit_count", "line_count", "revenue"), filters)
    answer = ask(generation, question, query, "/v1/sales")
    data = []
    for period, *values in answer.rows:
        *names, units, lines, revenue = values
        group = dict(zip(dimensions, names, strict=True))
        data.append(
            Sales(
                period_start_at=period,
                country=group.get("country"),
                category=group.get("category"),
                unit_count=units,
                line_count=lines,
                revenue=revenue,
            )
        )
    return ExactJSONResponse(
        SalesList(
            data=data, next_cursor=answer.next_cursor, table_version=answer.table_version, known_at=answer.known_at
        )
    )
