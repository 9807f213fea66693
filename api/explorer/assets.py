"""The explorer's own files and the Vega-Lite runtime: served by this process, under addresses that change with the content."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import threading
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import vl_convert
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from infra.cache import cache_dir

router = APIRouter(prefix="/explorer/static", include_in_schema=False)
VEGA = "vega.js"
_VERSION = version("vl-convert-python")
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_making = threading.Lock()


@dataclass(frozen=True)
class Asset:
    """A file's bytes, plain and compressed, and the digest by which a browser knows that its copy is good."""

    plain: bytes
    zipped: bytes
    digest: str


def _asset(plain: bytes) -> Asset:
    return Asset(plain, gzip.compress(plain, 6, mtime=0), hashlib.sha256(plain).hexdigest()[:16])


@cache
def _folder() -> dict[str, Asset]:
    folder = files("api.explorer").joinpath("static")
    found = (item for item in folder.iterdir() if item.name.rpartition(".")[2] in _TYPES)
    return {item.name: _asset(item.read_bytes()) for item in found}


@cache
def _vega() -> Asset:
    """Vega, Vega-Lite and Vega-Embed as one script. Making it takes seconds, so the machine's cache keeps it."""
    path = cache_dir() / f"vega-embed-{_VERSION}.js"
    with contextlib.suppress(OSError):
        return _asset(path.read_bytes())
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs the next process its time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(script)
        partial.replace(path)
    return _asset(script)


def content(name: str) -> Asset:
    """The asset `name`. Raises KeyError where there is none."""
    if name == VEGA:
        with _making:
            return _vega()
    return _folder()[name]


@cache
def address(name: str) -> str:
    """The asset's address. That of the runtime names its version, so that no page waits until the runtime is made."""
    mark = _VERSION if name == VEGA else _folder()[name].digest
    return f"/explorer/static/{name}?v={mark}"


@router.get("/{name}")
def asset(name: str, request: Request) -> Response:
    try:
        found = content(name)
    except KeyError:
        raise HTTPException(404) from None
    headers = {
        "Cache-Control": _FOR_EVER if "v" in request.query_params else "no-cache",
        "ETag": f'"{found.digest}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(None, 304, headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            found.zipped, 200, {**headers, "Content-Encoding": "gzip"}, media_type=_TYPES[name.rpartition(".")[2]]
        )
    return Response(found.plain, 200, headers, media_type=_TYPES[name.rpartition(".")[2]])
