"""GET /explorer/live: the last minutes, kept up to date by server-sent events of /explorer/live/events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from api.access import Access, Role
from api.deps import AccessDep, GenerationDep, MaskDep, ServingDep, requires
from api.errors import ServingError
from api.explorer import charts, formats
from api.explorer.drawing import Drawn, drawn, named
from api.explorer.figures import live as figures
from api.explorer.figures.reading import Part, Row, part
from api.explorer.view import PageRoute, page
from api.live import live_metrics
from api.personal import Mask
from api.serving import Generation, Serving
from api.streams import EventStream

router = APIRouter(route_class=PageRoute, dependencies=[requires(Role.viewer)], include_in_schema=False)
# The browser comes again by itself, and is then asked again who it is.
_LONGEST_SECONDS = 300.0
_LOOK_SECONDS = 0.5
_LEAST_SECONDS = 2.0


@router.get("/explorer/live")
def live(request: Request, generation: GenerationDep, access: AccessDep, mask: MaskDep) -> Response:
    return page(request, "live.html", "Live", "/explorer/live", **_figures(generation, access, mask))


@router.get("/explorer/live/events")
async def events(request: Request, serving: ServingDep, access: AccessDep, mask: MaskDep) -> EventStream:
    """One event `figures` now and after each change of the serving files, at most every two seconds; ends with the key or after five minutes."""
    return EventStream(_changes(request, serving, access, mask))


async def _changes(request: Request, serving: Serving, access: Access, mask: Mask) -> AsyncIterator[ServerSentEvent]:
    seen, sent_at, ends_at = -1, 0.0, time.monotonic() + _LONGEST_SECONDS
    while (now := time.monotonic()) < ends_at and request.state.is_good():
        try:
            generation = serving.current()
            if generation.manifest.sequence != seen and now - sent_at >= _LEAST_SECONDS:
                seen, sent_at = generation.manifest.sequence, now
                found = await run_in_threadpool(_figures, generation, access, mask)
                yield ServerSentEvent(orjson.dumps(_told(found)).decode(), event="figures")
        except ServingError as error:
            yield ServerSentEvent(str(error), event="problem")
            await asyncio.sleep(_LEAST_SECONDS)
        await asyncio.sleep(_LOOK_SECONDS)


def _figures(generation: Generation, access: Access, mask: Mask) -> dict[str, Any]:
    rates = part(lambda: figures.rates(generation, access))
    minutes = part(lambda: figures.revenue_by_minute(generation, access))
    found = part(lambda: [_masked(row, mask) for row in figures.anomalies(generation, access)])
    return {
        "metrics": part(lambda: live_metrics(generation, access)).value,
        "totals": rates.value["totals"] if rates.value else {},
        "anomalies": found,
        "rates_chart": Part(_rates_chart(rates.value["points"]) if rates.value else None, rates.problem),
        "sales_chart": Part(_sales_chart(minutes.value) if minutes.value else None, minutes.problem),
    }


def _rates_chart(points: list[Row]) -> Drawn | None:
    return drawn(
        "rates",
        named(points, "topic"),
        lambda rows: charts.over_time(rows, "second", "records_per_second", "topic", "area"),
    )


def _sales_chart(minutes: list[Row]) -> Drawn | None:
    return drawn("sales", minutes, lambda rows: charts.over_time(rows, "minute", "revenue", kind="bar"))


def _masked(row: Row, mask: Mask) -> Row:
    """The finding without the customer's id where the caller may not see it: in its column and in its words."""
    if row["user_id"] is None:
        return row
    shown = mask.user_id(row["user_id"])
    return {**row, "user_id": shown, "explanation": mask.text(row["explanation"], [row["user_id"]])}


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """The same figures in words, as the page has them, for its script to put in place."""
    metrics, totals = found["metrics"], found["totals"]
    known: dict[str, str] = {}
    if totals:
        known |= {
            "quarantined": formats.count(totals["quarantined_count"]),
            "duplicates": formats.count(totals["duplicate_count"]),
        }
    if metrics and metrics.records_per_second is not None:
        known["rate"] = formats.count(metrics.records_per_second, 1)
    if metrics and metrics.at:
        known |= {
            "orders": formats.count(metrics.order_count_last_hour),
            "revenue": formats.money(metrics.revenue_last_hour),
        }
    drawings = [part.value for part in (found["rates_chart"], found["sales_chart"]) if part.value]
    return {
        "figures": known,
        "charts": [{"id": one.id, "spec": one.spec, "words": one.words} for one in drawings],
        "anomalies": [
            {
                "id": row["anomaly_id"],
                "detector": formats.words(row["detector"]),
                "explanation": row["explanation"],
                "country": formats.country(row["country"]) if row["country"] else "",
                "score": formats.percent(row["score"], 0),
                "at": formats.moment(row["detected_at"]),
            }
            for row in found["anomalies"].value or []
        ],
    }
