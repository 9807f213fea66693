"""GET /explorer/customers and /explorer/customers/{user_id}: segments, cohorts, who is in a segment, and one customer."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from api.access import Role
from api.deps import AccessDep, GenerationDep, MaskDep, requires
from api.explorer import charts
from api.explorer.drawing import drawn, named
from api.explorer.figures import customers as figures
from api.explorer.figures.reading import Part, part
from api.explorer.pages.paging import paging
from api.explorer.view import PageRoute, page

router = APIRouter(route_class=PageRoute, dependencies=[requires(Role.viewer)], include_in_schema=False)
_PATH = "/explorer/customers"


@router.get(_PATH)
def customers(
    request: Request,
    generation: GenerationDep,
    access: AccessDep,
    mask: MaskDep,
    segment: Annotated[str, Query(max_length=50)] = "",
    order: figures.Order = "monetary",
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
    find: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    if find.strip():
        return RedirectResponse(f"{_PATH}/{quote(find.strip(), safe='')}", 303)
    segments = part(lambda: figures.segments(generation, access))
    members = part(lambda: figures.members(generation, access, segment, order, number))
    rows = [{**row, "shown": mask.user_id(row["user_id"])} for row in (members.value or [])[: figures.PAGE]]
    chosen = {"segment": segment, "order": order}
    return page(
        request,
        "customers.html",
        "Customers",
        _PATH,
        segments=segments,
        segments_chart=Part(
            drawn("segments", named(segments.value or [], "segment"), charts.segments), segments.problem
        ),
        cohorts=part(lambda: drawn("cohorts", figures.cohorts(generation, access), charts.cohorts)),
        members=Part(rows, members.problem),
        segment=segment,
        order=order,
        paging=paging(_PATH, chosen, number, figures.PAGE, len(members.value or [])),
        is_masked=not mask.is_open,
    )


@router.get(_PATH + "/{user_id}")
def customer(request: Request, generation: GenerationDep, access: AccessDep, mask: MaskDep, user_id: str) -> Response:
    real = mask.asked(user_id)
    found = figures.customer(generation, access, real)
    if not mask.is_open:
        found |= {"age": None, "preferences": None}
    return page(
        request,
        "customer.html",
        mask.user_id(real),
        _PATH,
        profile={**found, "email": mask.email(found["email"]) if found["email"] else None},
        scores=part(lambda: figures.scores(generation, real)),
        value=part(lambda: figures.value(generation, real)),
        orders=part(lambda: figures.orders(generation, access, real)),
        visits=part(lambda: figures.visits(generation, access, real)),
        is_masked=not mask.is_open,
    )
