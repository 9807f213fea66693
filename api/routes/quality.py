"""GET /quality/: Data Docs, the static pages that batch runs write. They want the key like all else, and run no script."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

from api.deps import SettingsDep

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/quality/{path:path}")
async def page(path: str, request: Request, settings: SettingsDep) -> Response:
    """A file below the site's folder, or a folder's `index.html`; 404 for all else, also for what a path or a link leads out to."""
    files = StaticFiles(directory=settings.quality_dir, html=True, check_dir=False)
    response = await files.get_response(path, request.scope)
    response.headers["Content-Security-Policy"] = _POLICY
    return response
