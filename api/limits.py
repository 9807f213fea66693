"""How many requests are taken: per key and second (429), and at the same time by one process (503).

The counts are kept in the memory of each worker, so with several workers a key may make as many times more. That keeps
a shared store out of the path of each request; what a flood must not do, slow down others, each worker sees to itself.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access
from api.problems import problem_response

ALWAYS_ANSWERED = "/health"
SIGN_INS = RateLimitItemPerMinute(10)
_STREAM = "text/event-stream"
STREAMS = frozenset({"/v1/live/stream", "/explorer/live/events"})
"""Where events are streamed to whoever asks, whatever formats the request accepts."""
_BUSY = "The API has as much in hand as it can answer quickly: ask again in a second."


class Rates:
    """Counts requests by whoever makes them."""

    def __init__(self, per_second: int) -> None:
        self.per_second = RateLimitItemPerSecond(per_second)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, item: RateLimitItem, who: str) -> tuple[bool, dict[str, str]]:
        """Whether one more is allowed, and the headers that tell how many are left."""
        is_allowed = self._limiter.hit(item, who)
        stats = self._limiter.get_window_stats(item, who)
        reset = str(max(1, math.ceil(stats.reset_time - time.time())))
        left = str(stats.remaining if is_allowed else 0)
        headers = {"RateLimit-Limit": str(item.amount), "RateLimit-Remaining": left, "RateLimit-Reset": reset}
        return is_allowed, headers if is_allowed else {**headers, "Retry-After": reset}


class LimitRate:
    """Answers 429 to a key that asks too often; every other answer of a key says how many more it may make."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        access: Access | None = scope.get("state", {}).get("access") if scope["type"] == "http" else None
        if access is None:
            await self._app(scope, receive, send)
            return
        is_allowed, headers = self._rates.take(self._rates.per_second, access.key_id)
        if not is_allowed:
            detail = (
                f"This key has asked more than {self._rates.per_second.amount} times within a second: ask again later."
            )
            await problem_response("rate-limited", detail, scope["path"], headers)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Shed:
    """Answers 503 at once while `most` requests are in hand, or half as many of one key: those taken keep their speed.

    A stream of events counts only until it has begun; of these there may be `most_streams`, half as many of one key. `streams` are
    their paths.
    """

    def __init__(self, app: ASGIApp, most: int, most_streams: int, streams: Collection[str] = STREAMS) -> None:
        self._app = app
        self._paths = streams
        self._most, self._most_of_key = most, (most + 1) // 2
        self._most_streams, self._most_streams_of_key = most_streams, (most_streams + 1) // 2
        self._of_key: Counter[str] = Counter()
        self._streams_of_key: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        access: Access | None = scope.get("state", {}).get("access")
        key = access.key_id if access else ""
        wants_stream = scope["path"] in self._paths
        is_full = self._of_key.total() >= self._most or self._of_key[key] >= self._most_of_key
        if is_full or (wants_stream and self._is_full_of_streams(key)):
            await problem_response("overloaded", _BUSY, scope["path"])(scope, receive, send)
            return
        _count(self._of_key, key, 1)
        is_stream = False

        async def watched_send(message: Message) -> None:
            nonlocal is_stream
            if message["type"] == "http.response.start" and not is_stream:
                is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith(_STREAM)
                if is_stream:
                    _count(self._of_key, key, -1)
                    _count(self._streams_of_key, key, 1)
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            _count(self._streams_of_key if is_stream else self._of_key, key, -1)

    def _is_full_of_streams(self, key: str) -> bool:
        return (
            self._streams_of_key.total() >= self._most_streams or self._streams_of_key[key] >= self._most_streams_of_key
        )


def _count(by_key: Counter[str], key: str, more: int) -> None:
    """Keys without any are left out: there may be many."""
    by_key[key] += more
    if not by_key[key]:
        del by_key[key]
