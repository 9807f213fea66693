"""How large a request may be and how long it may take to arrive; and reading a form's field before the routes do."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response

LONGEST_URL = 16_384
ARRIVAL_SECONDS = 10.0
_FORM = "application/x-www-form-urlencoded"


class RefusedBodyError(HTTPException):
    """The body is too large (413), or too slow to arrive (408)."""


class LimitRequests:
    """Answers 414, 413 and 408: for addresses over `LONGEST_URL` bytes, bodies over `most_bytes`, and what takes too long to arrive."""

    def __init__(self, app: ASGIApp, most_bytes: int, arrival_seconds: float = ARRIVAL_SECONDS) -> None:
        self._app = app
        self._most = most_bytes
        self._seconds = arrival_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if length > LONGEST_URL:
            detail = f"The address has {length:,} bytes, {LONGEST_URL:,} are allowed: ask for less at once."
            await problem_response("uri-too-long", detail, scope["path"][:200])(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            if declared.isdigit() and int(declared) > self._most:
                raise self._too_large()
            await self._app(scope, self._limited(receive), watched_send)
        except RefusedBodyError as error:
            # Raised below a route it has been answered there: this is for what other middleware reads.
            if started:
                raise
            kind = "body-too-slow" if error.status_code == 408 else "body-too-large"
            answer = problem_response(kind, str(error.detail), scope["path"], {"Connection": "close"})
            await answer(scope, receive, send)

    def _limited(self, receive: Receive) -> Receive:
        taken, is_complete, deadline = 0, False, asyncio.get_running_loop().time() + self._seconds

        async def limited() -> Message:
            nonlocal taken, is_complete
            if is_complete:  # now it waits for the client to leave
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise RefusedBodyError(408, f"The body did not arrive within {self._seconds:g} seconds.") from None
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise self._too_large()
            is_complete = not message.get("more_body", False)
            return message

        return limited

    def _too_large(self) -> RefusedBodyError:
        return RefusedBodyError(413, f"The body is larger than {self._most:,} bytes, which is the most that is taken.")


async def form_field(scope: Scope, receive: Receive, name: str) -> tuple[str | None, Receive]:
    """A field of an URL-encoded form (None where there is none), and a `receive` that gives the routes the same body again."""
    if not Headers(scope=scope).get("content-type", "").startswith(_FORM):
        return None, receive
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body, is_given = b"".join(parts), False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        values = parse_qs(body.decode("latin-1"), max_num_fields=1000).get(name, [])
    except ValueError:  # more fields than any form of ours has
        values = []
    return (values[0] if len(values) == 1 else None), again
