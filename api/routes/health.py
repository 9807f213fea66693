"""GET /health (the process is alive) and GET /ready (each dependency); both need no key and tell no secret."""

from __future__ import annotations

from typing import Literal

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.deps import ServingDep, SettingsDep
from api.readiness import ReadyReport, report

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["alive"] = Field(description="Always `alive`: a dead process does not answer.", examples=["alive"])


@router.get(
    "/health", summary="Is the process alive?", response_model=Health, response_description="The process is alive"
)
async def health() -> Response:
    """Answers as soon as the process runs, whatever it depends on."""
    return Response(orjson.dumps({"status": "alive"}), media_type="application/json")


@router.get(
    "/ready",
    summary="Can it answer, and how fresh?",
    response_description="Answers are given; `status` says whether they may be old",
    response_model=ReadyReport,
    responses={503: {"model": ReadyReport, "description": "No answers can be given: a required dependency is down"}},
)
async def ready(settings: SettingsDep, serving: ServingDep) -> Response:
    """Every dependency with its state, its lag and the next step.

    503 only where a required dependency is down. While Kafka, the storage, PostgreSQL or the streaming service are away, the
    last good version is served and the report says `degraded`.
    """
    found = await report(settings, serving)
    body = orjson.dumps(found.model_dump(mode="python"), option=orjson.OPT_UTC_Z)
    return Response(body, 503 if found.status == "not_ready" else 200, media_type="application/json")
