"""GET /explorer/books: every record has one of three ends, and money adds up both ways."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import Role
from api.deps import GenerationDep, requires
from api.explorer.figures import books as figures
from api.explorer.figures.reading import part
from api.explorer.view import PageRoute, page

router = APIRouter(
    route_class=PageRoute, dependencies=[requires(Role.viewer, all_countries=True)], include_in_schema=False
)


@router.get("/explorer/books")
def books(request: Request, generation: GenerationDep) -> Response:
    return page(
        request,
        "books.html",
        "The books",
        "/explorer/books",
        records=part(lambda: figures.records(generation)),
        money=part(lambda: figures.money(generation)),
        batch=part(lambda: figures.last_batch(generation)),
    )
