"""GET /explorer: the executive dashboard."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api.access import Access, Role
from api.deps import AccessDep, GenerationDep, MaskDep, requires
from api.explorer import charts
from api.explorer.drawing import drawn, named
from api.explorer.figures import alerts, customers
from api.explorer.figures import dashboard as figures
from api.explorer.figures import stock as stocks
from api.explorer.figures.reading import Part, Row, part
from api.explorer.view import PageRoute, page
from api.serving import Generation

router = APIRouter(route_class=PageRoute, dependencies=[requires(Role.viewer)], include_in_schema=False)
_WORDS = {"24h": "24 hours", "7d": "7 days", "28d": "28 days"}
_ALERTS = 7


@router.get("/")
async def home() -> Response:
    return RedirectResponse("/explorer", 303)


@router.get("/explorer")
def dashboard(
    request: Request,
    generation: GenerationDep,
    access: AccessDep,
    mask: MaskDep,
    period: Literal["24h", "7d", "28d"] = "7d",
) -> Response:
    found = part(lambda: figures.window(generation, figures.PERIODS[period]))
    shown: figures.Window | None = found.value
    if shown is None:
        totals = countries = categories = conversion = Part(problem=found.problem)
    else:
        totals = part(lambda: figures.key_figures(generation, access, shown))
        countries = part(lambda: figures.by(generation, access, "country", shown))
        categories = part(lambda: figures.by(generation, access, "category", shown))
        conversion = part(lambda: figures.conversion(generation, access, shown))
    return page(
        request,
        "dashboard.html",
        "Dashboard",
        "/explorer",
        period=period,
        periods=_WORDS.items(),
        period_words=_WORDS[period],
        shown=shown,
        totals=totals,
        conversion=conversion,
        stock=part(lambda: _stock(generation, access)),
        trend=part(lambda: drawn("trend", figures.trend(generation, access), charts.revenue_over_time)),
        alerts=part(lambda: alerts.page(request.app.state.desk, access, mask, limit=_ALERTS)[0]),
        countries=countries,
        map=Part(drawn("map", countries.value or [], charts.sales_map), countries.problem),
        categories=categories,
        segments=part(
            lambda: drawn("segments", named(customers.segments(generation, access), "segment"), charts.segments)
        ),
        products=part(lambda: figures.top_products(generation, access)),
    )


def _stock(generation: Generation, access: Access) -> Row:
    access.need_all_countries()
    return stocks.counts(generation)
