"""How each thing is that the API depends on: state, lag and the next step in words. No secrets, no addresses with passwords."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from api.served import SERVED
from api.serving import Serving
from lakehouse.errors import GlobalMartError
from lakehouse.health import NEXT_STEPS, State, by_heartbeat
from lakehouse.settings import Settings
from lakehouse.storage import is_s3

_CONNECT_SECONDS = 0.7


class Dependency(BaseModel):
    """One thing that the API, or the freshness of its answers, depends on."""

    name: str = Field(description="Its name.", examples=["refresher"])
    state: State = Field(description="`ok`; `waiting`: up, but not doing its work; `down`.", examples=["ok"])
    is_required: bool = Field(
        description="True where the API cannot answer without it; false where answers only grow old."
    )
    lag_seconds: float | None = Field(
        None, description="How old what it last did is, where that can be told.", examples=[0.8]
    )
    detail: str = Field(description="The state in words.", examples=["checked gold 0.8 s ago"])
    next_step: str | None = Field(None, description="What to do about it; null where nothing is to be done.")


class ReadyReport(BaseModel):
    """`ready`: all is well. `degraded`: answers are served but may be old or partial. `not_ready`: no answers can be given."""

    status: Literal["ready", "degraded", "not_ready"]
    checked_at: datetime = Field(description="When this was looked at (UTC).")
    dependencies: list[Dependency]


async def report(
    settings: Settings, serving: Serving, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> ReadyReport:
    """Look at everything at once; takes as long as the slowest look, about a second at most."""
    looks: list[Callable[[], Dependency]] = [
        lambda: _serving_files(serving, now()),
        lambda: _refresher(settings, now()),
        lambda: _streaming(settings, now()),
        lambda: _kafka(settings),
        lambda: _storage(settings),
        lambda: _postgres(settings),
    ]
    found = await asyncio.gather(*(asyncio.to_thread(look) for look in looks))
    status: Literal["ready", "degraded", "not_ready"] = "ready"
    if any(dependency.state != "ok" for dependency in found):
        status = "degraded"
    if any(dependency.state == "down" and dependency.is_required for dependency in found):
        status = "not_ready"
    return ReadyReport(status=status, checked_at=now(), dependencies=list(found))


def _serving_files(serving: Serving, now: datetime) -> Dependency:
    name = "serving"
    try:
        generation = serving.current()
    except GlobalMartError as error:
        step = "Start the refresher (`globalmart up`); its log says what it waits for."
        return Dependency(name=name, state="down", is_required=True, detail=str(error), next_step=step)
    missing = [table.path for table in SERVED if table.name not in generation.metas]
    newest = max((meta.built_at for meta in generation.metas.values()), default=None)
    lag = round((now - newest.replace(tzinfo=UTC)).total_seconds(), 1) if newest else None
    versions = ", ".join(f"{meta.name} version {meta.delta_version}" for meta in generation.metas.values())
    detail = f"set {generation.manifest.sequence}: {versions or 'no table yet'}"
    if serving.problem:
        step = "The set before is served meanwhile; if this stays, delete the serving folder and restart the refresher."
        return _dependency(name, "waiting", True, f"{detail}; {serving.problem}", step, lag)
    if missing:
        step = "Sales and orders appear with the first transactions; customer_rfm once Dagster has materialised it."
        return _dependency(name, "waiting", True, f"{detail}; not materialised yet: {', '.join(missing)}", step, lag)
    return _dependency(name, "ok", True, detail, None, lag)


def _refresher(settings: Settings, now: datetime) -> Dependency:
    found = by_heartbeat(settings, "refresher", now)
    words = f"checked gold {found.lag_seconds or 0:.1f} s ago" if found.state == "ok" else found.words
    return _dependency("refresher", found.state, True, words, found.next_step, found.lag_seconds)


def _streaming(settings: Settings, now: datetime) -> Dependency:
    found = by_heartbeat(settings, "streaming", now)
    return _dependency("streaming", found.state, False, found.words, found.next_step, found.lag_seconds)


def _kafka(settings: Settings) -> Dependency:
    addresses = [address.strip() for address in settings.kafka_bootstrap_servers.split(",") if address.strip()]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if _connects(host, int(port) if port.isdigit() else 0):
            return _dependency("kafka", "ok", False, f"{address} accepts connections")
    words = f"no broker accepts connections at {', '.join(addresses)}"
    return _dependency("kafka", "down", False, words, NEXT_STEPS["kafka"])


def _storage(settings: Settings) -> Dependency:
    """MinIO by its health route; any other S3 by whether it answers HTTP at all."""
    if not is_s3(settings):
        return _dependency("storage", "ok", False, "the lake is a local folder")
    url = f"{settings.s3_endpoint.rstrip('/')}/minio/health/live"
    if not url.startswith(("http://", "https://")):
        return _dependency("storage", "down", False, "GLOBALMART_S3_ENDPOINT is no http address", "Mend the setting.")
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS):  # noqa: S310 - the scheme is checked above
            return _dependency("storage", "ok", False, f"{settings.s3_endpoint} is alive")
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return _dependency("storage", "ok", False, f"{settings.s3_endpoint} answers")
        detail = f"{settings.s3_endpoint} answers with status {error.code}"
    except OSError:
        detail = f"{settings.s3_endpoint} does not answer"
    return _dependency("storage", "down", False, detail, NEXT_STEPS["minio"])


def _postgres(settings: Settings) -> Dependency:
    parts = urlsplit(settings.postgres_url.get_secret_value())
    if not parts.hostname:
        port, host = settings.postgres_port, "127.0.0.1"
    else:
        port, host = parts.port or 5432, parts.hostname
    if _connects(host, port):
        return _dependency("postgres", "ok", False, f"{host}:{port} accepts connections")
    return _dependency("postgres", "down", False, f"{host}:{port} does not accept connections", NEXT_STEPS["postgres"])


def _dependency(
    name: str, state: State, is_required: bool, detail: str, step: str | None = None, lag: float | None = None
) -> Dependency:
    lag = round(lag, 1) if lag is not None else None
    return Dependency(name=name, state=state, is_required=is_required, lag_seconds=lag, detail=detail, next_step=step)


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False
