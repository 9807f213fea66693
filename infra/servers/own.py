"""The platform's own services: the streaming service, the real-time lane, the refresher, the alert desk and the REST API."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from api.mirror.lag import lag, words
from infra.servers.base import Health, Launch, heartbeat_health, http_health
from lakehouse import heartbeat
from lakehouse.metrics.endpoint import SHARED_FOLDER
from lakehouse.settings import Settings


def prepare_streaming(settings: Settings) -> Launch:  # noqa: ARG001 one signature for all servers
    return Launch([sys.executable, "-m", "lakehouse.streams.service"], {"GLOBALMART_SERVICE": "streaming"})


def prepare_realtime(settings: Settings) -> Launch:  # noqa: ARG001
    return Launch([sys.executable, "-m", "lakehouse.streams.realtime"])


def prepare_refresher(settings: Settings) -> Launch:  # noqa: ARG001
    return Launch([sys.executable, "-m", "api.refresher"], {"GLOBALMART_SERVICE": "serving"})


def prepare_api(settings: Settings) -> Launch:
    command = [
        sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app",
        "--host", settings.listen_host, "--port", str(settings.api_port), "--no-server-header", "--no-proxy-headers", "--log-level", "warning",
        "--workers", str(settings.api_workers),
    ]  # fmt: skip
    if settings.api_tls_certificate and settings.api_tls_key:
        command += ["--ssl-certfile", str(settings.api_tls_certificate), "--ssl-keyfile", str(settings.api_tls_key)]
    return Launch(command, {"GLOBALMART_SERVICE": "api", SHARED_FOLDER: str(_shared_metrics(settings))})


def _shared_metrics(settings: Settings) -> Path:
    """Where the API's processes keep their metrics together; emptied, or those of processes long gone would count for ever."""
    folder = settings.run_dir / "api-metrics" / socket.gethostname()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def prepare_monitor(settings: Settings) -> Launch:  # noqa: ARG001
    return Launch([sys.executable, "-m", "infra.monitoring"], {"GLOBALMART_SERVICE": "monitor"})


def monitor_health(settings: Settings, pid: int | None) -> Health:
    """Its own, and what it cannot see; that something is away is no illness of the monitor."""
    health = heartbeat_health(settings, "monitor", pid)
    blind = (heartbeat.read(settings, "monitor") or {}).get("blind") if health.ok else None
    return Health(
        health.ok, f"{health.words}, cannot see {', '.join(blind)}" if blind else health.words, health.next_step
    )


def prepare_desk(settings: Settings) -> Launch:  # noqa: ARG001
    return Launch([sys.executable, "-m", "api.desk"], {"GLOBALMART_SERVICE": "desk"})


def streaming_health(settings: Settings, pid: int | None) -> Health:
    return heartbeat_health(settings, "streaming", pid)


def realtime_health(settings: Settings, pid: int | None) -> Health:
    return heartbeat_health(settings, "realtime", pid)


def refresher_health(settings: Settings, pid: int | None) -> Health:
    """Its own, and how far the mirror is; a mirror that waits for PostgreSQL keeps nobody from being served."""
    health = heartbeat_health(settings, "refresher", pid)
    mirror = [f"{name} mirror {words(one)}" for name, one in lag(settings).items()] if health.ok else []
    return Health(health.ok, "; ".join([health.words, *mirror]), health.next_step)


def desk_health(settings: Settings, pid: int | None) -> Health:
    return heartbeat_health(settings, "desk", pid)


def api_health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001
    scheme = "https" if settings.api_tls_certificate else "http"
    return http_health(f"{scheme}://127.0.0.1:{settings.api_port}/health", "answers")
