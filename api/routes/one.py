"""GET /v1/products/{product_id} and /v1/customers/{user_id}: one product and one customer, with what the platform knows of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from api import formats
from api.access import Role
from api.deps import AccessDep, GenerationDep, MaskDep, requires
from api.errors import NotFoundError
from api.problems import responses
from api.responses import Money
from api.serving import Generation
from lakehouse.tables import (
    CUSTOMER_LIFETIME_VALUE,
    CUSTOMER_RFM,
    DIM_PRODUCT,
    DIM_USER,
    FACT_SALES,
    INVENTORY_LEVELS,
    PRODUCT_PERFORMANCE,
    Table,
)

router = APIRouter()
_RECENT_ORDERS = 20


class Performance(BaseModel):
    """Sales of 28 days."""

    as_of_date: date = Field(description="Last of the 28 days (UTC).", examples=["2026-03-14"])
    unit_count: int = Field(description="Units sold.", examples=[6])
    order_count: int = Field(description="Orders with the product.", examples=[5])
    revenue: Money = Field(description="Revenue, USD.", examples=[20.30])
    revenue_rank: int | None = Field(
        description="Rank in its category, 1 is best; null where nothing sold.", examples=[1]
    )
    rank_movement: int | None = Field(description="Places gained against the 28 days before.", examples=[0])
    view_to_order_rate: float | None = Field(
        description="Of the visits with a view, the share that bought it.", examples=[0.1]
    )
    stock_out_days: int = Field(description="Days out of stock.", examples=[1])


class Stock(BaseModel):
    """Stock now."""

    level: int = Field(description="Units.", examples=[3])
    status: str = Field(description="ok, low or out.", examples=["low"])
    days_of_cover: float | None = Field(
        description="How long it lasts, days; null where nothing sells.", examples=[0.5]
    )
    updated_at: datetime = Field(
        description="Event time of what changed it last (UTC).", examples=["2026-03-14T09:00:00Z"]
    )


class Product(BaseModel):
    """One product."""

    product_id: str = Field(description="The product.", examples=["p1"])
    name: str | None = Field(description="Display name.", examples=["House Beans"])
    category: str | None = Field(description="Category name.", examples=["Coffee"])
    price: Money | None = Field(description="List price, USD.", examples=[12.30])
    valid_from: datetime = Field(description="Since when it is described so (UTC).", examples=["2026-03-14T00:00:00Z"])
    performance: Performance | None = Field(
        description="Of the newest day; null where there is none, and for keys of some countries: it is of all together."
    )
    stock: Stock | None = Field(
        description="Null where the stream has not seen it, and for keys of some countries: what sells tells of all together."
    )
    table_version: int = Field(description="Version of `gold/dim_product`.")
    known_at: datetime = Field(description="When that version was written (UTC).")


@router.get(
    "/v1/products/{product_id}",
    tags=["products"],
    dependencies=[requires(Role.viewer)],
    summary="One product",
    response_description="The product",
    response_model=Product,
    responses={
        **responses("not-found", "invalid-request", "table-missing", "not-ready", "query-limit"),
        **formats.OPENAPI_ONE,
    },
)
def one_product(
    request: Request,
    generation: GenerationDep,
    access: AccessDep,
    product_id: Annotated[str, Path(description="The product.", max_length=200, examples=["p1"])],
) -> Response:
    """What describes it now, how it did in the last 28 days, and its stock."""
    meta = generation.meta(DIM_PRODUCT)
    names = ("name", "category", "price", "valid_from")
    found = _row(generation, DIM_PRODUCT, names, "product_id = ? AND is_current", product_id)
    if found is None:
        raise NotFoundError(f"There is no product {product_id}.")
    sold = stock = None
    if access.countries is None:  # sales and stock are of all countries together, as on `/v1/inventory`
        sold = _row(
            generation,
            PRODUCT_PERFORMANCE,
            tuple(Performance.model_fields),
            "product_id = ?",
            product_id,
            "as_of_date DESC",
        )
        stock = _row(generation, INVENTORY_LEVELS, tuple(Stock.model_fields), "product_id = ?", product_id)
    return formats.respond_one(
        request,
        Product(
            product_id=product_id,
            **found,
            performance=Performance(**sold) if sold else None,
            stock=Stock(**stock) if stock else None,
            table_version=meta.delta_version,
            known_at=meta.known_at.replace(tzinfo=UTC),
        ),
        meta,
    )


class Segmented(BaseModel):
    """Recency, frequency, monetary value."""

    as_of_date: date = Field(description="Last of the 365 days looked at (UTC day).", examples=["2026-03-14"])
    recency_days: int = Field(description="Days since the last purchase.", examples=[1])
    frequency: int = Field(description="Transactions.", examples=[7])
    monetary: Money = Field(description="Spent, USD.", examples=[700.50])
    segment: str = Field(description="Name of the segment.", examples=["champions"])


class Value(BaseModel):
    """What is expected of the next 90 days."""

    as_of_date: date = Field(description="Last day that counts (UTC day).", examples=["2026-03-14"])
    p_alive: float = Field(description="Probability that the customer still buys.", examples=[0.9])
    predicted_purchases: float = Field(description="Days with a purchase expected.", examples=[1.5])
    predicted_value: Money = Field(description="Expected revenue, USD.", examples=[31.50])


class RecentOrder(BaseModel):
    """One order."""

    transaction_id: str = Field(description="The order.", examples=["t1"])
    timestamp: datetime = Field(description="Event time (UTC).", examples=["2026-03-14T09:05:00Z"])
    country: str = Field(description="Country of the visit.", examples=["US"])
    line_count: int = Field(description="Lines.", examples=[2])
    total_amount: Money = Field(description="Sum of the lines, USD.", examples=[12.30])


class Customer(BaseModel):
    """One customer. Personal fields are masked unless the key is granted them."""

    user_id: str = Field(description="The customer, or its pseudonym.", examples=["u1"])
    email: str | None = Field(description="E-mail address.", examples=["ada@example.com"])
    age: int | None = Field(description="Years; null where masked.", examples=[36])
    country: str | None = Field(description="Country of the profile.", examples=["US"])
    registration_date: datetime | None = Field(description="Since when (UTC).", examples=["2026-03-14T00:00:00Z"])
    preferences: list[str] | None = Field(description="Preferred categories; null where masked.", examples=[["Coffee"]])
    rfm: Segmented | None = Field(description="Of the newest day; null without a purchase in the 365 days.")
    value: Value | None = Field(description="Of the newest day; null without a purchase.")
    recent_orders: list[RecentOrder] = Field(description="The newest orders of the last 28 days, 20 at most.")
    table_version: int = Field(description="Version of `gold/dim_user`.")
    known_at: datetime = Field(description="When that version was written (UTC).")


@router.get(
    "/v1/customers/{user_id}",
    tags=["customers"],
    dependencies=[requires(Role.viewer, all_countries=True)],
    summary="One customer",
    response_description="The customer",
    response_model=Customer,
    responses={
        **responses("not-found", "invalid-request", "table-missing", "not-ready", "query-limit"),
        **formats.OPENAPI_ONE,
    },
)
def one_customer(
    request: Request,
    generation: GenerationDep,
    mask: MaskDep,
    user_id: Annotated[str, Path(description="The customer, or its pseudonym.", max_length=400, examples=["u1"])],
) -> Response:
    """Profile, segment, expected value and the newest orders."""
    meta = generation.meta(DIM_USER)
    wanted = mask.asked(user_id)
    names = ("email", "age", "country", "registration_date", "preferences")
    found = _row(generation, DIM_USER, names, "user_id = ? AND is_current", wanted)
    if found is None:
        raise NotFoundError(f"There is no customer {user_id}.")
    if found["email"] is not None:
        found["email"] = mask.email(found["email"])
    if not mask.is_open:
        found |= {"age": None, "preferences": None}
    newest = "as_of_date DESC"
    rfm = _row(generation, CUSTOMER_RFM, tuple(Segmented.model_fields), "user_id = ?", wanted, newest)
    value = _row(generation, CUSTOMER_LIFETIME_VALUE, tuple(Value.model_fields), "user_id = ?", wanted, newest)
    return formats.respond_one(
        request,
        Customer(
            user_id=mask.user_id(wanted),
            **found,
            rfm=Segmented(**rfm) if rfm else None,
            value=Value(**value) if value else None,
            recent_orders=_orders(generation, wanted),
            table_version=meta.delta_version,
            known_at=meta.known_at.replace(tzinfo=UTC),
        ),
        meta,
    )


def _orders(generation: Generation, user_id: str) -> list[RecentOrder]:
    if FACT_SALES.name not in generation.metas:
        return []
    rows = generation.query(
        """SELECT transaction_id, max("timestamp"), any_value(country), count(*), sum(line_amount) FROM fact_sales
           WHERE user_id = ? GROUP BY transaction_id ORDER BY max("timestamp") DESC, transaction_id LIMIT ?""",
        [user_id, _RECENT_ORDERS],
    )
    return [
        RecentOrder(
            transaction_id=order,
            timestamp=at.replace(tzinfo=UTC),
            country=country,
            line_count=lines,
            total_amount=total,
        )
        for order, at, country, lines, total in rows
    ]


def _row(
    generation: Generation, table: Table, names: tuple[str, ...], where: str, value: str, order: str = "1"
) -> dict[str, Any] | None:
    """The first row of a table by name of its columns; None where there is none, or no such table yet."""
    if table.name not in generation.metas:
        return None
    picked = ", ".join(f'"{name}"' for name in names)
    sql = f'SELECT {picked} FROM "{table.name}" WHERE {where} ORDER BY {order} LIMIT 1'  # noqa: S608
    rows = generation.query(sql, [value])
    if not rows:
        return None
    return {n: v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for n, v in zip(names, rows[0], strict=True)}
