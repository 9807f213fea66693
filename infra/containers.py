"""The commands that containers run: become one service, say how it is, write secrets, and set the servers up.

Health is asked for every half minute in each container, so what only other commands need is imported by these.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.credentials import alert_token_file, ensure_credentials, grafana_server_file, postgres_superuser_file
from infra.envfile import ensure_env, write_private
from infra.servers.base import Health
from infra.servers.dagster import instance_env, program
from infra.services import choose
from lakehouse import heartbeat
from lakehouse.settings import Settings, env_file, load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="What containers run: a service in the foreground, its health, secrets, and the servers' set-up.",
)

_BEATING = {"streaming", "realtime", "refresher", "desk", "monitor"}
_LIVENESS_SECONDS = 20
# Servers of other images run under users of their own and read these by the group of ours.
_OF_OTHERS = (postgres_superuser_file, grafana_server_file, alert_token_file)

RULES_MOUNT, TOKEN_MOUNT = Path("/etc/globalmart/rules"), Path("/run/secrets/alertmanager-token")

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="One of the services that `globalmart status` lists.")]


@app.command(epilog="Example: globalmart container run api")
def run(name: Name) -> None:
    """Become SERVICE: the same command that the local stack starts, in the foreground and without a supervisor."""
    from infra.launch import become, prepared

    (service,) = choose([name])
    become(prepared(load_settings(), service.name))


@app.command(epilog="Example: globalmart container health streaming --alive")
def health(
    name: Name,
    alive: Annotated[bool, typer.Option("--alive", help="Only whether it beats, whatever it waits for.")] = False,
) -> None:
    """Say how SERVICE in this container is; exit 1 unless it is well."""
    (service,) = choose([name])
    settings = load_settings()
    if service.name == "dagster-daemon":
        found = daemon_liveness(settings)
    elif alive and service.name in _BEATING:
        found = beats(settings, service.name)
    else:
        found = service.health(settings, None)
    print(f"{service.name}: {found.words}")
    if not found.ok:
        raise typer.Exit(1)


def beats(settings: Settings, name: str) -> Health:
    """Whether the process beats. One that waits for Kafka is alive, and to start it again would not help it."""
    beat = heartbeat.read(settings, name)
    if beat is None:
        return Health(False, "no heartbeat yet")
    return Health(not beat["is_stale"], f"beat {beat['age_seconds']:.0f} s ago, {beat['state']}")


def daemon_liveness(settings: Settings) -> Health:
    """By Dagster's own check of its heartbeats in PostgreSQL: the web server, which knows them too, is in another container."""
    command = [program("dagster-daemon"), "liveness-check"]
    env = {**os.environ, **instance_env(settings)}
    try:
        result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_LIVENESS_SECONDS)
    except subprocess.TimeoutExpired:
        return Health(False, f"its heartbeats cannot be read within {_LIVENESS_SECONDS} s")
    return Health(result.returncode == 0, "all daemons beat" if result.returncode == 0 else "a daemon does not beat")


@app.command(epilog="Example: globalmart container secrets --kubernetes | kubectl apply --namespace globalmart -f -")
def secrets(
    kubernetes: Annotated[bool, typer.Option(help="Print them as Secrets, for `kubectl apply -f -`.")] = False,
) -> None:
    """Write what is missing of `.env` and of the secret files, one for each service and server; what is there stays."""
    ensure_env()
    settings = load_settings()
    ensure_credentials(settings)
    for file in _OF_OTHERS:
        file(settings).chmod(0o640)
    if kubernetes:
        print(json.dumps(kubernetes_secrets([env_file(), *settings.secrets_dir.iterdir()])))
    else:
        print(f"Secrets are in {settings.secrets_dir}, those of a reader in {env_file()}.")


def kubernetes_secrets(files: list[Path]) -> dict[str, Any]:
    """A list of one Secret per file, `globalmart-` and the file's stem, with the file's name as its key; `.env` is the reader's."""
    named = {"reader.env" if path == env_file() else path.name: path for path in files}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": f"globalmart-{name.removesuffix('.env')}",
                "labels": {"app.kubernetes.io/part-of": "globalmart"},
            },
            "type": "Opaque",
            "stringData": {name: path.read_text(encoding="utf-8")},
        }
        for name, path in sorted(named.items())
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


@app.command(epilog="Example: globalmart container init --built /var/lib/globalmart/built")
def init(
    built: Annotated[
        Path | None,
        typer.Option(help="Folder for what Grafana, Prometheus and Alertmanager are given; none by default."),
    ] = None,
) -> None:
    """Set up servers that answer: bucket, users, roles, topics; and build Grafana's files. It may be repeated."""
    import psycopg

    from infra.dashboards.build import build as build_dashboards
    from infra.monitoring.configuration import alertmanager, prometheus
    from infra.stack import bootstrap
    from infra.supervision import StackError

    settings = load_settings()
    try:
        bootstrap(settings, {"kafka", "minio", "postgres"}, say=print)
    except psycopg.Error as error:
        raise StackError(f"PostgreSQL at {settings.postgres_host} cannot be set up: {error}") from None
    if built is not None:
        made = build_dashboards(settings, built / "grafana")
        print(f"{len(made)} files for Grafana are in {built / 'grafana'}")
        # A service is found under its name there, and the folder of rules is mounted where this says
        configurations = {
            "prometheus": prometheus(settings, RULES_MOUNT, lambda service: service),
            "alertmanager": alertmanager(settings, TOKEN_MOUNT, lambda service: service),
        }
        for name, content in configurations.items():
            folder = built / name
            folder.mkdir(exist_ok=True)
            write_private(folder / f"{name}.yml", json.dumps(content, indent=2) + "\n", replace=True)
            (folder / f"{name}.yml").chmod(0o640)
