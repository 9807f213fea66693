"""Figures about stock: how many products are short, which run out first."""

from __future__ import annotations

from typing import Literal

from api.explorer.figures.reading import Row, rows
from api.serving import Generation
from lakehouse.tables import DIM_PRODUCT, INVENTORY_LEVELS

Status = Literal["", "ok", "low", "out"]
PAGE = 50


def counts(generation: Generation) -> Row:
    """Products by status, and units sold that no stock covered."""
    columns = [
        "count(*) AS product_count",
        *(f"count(*) FILTER (status = '{status}') AS {status}" for status in ("ok", "low", "out")),
        "coalesce(sum(oversold_count), 0)::BIGINT AS oversold_count",
        "coalesce(sum(level) FILTER (level > 0), 0)::BIGINT AS unit_count",
    ]
    return rows(generation, [INVENTORY_LEVELS], columns, "FROM inventory_levels")[0]


def levels(generation: Generation, status: Status, category: str, page: int, size: int = PAGE) -> list[Row]:
    """Products that run out first, one more than `size` where there is another page; those that do not sell come last."""
    return rows(
        generation,
        [INVENTORY_LEVELS, DIM_PRODUCT],
        [
            "i.product_id AS product_id",
            "d.name AS name",
            "i.category AS category",
            "i.level AS level",
            "i.status AS status",
            "i.sell_rate_per_day AS sell_rate_per_day",
            "i.days_of_cover AS days_of_cover",
            "i.oversold_count AS oversold_count",
            "i.updated_at AS updated_at",
        ],
        """FROM inventory_levels i LEFT JOIN dim_product d ON d.product_id = i.product_id AND d.is_current
           WHERE (? = '' OR i.status = ?) AND (? = '' OR i.category = ?)
           ORDER BY i.days_of_cover NULLS LAST, i.level, i.product_id LIMIT ? OFFSET ?""",
        [status, status, category, category, size + 1, (page - 1) * size],
    )


def categories(generation: Generation) -> list[Row]:
    """Products that are low and out of stock by category, most short ones first."""
    return rows(
        generation,
        [INVENTORY_LEVELS],
        [
            "category",
            "count(*) AS product_count",
            "count(*) FILTER (status = 'low') AS low",
            "count(*) FILTER (status = 'out') AS out",
        ],
        "FROM inventory_levels GROUP BY category ORDER BY out DESC, low DESC, category LIMIT 100",
    )
