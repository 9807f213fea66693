"""GET /v1/live and /v1/live/stream: the figures of this moment, once or as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter, Request, Response
from sse_starlette import ServerSentEvent

from api import formats
from api.access import Access
from api.deps import AccessDep, GenerationDep, ServingDep
from api.live import LiveMetrics, live_metrics
from api.problems import responses
from api.responses import exact
from api.serving import Serving
from api.streams import EventStream
from lakehouse.errors import GlobalMartError

router = APIRouter(tags=["operations"])
_LOOK_SECONDS = 0.25
_TROUBLE_SECONDS = 1.0
# A stream ends after this time and the browser asks again: so it does not go on for somebody who has left.
_LONGEST_SECONDS = 300.0


@router.get(
    "/v1/live",
    summary="The figures of this moment",
    response_description="The figures",
    response_model=LiveMetrics,
    responses={**responses("not-ready", "query-limit"), **formats.OPENAPI_UNTABLED},
)
def live(request: Request, generation: GenerationDep, access: AccessDep) -> Response:
    """Rates, sales of the last hour, open visits and carts, findings and stock, all from one set of serving files.

    The hour is of event time and ends with the newest minute that has an order. A key for some countries sees these only.
    """
    return formats.respond_one(request, live_metrics(generation, access))


@router.get(
    "/v1/live/stream",
    summary="The same, as it changes",
    response_description="Events `metrics`, each with the figures as JSON",
    response_class=EventStream,
    responses={
        **responses("not-ready", "query-limit"),
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    },
)
async def live_stream(request: Request, serving: ServingDep, access: AccessDep) -> EventStream:
    """Server-sent events: `metrics` with the body of `/v1/live` at once and whenever new data is served, at most four a second.

    The event's id is the number of the set of serving files. While they cannot be read, one event `problem` says why. After five
    minutes the stream ends and is to be opened again, which browsers do by themselves.
    """
    serving.current()
    return EventStream(_events(request, serving, access))


async def _events(request: Request, serving: Serving, access: Access) -> AsyncIterator[ServerSentEvent]:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + _LONGEST_SECONDS
    told, trouble = -1, ""
    while loop.time() < ends_at and request.state.is_good() and not await request.is_disconnected():
        try:
            generation = serving.current()
            if generation.manifest.sequence != told:
                found = await asyncio.to_thread(live_metrics, generation, access)
                told = found.sequence
                body = orjson.dumps(found.model_dump(), default=exact, option=orjson.OPT_UTC_Z).decode()
                trouble = ""
                yield ServerSentEvent(body, event="metrics", id=str(told), retry=1000)
        except GlobalMartError as error:
            told = -1  # the figures are told again once they can be read
            if str(error) != trouble:
                trouble = str(error)
                yield ServerSentEvent(orjson.dumps({"detail": trouble}).decode(), event="problem")
            await asyncio.sleep(_TROUBLE_SECONDS)
        await asyncio.sleep(_LOOK_SECONDS)
