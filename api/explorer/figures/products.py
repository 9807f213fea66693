"""Figures about products: the catalogue with its performance, and one product with its stock and what is bought with it."""

from __future__ import annotations

from typing import Literal

from api.errors import NotFoundError
from api.explorer.figures.reading import Row, rows
from api.serving import Generation
from lakehouse.tables import BASKET_PAIRS, DIM_PRODUCT, FACT_INVENTORY_DAILY, INVENTORY_LEVELS, PRODUCT_PERFORMANCE

Order = Literal["revenue", "unit_count", "view_to_order_rate", "rank_movement", "lost_revenue_estimate"]
PAGE = 50
_NEWEST = "p.as_of_date = (SELECT max(as_of_date) FROM product_performance)"
_LIKE = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})
_FIGURES = (
    "unit_count",
    "order_count",
    "revenue",
    "price_realised",
    "price_realisation",
    "view_session_count",
    "view_to_cart_rate",
    "cart_to_order_rate",
    "view_to_order_rate",
    "revenue_rank",
    "rank_movement",
    "stock_out_days",
    "lost_units_estimate",
    "lost_revenue_estimate",
)


def found(generation: Generation, words: str, category: str, order: Order, page: int) -> list[Row]:
    """One page of products whose name or id has `words` in it; one more than the page shows where there is another one."""
    like = f"%{words.translate(_LIKE)}%"
    return rows(
        generation,
        [PRODUCT_PERFORMANCE, DIM_PRODUCT],
        [
            "p.product_id AS product_id",
            "d.name AS name",
            "p.category AS category",
            *(f"p.{name} AS {name}" for name in _FIGURES),
        ],
        rf"""FROM product_performance p LEFT JOIN dim_product d ON d.product_id = p.product_id AND d.is_current
             WHERE {_NEWEST} AND (? = '' OR d.name ILIKE ? ESCAPE '\' OR p.product_id ILIKE ? ESCAPE '\') AND (? = '' OR p.category = ?)
             ORDER BY p.{order} DESC NULLS LAST, p.product_id LIMIT ? OFFSET ?""",
        [words, like, like, category, category, PAGE + 1, (page - 1) * PAGE],
    )


def categories(generation: Generation) -> list[Row]:
    """Revenue and units of 28 days by category, most revenue first."""
    columns = ["category", "sum(revenue) AS revenue", "sum(unit_count)::BIGINT AS unit_count"]
    rest = f"FROM product_performance p WHERE {_NEWEST} GROUP BY category ORDER BY revenue DESC, category"
    return rows(generation, [PRODUCT_PERFORMANCE], columns, rest)


def product(generation: Generation, product_id: str) -> Row:
    """What the product is. Raises NotFoundError."""
    columns = ["product_id", "name", "category", "price", "valid_from"]
    rest = "FROM dim_product WHERE product_id = ? AND is_current"
    one = rows(generation, [DIM_PRODUCT], columns, rest, [product_id])
    if not one:
        raise NotFoundError(f"There is no product {product_id} in the catalogue.")
    return one[0]


def performance(generation: Generation, product_id: str) -> Row | None:
    """Its figures of 28 days; None for one that nobody saw."""
    rest = f"FROM product_performance p WHERE {_NEWEST} AND product_id = ?"
    one = rows(generation, [PRODUCT_PERFORMANCE], _FIGURES, rest, [product_id])
    return one[0] if one else None


def stock(generation: Generation, product_id: str) -> Row | None:
    columns = ["level", "status", "days_of_cover", "sell_rate_per_day", "oversold_count", "updated_at"]
    one = rows(generation, [INVENTORY_LEVELS], columns, "FROM inventory_levels WHERE product_id = ?", [product_id])
    return one[0] if one else None


def stock_by_day(generation: Generation, product_id: str) -> list[Row]:
    """Its stock at the end of each of the last days."""
    columns = ["date", "closing_level AS level", "sold", "received"]
    rest = "FROM fact_inventory_daily WHERE product_id = ? ORDER BY date"
    return rows(generation, [FACT_INVENTORY_DAILY], columns, rest, [product_id])


def bought_with(generation: Generation, product_id: str, limit: int = 10) -> list[Row]:
    """Products most often bought in the same order than by chance, surest first."""
    return rows(
        generation,
        [BASKET_PAIRS, DIM_PRODUCT],
        [
            "if(b.product_a_id = ?, b.product_b_id, b.product_a_id) AS product_id",
            "d.name AS name",
            "b.order_count AS order_count",
            "if(b.product_a_id = ?, b.confidence_a_to_b, b.confidence_b_to_a) AS confidence",
            "b.lift AS lift",
        ],
        """FROM basket_pairs b
           LEFT JOIN dim_product d ON d.is_current AND d.product_id = if(b.product_a_id = ?, b.product_b_id, b.product_a_id)
           WHERE b.as_of_date = (SELECT max(as_of_date) FROM basket_pairs) AND ? IN (b.product_a_id, b.product_b_id)
           ORDER BY b.lift DESC, product_id LIMIT ?""",
        [product_id] * 4 + [limit],
    )
