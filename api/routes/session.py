"""GET and POST /sign-in, POST /sign-out: a session of the web pages, in exchange for an API key."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request, Response
from starlette.responses import RedirectResponse

from api.access import Role
from api.auth import SIGN_IN, Keeper
from api.deps import AccessDep, AuditDep, requires
from api.explorer.view import bare
from api.keys.model import KeyRefusedError, KeysAwayError
from api.keys.ring import KeyRing
from api.limits import SIGN_INS, Rates
from api.session import Session, Sessions

HOME = "/explorer"
router = APIRouter(include_in_schema=False)
_LONGEST_KEY = 500


@router.get(SIGN_IN)
async def form(request: Request, to: Annotated[str, Query(alias="next")] = HOME) -> Response:
    """The page that asks for the key."""
    return _page(request, to)


@router.post(SIGN_IN)
async def sign_in(
    request: Request,
    audit: AuditDep,
    key: Annotated[str, Form(max_length=_LONGEST_KEY)] = "",
    to: Annotated[str, Form(alias="next")] = HOME,
) -> Response:
    """Exchange a key for a session, and go on to `next`, a path of this server."""
    keeper: Keeper = request.app.state.keeper
    sessions: Sessions = request.app.state.sessions
    rates: Rates = request.app.state.rates
    if not _is_from_here(request):
        return _page(request, to, "The form was sent from another site. Enter your key here.", 403)
    address = request.client.host if request.client else ""
    is_allowed, headers = rates.take(SIGN_INS, f"sign-in {address}")
    if not is_allowed:
        page = _page(request, to, "Too many tries from your address: wait a minute.", 429)
        page.headers.update(headers)
        return page
    try:
        access = await keeper.find(key.strip())
    except KeyRefusedError as error:
        audit.request("sign_in_refused", request.scope, None)
        return _page(request, to, str(error), 401)
    except KeysAwayError as error:
        return _page(request, to, f"{error} Try again in a moment.", 503)
    response = RedirectResponse(inside(to), 303)
    sessions.open(access, response)
    audit.request("sign_in", request.scope, access)
    return response


@router.post("/sign-out", dependencies=[requires(Role.viewer)])
async def sign_out(request: Request, access: AccessDep, audit: AuditDep) -> Response:
    """End the session for good: a copy of its cookie is refused too."""
    ring: KeyRing = request.app.state.ring
    sessions: Sessions = request.app.state.sessions
    session: Session | None = getattr(request.state, "session", None)
    response = RedirectResponse(SIGN_IN, 303)
    if session is not None:
        ring.end_session(session.session_id, session.expires_at)
        audit.request("sign_out", request.scope, access)
    sessions.close(response)
    return response


def inside(to: str) -> str:
    """`to` where it is a path of this server, else the home page: a link must not lead elsewhere after the sign-in."""
    parts = urlsplit(to)
    is_path = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if is_path and not parts.scheme and not parts.netloc else HOME


def _is_from_here(request: Request) -> bool:
    """Whether a browser says that the form is one of ours; what is no browser says nothing, and has no cookies to lose."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _page(request: Request, to: str, problem: str = "", status: int = 200) -> Response:
    return bare(request, "sign_in.html", status, action=SIGN_IN, next=inside(to), problem=problem)
