"""GET /explorer/quality: what the checks said of each table, and what went to quarantine."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import Role
from api.deps import GenerationDep, SettingsDep, requires
from api.explorer.figures import quality as figures
from api.explorer.figures.reading import part
from api.explorer.view import PageRoute, page

# Records are judged before anybody knows their country.
router = APIRouter(
    route_class=PageRoute, dependencies=[requires(Role.viewer, all_countries=True)], include_in_schema=False
)


@router.get("/explorer/quality")
def quality(request: Request, generation: GenerationDep, settings: SettingsDep) -> Response:
    run, judgements = figures.judgements(settings.quality_dir)
    return page(
        request,
        "quality.html",
        "Data quality",
        "/explorer/quality",
        run=run,
        judgements=judgements,
        reasons=part(lambda: figures.by_reason(generation)),
        newest=part(lambda: figures.newest(generation)),
    )
