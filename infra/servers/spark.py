"""Spark's standalone cluster of the profile `cluster`: a master and its workers, from the PySpark wheel, with a secret of their own."""

from __future__ import annotations

import re
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from infra.envfile import write_private
from infra.servers.base import Health, Launch, get_json
from lakehouse.settings import Settings

WORKERS = ("spark-worker-1", "spark-worker-2")
_DAEMON_HEAP = "384m"
_KEPT_SECONDS = 6 * 3600  # what a driver that has ended left with the workers, its output above all
_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601}{UTC}Z %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.deploy.name = org.apache.spark.deploy
logger.deploy.level = info
"""


def _defaults(settings: Settings) -> Path:
    return settings.spark_dir / "conf" / "spark-defaults.conf"


def configure(settings: Settings) -> None:
    """Write what master, workers and drivers read at their start, mode 0600; the secret stays what it was."""
    path = _defaults(settings)
    old = re.search(r"^spark\.authenticate\.secret (\S+)$", path.read_text("utf-8"), re.M) if path.exists() else None
    values = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": old[1] if old else secrets.token_urlsafe(32),
        "spark.master.rest.enabled": "false",
        "spark.ui.killEnabled": "false",
        # A master that was killed knows drivers and workers again; without, a driver would wait for tasks for ever
        "spark.deploy.recoveryMode": "FILESYSTEM",
        "spark.deploy.recoveryDirectory": str(settings.spark_dir / "recovery"),
        "spark.deploy.recoveryTimeout": "15",
        "spark.worker.timeout": "20",
        "spark.worker.cleanup.enabled": "true",
        "spark.worker.cleanup.appDataTtl": str(_KEPT_SECONDS),
        "spark.executor.logs.rolling.strategy": "size",
        "spark.executor.logs.rolling.maxSize": str(2**20),
        "spark.executor.logs.rolling.maxRetainedFiles": "3",
    }
    write_private(path, "".join(f"{name} {value}\n" for name, value in values.items()), replace=True)
    write_private(path.with_name("log4j2.properties"), _LOGGING, replace=True)
    path.parent.chmod(0o700)


def _launch(settings: Settings, main: str, *args: str) -> Launch:
    configure(settings)
    env = {
        "SPARK_CONF_DIR": str(_defaults(settings).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",  # pages listen nowhere else
        "SPARK_LOCAL_DIRS": str(settings.spark_dir / "local"),
        "SPARK_DAEMON_MEMORY": _DAEMON_HEAP,
    }
    found = find_spec("pyspark")  # not imported: that takes a second, in each command
    home = Path(found.origin).parent if found and found.origin else Path()
    return Launch([str(home / "bin" / "spark-class"), main, "--host", "127.0.0.1", *args], env)


def prepare_master(settings: Settings) -> Launch:
    """The master's command. Its drivers and workers prove who they are by the secret."""
    (settings.spark_dir / "recovery").mkdir(parents=True, exist_ok=True)
    ports = ("--port", str(settings.spark_master_port), "--webui-port", str(settings.spark_master_web_port))
    return _launch(settings, "org.apache.spark.deploy.master.Master", *ports)


def prepare_worker(settings: Settings, name: str) -> Launch:
    """The command of one of `WORKERS`."""
    (settings.spark_dir / "local").mkdir(parents=True, exist_ok=True)
    return _launch(
        settings,
        "org.apache.spark.deploy.worker.Worker",
        "--cores", str(settings.spark_worker_cores),
        "--memory", f"{int(settings.spark_worker_memory_gb * 1024)}m",
        "--work-dir", str(settings.spark_dir / "work" / name),
        "--webui-port", str(_web_port(settings, name)),
        f"spark://127.0.0.1:{settings.spark_master_port}",
    )  # fmt: skip


def _web_port(settings: Settings, name: str) -> int:
    return settings.spark_worker_1_web_port if name == WORKERS[0] else settings.spark_worker_2_web_port


def state(settings: Settings) -> dict[str, Any]:
    """What the master says of its workers and drivers. Raises OSError where it does not answer, ValueError where not in JSON."""
    found: dict[str, Any] = get_json(f"http://127.0.0.1:{settings.spark_master_web_port}/json/")
    return found


def master_health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001 one signature for all servers
    try:
        found = state(settings)
    except (OSError, ValueError):
        return Health(False, f"does not answer on port {settings.spark_master_web_port}")
    if found["status"] != "ALIVE":
        return Health(False, f"is {found['status'].lower()}")
    workers, drivers = int(found["aliveworkers"]), len(found["activeapps"])
    return Health(
        True, f"answers, {workers} worker{'' if workers == 1 else 's'}, {drivers} driver{'' if drivers == 1 else 's'}"
    )


def worker_health(settings: Settings, pid: int | None, name: str) -> Health:  # noqa: ARG001
    """By the master's word: a worker that runs and is not known to it gets no tasks."""
    address = f"http://127.0.0.1:{_web_port(settings, name)}"
    try:
        workers = [one for one in state(settings)["workers"] if one["webuiaddress"] == address]
    except (OSError, ValueError):
        return Health(False, "its master does not answer")
    alive = [one for one in workers if one["state"] == "ALIVE"]
    if not alive:
        return Health(False, "the master does not know it")
    return Health(True, f"{alive[0]['coresused']} of {alive[0]['cores']} cores in use")
