"""What routes ask for, named once: who asks, the generation that a request reads from, and the settings.

* `AccessDep`: the caller's rights (`api.access`). `MaskDep`: how its personal fields are written (`api.personal`).
* `requires(Role.viewer)` declares the least role of a route or a router, as one of its `dependencies`; so that the figures of all
  countries together are refused to a key for some, `requires(Role.viewer, all_countries=True)`. A route that declares none keeps the
  application from starting (`check_declared`); where several apply, all must hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from api import auth
from api.access import Access, Role
from api.audit import Audit
from api.personal import Mask
from api.serving import Generation, Serving
from lakehouse.settings import Settings


async def _serving(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _access(request: Request) -> Access:
    access: Access = request.state.access
    return access


async def _audit(request: Request) -> Audit:
    audit: Audit = request.app.state.audit
    return audit


ServingDep = Annotated[Serving, Depends(_serving)]
SettingsDep = Annotated[Settings, Depends(_settings)]
AccessDep = Annotated[Access, Depends(_access)]
AuditDep = Annotated[Audit, Depends(_audit)]


async def _generation(serving: ServingDep) -> Generation:
    return serving.current()


async def _mask(request: Request, access: AccessDep, audit: AuditDep) -> Mask:
    return Mask(access, request.app.state.pseudonyms, lambda: audit.request("personal_read", request.scope, access))


GenerationDep = Annotated[Generation, Depends(_generation)]
MaskDep = Annotated[Mask, Depends(_mask)]


class Requirement:
    """The dependency that `requires` makes; OpenAPI and the tests read `role` and `all_countries` from it."""

    def __init__(self, role: Role, all_countries: bool) -> None:
        self.role = role
        self.all_countries = all_countries

    async def __call__(
        self,
        access: AccessDep,
        _key: Annotated[str | None, Security(auth.header_scheme)],
        _cookie: Annotated[str | None, Security(auth.cookie_scheme)],
    ) -> None:
        """Raises ForbiddenError."""
        access.need(self.role)
        if self.all_countries:
            access.need_all_countries()


def requires(role: Role, all_countries: bool = False) -> Any:
    """The least role of a route, for `dependencies=[…]`. Raises ForbiddenError (403) in a request of a lower one."""
    requirement: params.Depends = Depends(Requirement(role, all_countries))
    return requirement


def declared(app: FastAPI) -> Iterator[tuple[str, frozenset[str], list[Requirement]]]:
    """Path, methods, and what its callers need (of its router too) of each route."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        calls = _calls(dependant) if isinstance(dependant, Dependant) else ()
        found = [call for call in calls if isinstance(call, Requirement)]
        yield route.path or "", frozenset(route.methods or ()), found


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def check_declared(app: FastAPI) -> None:
    """Raise RuntimeError for routes that are not open and say not whom they are for."""
    bare = [path for path, _methods, found in declared(app) if not found and not auth.is_open(path)]
    if bare:
        raise RuntimeError(f"Routes without requires(Role…): {', '.join(bare)}")
