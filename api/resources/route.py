"""A resource as a route: its signature and its OpenAPI follow from the declaration."""

# No postponed annotations here: FastAPI has to see the model that each call makes.
import inspect
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, create_model

from api import formats, problems
from api.access import Role
from api.deps import AccessDep, GenerationDep, MaskDep, SettingsDep, requires
from api.resources.answer import answer, asked
from api.resources.base import Resource, json_schema
from api.resources.parameters import model
from api.responses import Listing

KINDS = (
    "bad-cursor", "not-found", "not-acceptable", "cursor-gone", "invalid-request",
    "table-missing", "not-ready", "query-limit", "source-away",
)  # fmt: skip


def add(router: APIRouter, resource: Resource, role: Role = Role.viewer, **path: Any) -> None:
    """Make `resource` a route of `router`. `path` are the types of path parameters, each a column that it names."""
    query = model(resource)

    def endpoint(
        request: Request,
        generation: GenerationDep,
        access: AccessDep,
        mask: MaskDep,
        settings: SettingsDep,
        query: Annotated[query, Query()],  # type: ignore[valid-type]
        **given: str,
    ) -> Response:
        fixed = {name: mask.asked(value) if name in resource.users else value for name, value in given.items()}
        page = asked(resource, query, access, mask, generation, settings, fixed)
        return formats.respond(request, access, page.meta, page.page.version, lambda: answer(page), page.page.known_at)

    _say_parameters(endpoint, path)
    router.add_api_route(
        resource.path,
        endpoint,
        name=resource.name,
        tags=[resource.tag],
        summary=resource.summary,
        description=resource.description,
        response_description="A page of rows",
        response_model=_listing(resource),
        responses={**problems.responses(*KINDS), **formats.OPENAPI},
        dependencies=[requires(role, all_countries=resource.all_countries)],
    )


def _say_parameters(endpoint: Callable[..., Response], path: dict[str, Any]) -> None:
    """Give the function a signature that names its path parameters one by one."""
    signature = inspect.signature(endpoint)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        for name, annotation in path.items()
    ]
    endpoint.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]


def row_model(resource: Resource) -> Any:
    """A row in OpenAPI; every field may be left out, by `fields`."""
    fields: dict[str, Any] = {}
    for name, column in resource.shown.items():
        fields[name] = (Any, Field(None, json_schema_extra=_exactly(json_schema(column))))
    title = "".join(part.capitalize() for part in resource.name.split("_"))
    return create_model(title, __doc__=f"One row: {resource.table.grain}.", **fields)


def _exactly(schema: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def replace(made: dict[str, Any]) -> None:
        made.clear()
        made.update(schema)

    return replace


def _listing(resource: Resource) -> Any:
    row = row_model(resource)
    return create_model(f"{row.__name__}List", __base__=Listing[row], __doc__="A page of rows.")  # type: ignore[valid-type]
