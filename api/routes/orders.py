"""GET /v1/orders: orders, revenue and average order value per period, country and payment method."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator

from api.deps import GenerationDep
from api.problems import responses
from api.responses import ExactJSONResponse, Listing, Money, mean
from api.sums import PeriodQuery, Question, ask
from lakehouse.tables import ORDERS_BY_MINUTE

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

    @model_validator(mode="after")
    def _none_stands_alone(self) -> OrdersQuery:
        if "none" in self.group_by and len(set(self.group_by)) > 1:
            raise ValueError("`group_by=none` cannot be joined with another")
        return self


class Orders(BaseModel):
    """Orders of one period, of one country and payment method where the answer is grouped by them."""

    period_start_at: datetime = Field(description="Start of the period (UTC).", examples=["2026-03-14T00:00:00Z"])
    country: str | None = Field(description="Country of the visit; null for all together.", examples=["DE"])
    payment_method: str | None = Field(description="Payment method; null for all together.", examples=["paypal"])
    order_count: int = Field(description="Transactions.", examples=[4])
    revenue: Money = Field(description="Sum of the transactions' total amounts, USD.", examples=[199.96])
    average_order_value: Money = Field(description="`revenue` / `order_count`, USD, rounded half up.", examples=[49.99])


class OrdersList(Listing[Orders]):
    """A page of orders."""


@router.get(
    "/v1/orders",
    summary="Orders by period, country and payment method",
    response_description="A page of orders",
    response_model=OrdersList,
    responses=responses("bad-cursor", "cursor-gone", "invalid-request", "table-missing", "not-ready", "query-limit"),
)
def orders(generation: GenerationDep, query: Annotated[OrdersQuery, Query()]) -> ExactJSONResponse:
    """Accepted transactions by event time: how many, how much, and how much each on average.

    Rows are sorted by period, country and payment method. Periods without orders have no row. All pages of one
    answer come from one version of the table.
    """
    dimensions = tuple(name for name in _DIMENSIONS if name in query.group_by)
    filters: dict[str, Sequence[str]] = {"country": query.country, "payment_method": query.payment_method}
    question = Question(ORDERS_BY_MINUTE, query.interval, dimensions, ("order_count", "revenue"), filters)
    answer = ask(generation, question, query, "/v1/orders")
    data = []
    for period, *values in answer.rows:
        *names, count, revenue = values
        group = dict(zip(dimensions, names, strict=True))
        data.append(
            Orders(
                period_start_at=period,
                country=group.get("country"),
                payment_method=group.get("payment_method"),
                order_count=count,
                revenue=revenue,
                average_order_value=mean(revenue, count),
            )
        )
    return ExactJSONResponse(
        OrdersList(
            data=data, next_cursor=answer.next_cursor, table_version=answer.table_version, known_at=answer.known_at
        )
    )
