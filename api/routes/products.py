"""Products: the catalogue, one product with its figures, performance and rank, and what is bought together."""

from __future__ import annotations

from decimal import Decimal

from fastapi import APIRouter

from api.resources import Filter, Resource, add
from api.resources.kinds import CATEGORY, PRODUCT
from lakehouse.tables import BASKET_PAIRS, DIM_PRODUCT, PRODUCT_PERFORMANCE

router = APIRouter()
_SEARCH = Filter(
    "search", "name", str, "Products whose name contains this, in upper or lower case.", "bean", "contains"
)
add(
    router,
    Resource(
        "/v1/products",
        "products",
        DIM_PRODUCT,
        "products",
        "The catalogue",
        "Products as their newest record describes them, sorted by name: search by name, filter by category and list price.",
        ("name", "product_id"),
        (
            PRODUCT,
            _SEARCH,
            CATEGORY,
            Filter("min_price", "price", Decimal, "List price of at least this, USD.", "1.00", ">="),
            Filter("max_price", "price", Decimal, "List price of at most this, USD.", "500.00", "<="),
        ),
        columns=("product_id", "name", "category", "price", "valid_from", "is_inferred", "recorded_at"),
        where="is_current",
    ),
)
add(
    router,
    Resource(
        "/v1/product-performance",
        "product_performance",
        PRODUCT_PERFORMANCE,
        "products",
        "Performance and rank of products",
        "Sales, conversion, rank in the category with its movement, days out of stock and what these cost, over the 28 days up "
        "to `as_of_date`. Most revenue first.",
        ("-revenue",),
        (
            PRODUCT,
            CATEGORY,
            Filter("min_revenue", "revenue", Decimal, "Revenue of at least this, USD.", "0.01", ">="),
            Filter("max_rank", "revenue_rank", int, "Rank in the category up to this one, 1 is best.", 10, "<="),
            Filter("min_stock_out_days", "stock_out_days", int, "At least so many days out of stock.", 0, ">="),
        ),
        day="as_of_date",
        all_countries=True,
    ),
)
add(
    router,
    Resource(
        "/v1/basket-pairs",
        "basket_pairs",
        BASKET_PAIRS,
        "products",
        "What is bought together",
        "Pairs of products in at least 5 orders of the 28 days up to `as_of_date`, the highest lift first. A product may stand "
        "on either side of a pair.",
        ("-lift",),
        (
            Filter("product_a_id", "product_a_id", str, "The product with the smaller id of the two.", "p1"),
            Filter("product_b_id", "product_b_id", str, "The product with the larger id.", "p2"),
            Filter("min_lift", "lift", float, "Lift of at least this; 1 is chance.", 1, ">="),
            Filter("min_order_count", "order_count", int, "At least so many orders with both.", 5, ">="),
        ),
        day="as_of_date",
        all_countries=True,
    ),
)
