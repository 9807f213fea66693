"""The list of the stack's services: order of start, address, how each is stopped, and where its module is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from infra.monitoring.programs import has_alertmanager, has_prometheus
from infra.servers import dagster, kafka, minio, monitoring, own, postgres, spark
from infra.servers.base import Health, Launch
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Profile, Settings


class UnknownServiceError(GlobalMartError):
    """A service was named that does not exist."""


@dataclass(frozen=True)
class Service:
    """One supervised process.

    `stage` 1 are servers that need nothing, 2 needs all of 1, 3 needs 2's web server. `patience_seconds` is how long
    `up` waits for it, on a machine that is busy with other work too. `metrics_port` is the setting of the port on which
    it shows metrics beside its work. What is not `is_installed` is left out unless it is asked for by name.

    `profiles` are those that have it. What only `local` has may be asked for by name in `cluster` too; what only `cluster` has is
    nowhere else. `with_service` names a service with which it is always started.
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
    profiles: tuple[Profile, ...] = ("local", "cluster")
    with_service: str = ""

    def address(self, settings: Settings) -> str:
        return f"{self.scheme}127.0.0.1:{getattr(settings, self.ports[0])}" if self.ports else ""


SERVICES: tuple[Service, ...] = (
    Service("kafka", 1, kafka.prepare, kafka.health, ("kafka_port", "kafka_controller_port"), stop_seconds=30),
    *(
        Service(
            name, 1, partial(kafka.prepare, name=name), partial(kafka.health, name=name), ports, stop_seconds=30,
            profiles=("cluster",), with_service="kafka",
        )
        for name, ports in {
            "kafka-2": ("kafka_2_port", "kafka_2_controller_port"),
            "kafka-3": ("kafka_3_port", "kafka_3_controller_port"),
        }.items()
    ),
    Service("minio", 1, minio.prepare, minio.health, ("s3_port",), "http://"),
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients to leave.
    Service("postgres", 1, postgres.prepare, postgres.health, ("postgres_port",), stop_signal="INT"),
    Service(
        "spark-master", 1, spark.prepare_master, spark.master_health, ("spark_master_web_port", "spark_master_port"), "http://",
        profiles=("cluster",),
    ),
    *(
        Service(
            name, 2, partial(spark.prepare_worker, name=name), partial(spark.worker_health, name=name), (port,), "http://",
            profiles=("cluster",),
        )
        for name, port in zip(spark.WORKERS, ("spark_worker_1_web_port", "spark_worker_2_web_port"), strict=True)
    ),
    Service(
        "streaming", 2, own.prepare_streaming, own.streaming_health, stop_seconds=45, patience_seconds=300,
        metrics_port="streaming_metrics_port",
    ),
    Service(
        "realtime", 2, own.prepare_realtime, own.realtime_health, patience_seconds=300, metrics_port="realtime_metrics_port",
        profiles=("local",),
    ),
    Service("refresher", 2, own.prepare_refresher, own.refresher_health, patience_seconds=240),
    Service("desk", 2, own.prepare_desk, own.desk_health, patience_seconds=120, profiles=("local",)),
    Service("api", 2, own.prepare_api, own.api_health, ("api_port",), "http://", metrics_port="api_metrics_port"),
    Service("monitor", 2, own.prepare_monitor, own.monitor_health, metrics_port="monitor_port", profiles=("local",)),
    Service(
        "alertmanager", 2, monitoring.prepare_alertmanager, monitoring.alertmanager_health, ("alertmanager_port",), "http://",
        is_installed=has_alertmanager, profiles=("local",),
    ),
    Service(
        "prometheus", 2, monitoring.prepare_prometheus, monitoring.prometheus_health, ("prometheus_port",), "http://",
        is_installed=has_prometheus, profiles=("local",),
    ),
    Service(
        "dagster-webserver", 2, dagster.prepare_webserver, dagster.webserver_health, ("dagster_port",), "http://",
        stop_group=True, patience_seconds=300, profiles=("local",),
    ),
    # After the web server, which makes the tables in PostgreSQL: two at once would stumble over each other.
    Service(
        "dagster-daemon", 3, dagster.prepare_daemon, dagster.daemon_health, stop_group=True, patience_seconds=300,
        profiles=("local",),
    ),
)  # fmt: skip
BY_NAME = {service.name: service for service in SERVICES}


def check_names(*names: str) -> None:
    """Raises UnknownServiceError."""
    for name in names:
        if name not in BY_NAME:
            raise UnknownServiceError(f"There is no service {name!r}: the services are {', '.join(BY_NAME)}.")


def choose(only: Sequence[str] = (), without: Sequence[str] = (), profile: Profile = "local") -> list[Service]:
    """The services of a profile that `--only` and `--without` mean, in order of start. Raises UnknownServiceError."""
    check_names(*only, *without)
    for name in only:
        if "local" not in BY_NAME[name].profiles and profile not in BY_NAME[name].profiles:
            raise UnknownServiceError(
                f"The profile {profile} has no {name}: `globalmart up --profile {BY_NAME[name].profiles[0]}` starts it."
            )
    return [service for service in SERVICES if _is_meant(service, only, profile) and service.name not in without]


def _is_meant(service: Service, only: Sequence[str], profile: Profile) -> bool:
    if only:
        return service.name in only or (service.with_service in only and profile in service.profiles)
    return profile in service.profiles and service.is_installed()
