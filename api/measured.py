"""How many requests each route gets, how they end and how long they take. Outermost, so that refusals count too."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.metrics import names
from lakehouse.metrics.base import counter, histogram

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_STREAM = "text/event-stream"
NO_ROUTE = "none"
"""In place of a route: the request was refused before one was looked for, or there is none. Anybody can ask for anything, so that is no label."""


class Measured:
    """Counts and times requests; a stream of events is counted when it ends and not timed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._requests = counter(names.API_REQUESTS)
        self._seconds = histogram(names.API_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        status, is_stream = 500, False  # of what ends without an answer

        async def watched_send(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith(_STREAM)
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._requests.labels(method, route, str(status)).inc()
            if not is_stream:
                self._seconds.labels(method, route).observe(time.perf_counter() - begin)
