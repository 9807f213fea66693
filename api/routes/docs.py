"""GET /docs: Swagger UI from the files that the package fastapi-swagger carries; nothing comes from a CDN, no script is inline."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GlobalMart API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<div id="swagger-ui"><p class="loading">Loading the API's description …</p></div>
<noscript><p class="loading">This page needs JavaScript; <a href="/openapi.json">openapi.json</a> has the same facts.</p></noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  persistAuthorization: false,
  tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""
_STYLE = """body { margin: 0; background: #fafafa; }
.loading { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; color: #3b4151; }
.swagger-ui .info { margin: 32px 0 24px; }
.swagger-ui .wrapper { max-width: 1180px; }
"""


@router.get("/docs")
def docs() -> Response:
    return Response(_PAGE, media_type="text/html", headers=_POLICY)


@router.get("/docs/{name}")
def asset(name: str) -> Response:
    cached = {"Cache-Control": "public, max-age=3600"}
    if name == "page.js":
        return Response(_SCRIPT, media_type="text/javascript", headers=cached)
    if name == "page.css":
        return Response(_STYLE, media_type="text/css", headers=cached)
    if name not in _ASSETS:
        raise HTTPException(404)
    content = files("fastapi_swagger").joinpath("resources", name).read_bytes()
    return Response(content, media_type=_ASSETS[name], headers=cached)
