"""Who calls: every path needs a key, or the cookie of a session that a key signed in, but the few named here."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Protocol
from urllib.parse import quote

from fastapi.security import APIKeyCookie, APIKeyHeader
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access import Access
from api.audit import Audit
from api.bodies import form_field
from api.keys.model import KeyRefusedError, KeysAwayError
from api.keys.ring import KeyRing
from api.problems import problem_response
from api.session import COOKIE, CSRF_FIELD, CSRF_HEADER, Session, Sessions, is_token
from lakehouse.errors import SettingsError

HEADER = "X-API-Key"
SIGN_IN = "/sign-in"
OPEN_PATHS = frozenset({"/health", "/ready", "/docs", "/openapi.json", SIGN_IN})
# Files that are the same for everybody: scripts and styles of the pages.
OPEN_PREFIXES = ("/docs/", "/explorer/static/")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# A key that was issued a moment ago is looked for at most so long.
_LOOK_SECONDS = 2.0
# Keys that are made up must not keep others waiting: beyond these, an unknown key is looked for in memory alone.
_MOST_WAITING = 8

# These put the schemes into the OpenAPI document; the middleware below does the checking, so no route can forget it.
header_scheme = APIKeyHeader(
    name=HEADER,
    scheme_name="ApiKey",
    description="A key from `globalmart keys issue`, or the one that set-up wrote to `.env` as GLOBALMART_API_KEY.",
    auto_error=False,
)
cookie_scheme = APIKeyCookie(
    name=COOKIE,
    scheme_name="Session",
    description=f"Set by signing in at {SIGN_IN}. Whatever changes something then needs the header {CSRF_HEADER} too.",
    auto_error=False,
)


def key_digest(key_sha256: str) -> bytes:
    """The setting as bytes. Raises SettingsError unless it is a SHA-256 in hexadecimal."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key_sha256):
        raise SettingsError(
            "GLOBALMART_API_KEY_SHA256 must be the SHA-256 of the API key, 64 hexadecimal digits: `globalmart up` writes it."
        )
    return bytes.fromhex(key_sha256)


def is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


class Keeper:
    """Looks keys up, those too that were issued since the last look."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._look: asyncio.Future[None] | None = None
        self._waiting = 0

    async def find(self, key: str) -> Access:
        """The rights of `key`. Raises KeyRefusedError and KeysAwayError."""
        if self._ring.may_be_new(key) and self._waiting < _MOST_WAITING:
            self._waiting += 1
            try:
                # One look for all who wait; the one that is under way may have begun before the key was issued.
                if not await self._looked() and self._ring.may_be_new(key):
                    await self._looked()
            finally:
                self._waiting -= 1
        return self._ring.find(key)

    async def _looked(self) -> bool:
        """Wait for a look; whether it began for this caller."""
        is_mine = self._look is None or self._look.done()
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(asyncio.to_thread(self._ring.look_again))
        await asyncio.wait({self._look}, timeout=_LOOK_SECONDS)
        return is_mine


class Authenticate:
    """Answers 401 to any request without a good key or session, also for paths that do not exist: default is deny.

    The caller's rights go along as `request.state.access`, and `request.state.is_good` is to be asked now and then by what
    answers for long; with a session there are also `request.state.session` and `request.state.csrf_token`. A page asked for
    in a browser leads to the sign-in. Whatever a session changes needs its token, as the header X-CSRF-Token or a form's
    field csrf_token (403). Each change is in the audit log before it is made.
    """

    def __init__(self, app: ASGIApp, keeper: Keeper, ring: KeyRing, sessions: Sessions, audit: Audit) -> None:
        self._app = app
        self._keeper = keeper
        self._ring = ring
        self._sessions = sessions
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and is_open(scope["path"])):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        keys = headers.getlist(HEADER)
        state = scope.setdefault("state", {})
        try:
            if keys:
                if len(keys) > 1:
                    raise KeyRefusedError("The API key is wrong.")
                state["access"] = await self._keeper.find(keys[0])
            else:
                session = self.session(headers)
                state["access"] = self._ring.of_session(session.session_id, session.key_id)
                state["session"], state["csrf_token"] = session, session.csrf_token
            state["is_good"] = partial(self._ring.is_good, state["access"], "" if keys else session.session_id)
        except KeyRefusedError as error:
            await _refusal(scope, headers, str(error))(scope, receive, send)
            return
        except KeysAwayError as error:
            await problem_response("keys-away", str(error), scope["path"])(scope, receive, send)
            return
        if scope["method"] not in _SAFE:
            if not keys:
                token: str | None = headers.get(CSRF_HEADER)
                if token is None:
                    token, receive = await form_field(scope, receive, CSRF_FIELD)
                if token is None or not is_token(session, token):
                    detail = f"The request lacks the token of your session ({CSRF_HEADER}): load the page again."
                    await problem_response("forbidden", detail, scope["path"])(scope, receive, send)
                    return
            self._audit.request("change", scope, state["access"])
        await self._app(scope, receive, send)

    def session(self, headers: Headers) -> Session:
        """Raises KeyRefusedError where there is no good cookie."""
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        session = self._sessions.read(cookie) if cookie else None
        if session is None:
            raise KeyRefusedError(
                "Your session has expired: sign in again." if cookie else f"Send your API key in the header {HEADER}."
            )
        return session


class _Asgi(Protocol):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def _refusal(scope: Scope, headers: Headers, detail: str) -> _Asgi:
    path: str = scope["path"]
    is_page = scope["method"] in {"GET", "HEAD"} and "text/html" in headers.get("accept", "")
    if is_page and HEADER not in headers and not path.startswith("/v1"):
        query = scope["query_string"].decode("latin-1")
        wanted = quote(f"{path}?{query}" if query else path, safe="/")
        response: Response = RedirectResponse(f"{SIGN_IN}?next={wanted}", 303)
        return response
    return problem_response("unauthorized", detail, path, {"WWW-Authenticate": f'ApiKey header="{HEADER}"'})
