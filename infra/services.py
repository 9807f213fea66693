"""The list of the stack's services: order of start, address, how each is stopped, and where its module is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.monitoring.programs import has_alertmanager, has_prometheus
from infra.servers import dagster, kafka, minio, monitoring, own, postgres
from infra.servers.base import Health, Launch
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings


class UnknownServiceError(GlobalMartError):
    """A service was named that does not exist."""


@dataclass(frozen=True)
class Service:
    """One supervised process.

    `stage` 1 are servers that need nothing, 2 needs all of 1, 3 needs 2's web server. `patience_seconds` is how long
    `up` waits for it, on a machine that is busy with other work too. `metrics_port` is the setting of the port on which
    it shows metrics beside its work. What is not `is_installed` is left out unless it is asked for by name.
    """

    name: str
    stage: int
    prepare: Callable[[Settings], Launch]
    health: Callable[[Settings, int | None], Health]
    ports: tuple[str, ...] = ()
    scheme: str = ""
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    stop_group: bool = False
    patience_seconds: int = 180
    metrics_port: str = ""
    is_installed: Callable[[], bool] = lambda: True

    def address(self, settings: Settings) -> str:
        return f"{self.scheme}127.0.0.1:{getattr(settings, self.ports[0])}" if self.ports else ""


SERVICES: tuple[Service, ...] = (
    Service("kafka", 1, kafka.prepare, kafka.health, ("kafka_port", "kafka_controller_port"), stop_seconds=30),
    Service("minio", 1, minio.prepare, minio.health, ("s3_port",), "http://"),
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients to leave.
    Service("postgres", 1, postgres.prepare, postgres.health, ("postgres_port",), stop_signal="INT"),
    Service(
        "streaming", 2, own.prepare_streaming, own.streaming_health, stop_seconds=45, patience_seconds=300,
        metrics_port="streaming_metrics_port",
    ),
    Service("realtime", 2, own.prepare_realtime, own.realtime_health, patience_seconds=300, metrics_port="realtime_metrics_port"),
    Service("refresher", 2, own.prepare_refresher, own.refresher_health, patience_seconds=240),
    Service("desk", 2, own.prepare_desk, own.desk_health, patience_seconds=120),
    Service("api", 2, own.prepare_api, own.api_health, ("api_port",), "http://", metrics_port="api_metrics_port"),
    Service("monitor", 2, own.prepare_monitor, own.monitor_health, metrics_port="monitor_port"),
    Service(
        "alertmanager", 2, monitoring.prepare_alertmanager, monitoring.alertmanager_health, ("alertmanager_port",), "http://",
        is_installed=has_alertmanager,
    ),
    Service(
        "prometheus", 2, monitoring.prepare_prometheus, monitoring.prometheus_health, ("prometheus_port",), "http://",
        is_installed=has_prometheus,
    ),
    Service(
        "dagster-webserver", 2, dagster.prepare_webserver, dagster.webserver_health, ("dagster_port",), "http://",
        stop_group=True, patience_seconds=300,
    ),
    # After the web server, which makes the tables in PostgreSQL: two at once would stumble over each other.
    Service("dagster-daemon", 3, dagster.prepare_daemon, dagster.daemon_health, stop_group=True, patience_seconds=300),
)  # fmt: skip
BY_NAME = {service.name: service for service in SERVICES}


def choose(only: Sequence[str] = (), without: Sequence[str] = ()) -> list[Service]:
    """The services meant by `--only` and `--without`, in order of start. Raises UnknownServiceError."""
    for name in (*only, *without):
        if name not in BY_NAME:
            raise UnknownServiceError(f"There is no service {name!r}: the services are {', '.join(BY_NAME)}.")
    return [
        service
        for service in SERVICES
        if (service.name in only if only else service.is_installed()) and service.name not in without
    ]
