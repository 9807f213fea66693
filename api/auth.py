"""Who may call: every path needs the API key but the few named here. Only the key's SHA-256 is known to this process."""

from __future__ import annotations

import hashlib
import hmac
import re

from fastapi.security import APIKeyHeader
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access import Access, Role
from api.problems import problem_response
from lakehouse.errors import SettingsError

HEADER = "X-API-Key"
SETUP = Access("setup", "set-up", Role.admin, sees_personal=True)
"""The key that set-up wrote to `.env`: it works without PostgreSQL."""
OPEN_PATHS = frozenset({"/health", "/ready", "/docs", "/openapi.json"})
OPEN_PREFIX = "/docs/"

# Puts the scheme into the OpenAPI document; the middleware below does the checking, so no route can forget it.
scheme = APIKeyHeader(
    name=HEADER,
    scheme_name="ApiKey",
    description="The key that set-up wrote to `.env` as GLOBALMART_API_KEY.",
    auto_error=False,
)


def key_digest(key_sha256: str) -> bytes:
    """The setting as bytes. Raises SettingsError unless it is a SHA-256 in hexadecimal."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key_sha256):
        raise SettingsError(
            "GLOBALMART_API_KEY_SHA256 must be the SHA-256 of the API key, 64 hexadecimal digits: `globalmart up` writes it."
        )
    return bytes.fromhex(key_sha256)


class RequireKey:
    """Answers 401 to any request without the right key, also for paths that do not exist: default is deny.

    The caller's rights go along as `request.state.access`.
    """

    def __init__(self, app: ASGIApp, digest: bytes) -> None:
        self._app = app
        self._digest = digest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist(HEADER)
        if len(given) == 1 and self._matches(given[0]):
            scope.setdefault("state", {})["access"] = SETUP
            await self._app(scope, receive, send)
            return
        detail = "The API key is wrong." if given else f"Send your API key in the header {HEADER}."
        response = problem_response(
            "unauthorized", detail, scope["path"], {"WWW-Authenticate": f'ApiKey header="{HEADER}"'}
        )
        await response(scope, receive, send)

    def _matches(self, key: str) -> bool:
        return hmac.compare_digest(hashlib.sha256(key.encode("utf-8")).digest(), self._digest)


def is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIX)
