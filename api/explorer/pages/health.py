"""GET /explorer/health: what `/ready` and `globalmart status` say, each cause with its next step."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from api.access import Role
from api.deps import ServingDep, SettingsDep, requires
from api.explorer.view import PageRoute, page
from api.readiness import report

router = APIRouter(
    route_class=PageRoute, dependencies=[requires(Role.viewer, all_countries=True)], include_in_schema=False
)


@router.get("/explorer/health")
async def health(request: Request, settings: SettingsDep, serving: ServingDep) -> Response:
    """Where no supervisor runs (on a cluster), the dependencies alone."""
    from infra.stack import status  # it brings Spark along, which no other page needs

    ready, services = await asyncio.gather(report(settings, serving), asyncio.to_thread(status, settings))
    supervised = [one for one in services if one.wanted] if any(one.pid for one in services) else []
    return page(request, "health.html", "Health", "/explorer/health", ready=ready, services=supervised)
