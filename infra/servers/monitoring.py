"""Prometheus and Alertmanager: small, on the loopback, with what set-up found or unpacked."""

from __future__ import annotations

import os
from pathlib import Path

from infra.monitoring import programs
from infra.monitoring.configuration import write
from infra.servers.base import Health, Launch, http_health
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

NOT_INSTALLED = "not installed: `make setup` fetches it where Debian's packages are to be had"
# Two cores are for the stream; a few thousand series need little.
_SMALL = {"GOMAXPROCS": "1", "GOMEMLIMIT": "256MiB"}


class NotInstalledError(GlobalMartError):
    """A program of monitoring is not on this machine."""


def _program(name: str) -> Path:
    found = programs.find(name)
    if found is None:
        raise NotInstalledError(f"{name} is not on this machine: run `make setup`, or install it, or leave it out.")
    return found


def prepare_prometheus(settings: Settings) -> Launch:
    """Raises NotInstalledError."""
    program = _program(programs.PROMETHEUS)
    configuration, _ = write(settings)
    address = f"127.0.0.1:{settings.prometheus_port}"
    assets = programs.unpacked() / "usr" / "share" / "prometheus" / "web"
    command = [
        str(program), f"--config.file={configuration}", f"--storage.tsdb.path={configuration.parent / 'data'}",
        f"--storage.tsdb.retention.time={settings.prometheus_days}d",
        f"--storage.tsdb.retention.size={round(settings.prometheus_disk_gb * 1024)}MB",
        f"--web.listen-address={address}", f"--web.cors.origin=http://{address}", "--query.max-concurrency=4",
        "--log.level=warn",
    ]  # fmt: skip
    if program.is_relative_to(programs.unpacked()):
        command.append(f"--web.local-assets={assets}{os.sep}")
    return Launch(command, _SMALL)


def prepare_alertmanager(settings: Settings) -> Launch:
    """Raises NotInstalledError."""
    program = _program(programs.ALERTMANAGER)
    _, configuration = write(settings)
    command = [
        str(program), f"--config.file={configuration}", f"--storage.path={configuration.parent / 'data'}",
        f"--web.listen-address=127.0.0.1:{settings.alertmanager_port}", "--cluster.listen-address=", "--log.level=warn",
    ]  # fmt: skip
    return Launch(command, _SMALL)


def prometheus_health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001 one signature for all servers
    return http_health(f"http://127.0.0.1:{settings.prometheus_port}/-/ready", "ready")


def alertmanager_health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001
    return http_health(f"http://127.0.0.1:{settings.alertmanager_port}/-/ready", "ready")
