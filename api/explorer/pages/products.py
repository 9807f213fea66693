"""GET /explorer/products and /explorer/products/{product_id}: how products sell, and one of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access import Role
from api.deps import GenerationDep, requires
from api.explorer import charts
from api.explorer.drawing import drawn
from api.explorer.figures import products as figures
from api.explorer.figures.reading import Part, part
from api.explorer.pages.paging import paging
from api.explorer.view import PageRoute, page

# Products are sold in all countries, and their marts are not split by country.
router = APIRouter(
    route_class=PageRoute, dependencies=[requires(Role.viewer, all_countries=True)], include_in_schema=False
)
_PATH = "/explorer/products"
_ORDERS = {
    "revenue": "Revenue",
    "unit_count": "Units",
    "view_to_order_rate": "Conversion",
    "rank_movement": "Climbed in rank",
    "lost_revenue_estimate": "Lost for want of stock",
}
_MOST_BARS = 12


@router.get(_PATH)
def products(
    request: Request,
    generation: GenerationDep,
    find: Annotated[str, Query(max_length=100)] = "",
    category: Annotated[str, Query(max_length=100)] = "",
    order: figures.Order = "revenue",
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
) -> Response:
    words = find.strip()
    found = part(lambda: figures.found(generation, words, category, order, number))
    categories = part(lambda: figures.categories(generation))
    chosen = {"find": words, "category": category, "order": order}
    best = (categories.value or [])[:_MOST_BARS]
    return page(
        request,
        "products.html",
        "Products",
        _PATH,
        found=Part((found.value or [])[: figures.PAGE], found.problem),
        categories=[row["category"] for row in categories.value or []],
        categories_chart=Part(drawn("categories", best, charts.sales_by_category), categories.problem),
        orders=_ORDERS.items(),
        chosen=chosen,
        paging=paging(_PATH, chosen, number, figures.PAGE, len(found.value or [])),
    )


@router.get(_PATH + "/{product_id}")
def product(request: Request, generation: GenerationDep, product_id: str) -> Response:
    one = figures.product(generation, product_id)
    days = part(lambda: figures.stock_by_day(generation, product_id))
    return page(
        request,
        "product.html",
        one["name"] or product_id,
        _PATH,
        product=one,
        performance=part(lambda: figures.performance(generation, product_id)),
        stock=part(lambda: figures.stock(generation, product_id)),
        stock_chart=Part(
            drawn("stock", days.value or [], lambda rows: charts.over_time(rows, "date", "level")), days.problem
        ),
        pairs=part(lambda: figures.bought_with(generation, product_id)),
    )
