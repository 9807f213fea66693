"""Server-sent events: a comment while nothing happens, and an end for clients that do not read."""

from __future__ import annotations

import logging

from sse_starlette import EventSourceResponse
from sse_starlette.sse import ContentStream, SendTimeoutError
from starlette.types import Receive, Scope, Send

_PING_SECONDS = 15
# As long as a client may leave the connection full before its place goes to another one.
_SLOW_SECONDS = 20.0
log = logging.getLogger(__name__)


class EventStream(EventSourceResponse):
    """`events` to one client."""

    # FastAPI reads the status of the OpenAPI document from this signature.
    def __init__(self, events: ContentStream, status_code: int = 200, slow_seconds: float = _SLOW_SECONDS) -> None:
        super().__init__(events, status_code, ping=_PING_SECONDS, send_timeout=slow_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except* SendTimeoutError:
            log.info("%s ended: the client does not read", scope["path"])
