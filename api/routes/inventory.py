"""GET /v1/inventory: stock of each product, low and sold-out ones among it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from api.resources import Filter, Resource, add
from api.resources.kinds import CATEGORY, PRODUCT
from lakehouse.tables import INVENTORY_LEVELS

router = APIRouter()
add(
    router,
    Resource(
        "/v1/inventory",
        "inventory",
        INVENTORY_LEVELS,
        "inventory",
        "Stock, also low stock",
        "Level and status of each product, how fast it sells and how long it lasts. `status=low&status=out` is what needs "
        "attention; the least stock first. What sells tells of all countries together.",
        ("level",),
        (
            PRODUCT,
            CATEGORY,
            Filter("status", "status", Literal["ok", "low", "out"], "Only products in this state.", "low"),
            Filter("max_level", "level", int, "At most so many units.", 100, "<="),
            Filter("max_days_of_cover", "days_of_cover", float, "Lasts at most so many days.", 30, "<="),
            Filter("min_oversold_count", "oversold_count", int, "At least so many units sold without stock.", 0, ">="),
        ),
        all_countries=True,
    ),
)
