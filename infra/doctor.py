"""`globalmart doctor`: what is missing, taken, too small or at odds on this machine, each with what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra import supervision
from infra.cache import cache_dir
from infra.envfile import is_free
from infra.java import find_java
from infra.s3_users import check_reader
from infra.services import SERVICES, Service
from infra.setup import missing
from lakehouse.errors import GlobalMartError
from lakehouse.settings import PREFIX, Settings, env_file, load_settings

DISK_GB = 2  # below this the stack is not started: Kafka and MinIO stop working on a full disk, and not gracefully
_DISK_COMFORT_GB = 10
_BASE_MEMORY_GB = 5  # Kafka, MinIO, PostgreSQL, Dagster, API and refresher together, measured with the stack idle


@dataclass(frozen=True)
class Finding:
    what: str
    ok: bool
    words: str


def holder(port: int) -> str:
    """Who listens on `port`, in words."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            if connection.pid is None:
                return "a process of another user"
            try:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())
                return f"{process.name()} (pid {process.pid}: {command[:60]}{'…' if len(command) > 60 else ''})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "another process"


def taken_ports(settings: Settings, services: Sequence[Service]) -> list[str]:
    """One sentence for each port of `services` on which another process listens."""
    return [
        f"Port {port} for {service.name} is taken by {holder(port)}: end that, or set {PREFIX}{name.upper()} "
        f"(and the address that holds it) in {env_file()} to a free port."
        for service in services
        for name in (*service.ports, *filter(None, [service.metrics_port]))
        if not is_free(port := getattr(settings, name))
    ]


def examine() -> list[Finding]:
    """All findings, the good ones too."""
    findings = []
    settings: Settings | None = None
    try:
        settings = load_settings()
        words = "in order" if env_file().exists() else "not written yet: `globalmart up` writes it"
        findings.append(Finding("settings", True, f"{env_file()} {words}"))
    except GlobalMartError as error:
        findings.append(Finding("settings", False, str(error)))
    findings.append(_check("java", lambda: str(find_java())))
    lacking = missing()
    findings.append(
        Finding("set-up", not lacking, f"missing: {', '.join(lacking)}; run `make setup`" if lacking else "complete")
    )
    if settings is not None:
        found = settings
        findings.append(_check("versions", lambda: _versions(found)))
        findings += [_addresses(found), _disk(found), _memory(found), *_ports(found)]
    return findings


def _check(what: str, examine_it: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, examine_it())
    except GlobalMartError as error:
        return Finding(what, False, str(error))


def _versions(settings: Settings) -> str:
    from lakehouse.session import check_versions, spark_jars  # Spark takes a second to import, for this one look

    check_versions(spark_jars(settings))
    return "Spark, Delta and Kafka libraries agree"


def _addresses(settings: Settings) -> Finding:
    """`.env` names some ports twice, for programs that only read addresses."""
    pairs = {
        "KAFKA_BOOTSTRAP_SERVERS": (settings.kafka_bootstrap_servers, settings.kafka_port),
        "S3_ENDPOINT": (settings.s3_endpoint, settings.s3_port),
        "API_URL": (settings.api_url, settings.api_port),
    }
    odd = [
        f"{PREFIX}{name}={address} does not name port {port}"
        for name, (address, port) in pairs.items()
        if f":{port}" not in address
    ]
    words = (
        f"{'; '.join(odd)}: fine for servers elsewhere, else put it right in {env_file()}"
        if odd
        else "agree with the ports"
    )
    return Finding("addresses", not odd, words)


def _disk(settings: Settings) -> Finding:
    places = {path: shutil.disk_usage(_existing(path)).free / 2**30 for path in (settings.state_dir, cache_dir())}
    place, free = min(places.items(), key=lambda item: item[1])
    words = f"{free:.0f} GiB free for {place}"
    if free < _DISK_COMFORT_GB:
        return Finding(
            "disk", False, f"{words}, {_DISK_COMFORT_GB} wanted: make room or name another GLOBALMART_STATE_DIR"
        )
    return Finding("disk", True, words)


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)


def _memory(settings: Settings) -> Finding:
    """Against the memory of the machine where the stack runs, against what is free where it does not."""
    running = supervision.Supervisor(settings).is_running()
    memory = psutil.virtual_memory()
    have = (memory.total if running else memory.available) / 2**30
    need = _BASE_MEMORY_GB + settings.streaming_memory_gb + settings.batch_memory_gb
    words = f"{have:.0f} GiB {'in all' if running else 'free'}, {need:.0f} needed with a batch run"
    if have < need:
        return Finding(
            "memory",
            False,
            f"{words}: end other programs, or lower GLOBALMART_STREAMING_MEMORY_GB and GLOBALMART_BATCH_MEMORY_GB",
        )
    return Finding("memory", True, words)


def _ports(settings: Settings) -> list[Finding]:
    """Ports of services that do not run must be free; a running MinIO must accept the pair in `.env`."""
    processes = supervision.Supervisor(settings).processes()
    running = {name for name, info in processes.items() if info["statename"] in {"RUNNING", "STARTING"}}
    stopped = [one for one in SERVICES if settings.profile in one.profiles and one.name not in running]
    findings = [Finding("ports", False, sentence) for sentence in taken_ports(settings, stopped)]
    findings = findings or [Finding("ports", True, "free, or held by this stack")]
    if not processes:
        left = supervision.leftovers(settings)
        if left:
            words = f"{len(left)} processes of this stack run without supervisor: `globalmart up` or `down` ends them"
            findings.append(Finding("supervisor", False, words))
    if "minio" in running:
        problem = check_reader(settings)
        findings.append(Finding("s3 credentials", not problem, problem or "accepted"))
    return findings
