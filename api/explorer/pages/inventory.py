"""GET /explorer/inventory: what is short of stock, and what will be next."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access import Role
from api.deps import GenerationDep, requires
from api.explorer import charts
from api.explorer.drawing import drawn
from api.explorer.figures import stock as figures
from api.explorer.figures.reading import Part, part
from api.explorer.pages.paging import paging
from api.explorer.view import PageRoute, page

# Stock is one for all countries.
router = APIRouter(
    route_class=PageRoute, dependencies=[requires(Role.viewer, all_countries=True)], include_in_schema=False
)
_PATH = "/explorer/inventory"
_DRAWN = 12


@router.get(_PATH)
def inventory(
    request: Request,
    generation: GenerationDep,
    status: figures.Status = "",
    category: Annotated[str, Query(max_length=100)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
) -> Response:
    levels = part(lambda: figures.levels(generation, status, category, number))
    categories = part(lambda: figures.categories(generation))
    chosen = {"status": status, "category": category}
    rows = (levels.value or [])[: figures.PAGE]
    return page(
        request,
        "inventory.html",
        "Inventory",
        _PATH,
        counts=part(lambda: figures.counts(generation)),
        levels=Part(rows, levels.problem),
        chart=Part(drawn("levels", rows[:_DRAWN], charts.stock_levels), levels.problem),
        categories=sorted(row["category"] for row in categories.value or []),
        worst=Part([row for row in categories.value or [] if row["low"] or row["out"]][:10], categories.problem),
        chosen=chosen,
        paging=paging(_PATH, chosen, number, figures.PAGE, len(levels.value or [])),
    )
