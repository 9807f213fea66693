"""GET /explorer/sql: read-only SQL of analysts on the serving files, in the sandbox."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from api.access import Role
from api.deps import AccessDep, GenerationDep, MaskDep, requires
from api.errors import QueryLimitError
from api.explorer.downloads import Format, download, of_statement
from api.explorer.figures.reading import Part
from api.explorer.sandbox.run import LONGEST, MOST_DOWNLOADED, MOST_ROWS, SECONDS, Result, StatementError, run
from api.explorer.sandbox.sources import sources
from api.explorer.view import PageRoute, page
from api.personal import Mask

router = APIRouter(route_class=PageRoute, dependencies=[requires(Role.analyst)], include_in_schema=False)
_EXAMPLE = """SELECT category, sum(revenue) AS revenue, sum(unit_count) AS units
FROM sales_by_minute
GROUP BY category
ORDER BY revenue DESC
LIMIT 20"""
Statement = Annotated[str, Query(max_length=LONGEST)]
Versions = Annotated[str, Query(max_length=2000, pattern=r"^([a-z_]+:\d{1,18}(,[a-z_]+:\d{1,18})*)?$")]


@router.get("/explorer/sql")
def sql(
    request: Request,
    generation: GenerationDep,
    access: AccessDep,
    mask: MaskDep,
    sql: Statement = "",
    at: Versions = "",
) -> Response:
    """The page; with `sql` also its result, and with `at` (`table:version,…`) as it was in these versions."""
    result = Part()
    link = ""
    if sql.strip():
        try:
            found = run(generation, access, sql, _versions(at))
            _note(found, mask)
            pinned = _versions(at) | {
                name: generation.metas[name].delta_version for name in found.tables if name not in _versions(at)
            }
            link = urlencode(
                {"sql": sql, "at": ",".join(f"{name}:{version}" for name, version in sorted(pinned.items()))}
            )
            result = Part(found)
        except (StatementError, QueryLimitError) as error:
            result = Part(problem=str(error))
    return page(
        request,
        "sql.html",
        "SQL",
        "/explorer/sql",
        status=200 if not result.problem else 400,
        sql=sql or _EXAMPLE,
        at=at,
        result=result,
        link=link,
        tables=sources(generation, access, "").values(),
        most_rows=MOST_ROWS,
        most_downloaded=MOST_DOWNLOADED,
        seconds=SECONDS,
    )


@router.get("/explorer/sql/download")
def take_along(
    generation: GenerationDep,
    access: AccessDep,
    mask: MaskDep,
    sql: Statement,
    at: Versions = "",
    format: Format = "csv",
) -> Response:
    found = run(generation, access, sql, _versions(at), MOST_DOWNLOADED)
    _note(found, mask)
    return download(of_statement(found.columns, found.rows), "result", format)


def _note(found: Result, mask: Mask) -> None:
    """Reading tables of customers unmasked goes into the audit log before the answer leaves."""
    if found.is_personal and mask.is_open:
        mask.note()


def _versions(at: str) -> dict[str, int]:
    return {name: int(version) for name, version in re.findall(r"([a-z_]+):(\d+)", at)}
