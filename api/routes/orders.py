"""GET /v1/orders: orders, revenue and average order value per period, country and payment method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api import formats
from api.deps import AccessDep, GenerationDep
from api.problems import responses
from api.responses import Listing, Money, mean
from api.sums import KINDS, PeriodQuery, Question, ask, optional, picked, sheet
from lakehouse.tables import MONEY, ORDERS_BY_MINUTE, TIME

router = APIRouter(tags=["sales"])
PaymentMethod = Literal["credit_card", "debit_card", "paypal", "bank_transfer", "gift_card"]
_DIMENSIONS: tuple[Literal["country", "payment_method"], ...] = ("country", "payment_method")


class OrdersQuery(PeriodQuery):
    payment_method: list[PaymentMethod] = Field(
        [], description="Only these payment methods; repeat for several.", examples=[["paypal", "gift_card"]]
    )
    group_by: list[Literal["country", "payment_method", "none"]] = Field(
        ["country", "payment_method"],
        description="What a row is beside its period; repeat for several, `none` for one row per period.",
        examples=[["payment_method"]],
    )

    fields: list[
        Literal["period_start_at", "country", "payment_method", "order_count", "revenue", "average_order_value"]
    ] = Field(
        [],
        max_length=100,
        description="Only these fields of each row; repeat for several. Default: all.",
        examples=[["period_start_at", "average_order_value"]],
    )

    @model_validator(mode="after")
    def _none_stands_alone(self) -> OrdersQuery:
        if "none" in self.group_by and len(set(self.group_by)) > 1:
            raise ValueError("`group_by=none` cannot be joined with another")
        return self


class Orders(BaseModel):
    """Orders of one period, of one country and payment method where the answer is grouped by them."""

    model_config = ConfigDict(json_schema_extra=optional)

    period_start_at: datetime = Field(description="Start of the period (UTC).", examples=["2026-03-14T00:00:00Z"])
    country: str | None = Field(description="Country of the visit; null for all together.", examples=["DE"])
    payment_method: str | None = Field(description="Payment method; null for all together.", examples=["paypal"])
    order_count: int = Field(description="Transactions.", examples=[4])
    revenue: Money = Field(description="Sum of the transactions' total amounts, USD.", examples=[199.96])
    average_order_value: Money = Field(description="`revenue` / `order_count`, USD, rounded half up.", examples=[49.99])


class OrdersList(Listing[Orders]):
    """A page of orders."""


SCHEMA = pa.schema(
    [("period_start_at", TIME), ("country", pa.string()), ("payment_method", pa.string()), ("order_count", pa.int64()),
     ("revenue", MONEY), ("average_order_value", MONEY)]
)  # fmt: skip


@router.get(
    "/v1/orders",
    summary="Orders by period, country and payment method",
    response_description="A page of orders",
    response_model=OrdersList,
    responses={**responses(*KINDS), **formats.OPENAPI},
)
def orders(
    request: Request, generation: GenerationDep, access: AccessDep, query: Annotated[OrdersQuery, Query()]
) -> Response:
    """Accepted transactions by event time: how many, how much, and how much each on average.

    Rows are sorted by period, country and payment method. Periods without orders have no row. All pages of one
    answer come from one version of the table.
    """
    dimensions = tuple(name for name in _DIMENSIONS if name in query.group_by)
    filters: dict[str, Sequence[str]] = {
        "country": access.countries_for(query.country),
        "payment_method": query.payment_method,
    }
    measures = ("order_count", "revenue")
    question = Question(ORDERS_BY_MINUTE, query.interval, dimensions, measures, filters, scope=access.scope)
    pinned = ask(generation, question, query, "/v1/orders")

    def answer() -> formats.Sheet:
        found = pinned.answer()
        rows = [(*row, mean(row[-1], row[-2])) for row in found.rows]
        return picked(sheet(replace(found, rows=rows), SCHEMA, _DIMENSIONS, dimensions), query.fields)

    return formats.respond(request, access, pinned.meta, pinned.page.version, answer, pinned.page.known_at)
