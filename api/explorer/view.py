"""How pages are rendered: templates, the frame around each page, its headers, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from api.access import Access
from api.errors import (
    ConflictError,
    CursorError,
    CursorGoneError,
    ForbiddenError,
    NotFoundError,
    ServingError,
)
from api.explorer import assets
from api.explorer.drawing import theme_configs
from api.explorer.figures.reading import QuestionError
from api.explorer.formats import FILTERS, is_numeric
from api.headers import PAGE_POLICY
from api.serving import Serving

NAVIGATION = (
    ("Overview", (("/explorer", "Dashboard"), ("/explorer/live", "Live"))),
    ("Analyse", (("/explorer/explore", "Explore"), ("/explorer/sql", "SQL"))),
    (
        "Business",
        (
            ("/explorer/customers", "Customers"),
            ("/explorer/products", "Products"),
            ("/explorer/inventory", "Inventory"),
        ),
    ),
    (
        "Operate",
        (
            ("/explorer/alerts", "Alert desk"),
            ("/explorer/quality", "Data quality"),
            ("/explorer/books", "The books"),
            ("/explorer/health", "Health"),
        ),
    ),
)
_THEMES = {"light", "dark"}


@cache
def templates() -> Environment:
    found = Environment(
        loader=PackageLoader("api.explorer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    found.tests["numeric"] = is_numeric
    found.globals.update(asset=assets.address, nav=NAVIGATION, theme_configs=theme_configs, vega=assets.VEGA)
    return found


def bare(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page without the frame, such as the one for signing in."""
    theme = request.cookies.get("theme")
    body = templates().get_template(template).render(theme=theme if theme in _THEMES else None, **values)
    return Response(body, status, {"Content-Security-Policy": PAGE_POLICY}, "text/html; charset=utf-8")


def page(request: Request, template: str, title: str, here: str = "", status: int = 200, **values: Any) -> Response:
    """A page in the frame. `here` is the address of its entry in the rail of pages."""
    access: Access = request.state.access
    serving: Serving = request.app.state.serving
    frame = {
        "title": title,
        "here": here,
        "access": access,
        "stale": f"These are the last good figures: {serving.problem}" if serving.problem and not status >= 500 else "",
        "csrf_token": getattr(request.state, "csrf_token", None),
    }
    return bare(request, template, status, **frame, **values)


_STATUS: tuple[tuple[type[ServingError], int, str], ...] = (
    (CursorGoneError, 410, "This version is no longer served"),
    (CursorError, 400, "This link does not work"),
    (ForbiddenError, 403, "Not with this key"),
    (NotFoundError, 404, "Not found"),
    (ConflictError, 409, "That is not possible now"),
    (QuestionError, 422, "This address cannot be used"),
    (ServingError, 503, "No figures at the moment"),
)


class PageRoute(APIRoute):
    """A route whose errors are pages too, with a sentence that helps."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ServingError as error:
                status, title = next((code, words) for kind, code, words in _STATUS if isinstance(error, kind))
                return error_page(request, status, title, str(error))
            except RequestValidationError as error:
                told = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()[:3])
                return error_page(request, 422, "This address cannot be used", told)
            except HTTPException as error:
                title = "Not found" if error.status_code == 404 else "That did not work"
                return error_page(request, error.status_code, title, str(error.detail))

        return handle


def error_page(request: Request, status: int, title: str, detail: str) -> Response:
    return page(request, "error.html", title, status=status, detail=detail, code=status)
