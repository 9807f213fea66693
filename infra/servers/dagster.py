"""Dagster: its instance on PostgreSQL, its web pages and its daemon."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from infra.credentials import read_pairs
from infra.envfile import write_private
from infra.servers.base import Health, Launch, get_json
from lakehouse.settings import CHECKOUT, Settings

_WORKSPACE = CHECKOUT / "workspace.yaml"
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def _instance_yaml(home: Path) -> str:
    """One run at a time: each Spark run has a JVM of its own, and batch tables have one writer.

    A run whose process died is started again; a step that failed is not: what is worth another try has had it within the run
    (`orchestration.transient`).
    """
    return f"""# Written by `globalmart up`.
storage:
  postgres:
    postgres_url:
      env: DAGSTER_POSTGRES_URL
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
  max_runtime_seconds: 14400
  poll_interval_seconds: 30
run_retries:
  enabled: true
  max_retries: 2
  retry_on_asset_or_op_failure: false
freshness:
  enabled: true
telemetry:
  enabled: false
nux:
  enabled: false
local_artifact_storage:
  module: dagster._core.storage.root
  class: LocalArtifactStorage
  config:
    base_dir: {home}
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config:
    base_dir: {home / "compute_logs"}
"""


def instance_env(settings: Settings) -> dict[str, str]:
    """What a process needs to work on the stack's Dagster instance; writes `dagster.yaml` if it differs."""
    home = settings.state_dir / "dagster"
    path = home / "dagster.yaml"
    text = _instance_yaml(home)
    if not path.exists() or path.read_text() != text:
        write_private(path, text, replace=True)
    secret = read_pairs(settings.secrets_dir / "batch.env")
    return {
        "DAGSTER_HOME": str(home),
        # Dagster's storage is written for psycopg2, and SQLAlchemy 2.1 takes psycopg 3 unless it is told.
        "DAGSTER_POSTGRES_URL": secret["GLOBALMART_POSTGRES_URL"].replace("postgresql:", "postgresql+psycopg2:", 1),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "GLOBALMART_SERVICE": "batch",
    }


def program(name: str) -> str:
    """Dagster's command `name`, of the environment that this process runs in."""
    return str(Path(sys.executable).with_name(name))


def prepare_webserver(settings: Settings) -> Launch:
    command = [
        program("dagster-webserver"),
        "-h",
        settings.listen_host,
        "-p",
        str(settings.dagster_port),
        "-w",
        str(_WORKSPACE),
    ]
    return _launch(settings, command)


def prepare_daemon(settings: Settings) -> Launch:
    return _launch(settings, [program("dagster-daemon"), "run", "-w", str(_WORKSPACE)])


def _launch(settings: Settings, command: list[str]) -> Launch:
    """In a folder without `.env`: Dagster puts the one it finds into the environment of its runs, where the reader's S3 account is stronger
    than the batch service's own."""
    env = instance_env(settings)
    return Launch(command, env, Path(env["DAGSTER_HOME"]))


def webserver_health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001 one signature for all servers
    try:
        info = get_json(f"http://127.0.0.1:{settings.dagster_port}/server_info")
    except (OSError, ValueError):
        return Health(False, f"does not answer on port {settings.dagster_port}")
    return Health(True, f"answers, version {info.get('dagster_webserver_version', '?')}")


def daemon_health(settings: Settings, pid: int | None) -> Health:
    """By the daemons' heartbeats, as the web server reads them; without a web server only the process is known."""
    try:
        answer = get_json(f"http://127.0.0.1:{settings.dagster_port}/graphql", {"query": _DAEMONS})
    except (OSError, ValueError):
        return Health(
            pid is not None and psutil.pid_exists(pid), "runs; its heartbeats are unknown without the web server"
        )
    if not answer.get("data"):
        return Health(False, f"Dagster's web server cannot say: {answer['errors'][0]['message'].splitlines()[0]}")
    statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    silent = [status["daemonType"].lower() for status in statuses if status["required"] and not status["healthy"]]
    if silent:
        return Health(False, f"no heartbeat of {', '.join(silent)}")
    return Health(True, "all daemons beat")
