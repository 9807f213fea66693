"""The secret file of each service and of the two superusers: made once, mode 0600, in a folder of mode 0700."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from infra.envfile import write_private
from lakehouse.errors import SettingsError
from lakehouse.settings import Service, Settings

SERVICES: tuple[Service, ...] = get_args(Service)
DASHBOARDS = "grafana"
"""The role that reads the mirror and nothing else. It is no service of ours: its file has an address of PostgreSQL alone."""
# The database that each service's own role may write; `batch` is Dagster, whose storage is a database of its own.
DATABASES = {
    "streaming": "globalmart",
    "batch": "dagster",
    "serving": "globalmart",
    "api": "globalmart",
    "operator": "globalmart",
    "desk": "globalmart",
    "monitor": "globalmart",
}


def minio_root_file(settings: Settings) -> Path:
    """Read by the MinIO server itself and by the bootstrap, by nothing else."""
    return settings.secrets_dir / "minio-root.env"


def postgres_superuser_file(settings: Settings) -> Path:
    return settings.secrets_dir / "postgres-superuser"


def read_pairs(path: Path) -> dict[str, str]:
    """NAME=value lines of a file of ours. Raises SettingsError where it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): remove it and run `globalmart up`.") from None
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def dashboards_file(settings: Settings) -> Path:
    """GLOBALMART_MIRROR_URL: where Grafana finds the mirror, with its password."""
    return settings.secrets_dir / f"{DASHBOARDS}.env"


def _render_dashboards(settings: Settings, old: dict[str, str]) -> str:
    password = urlsplit(old.get("GLOBALMART_MIRROR_URL", "")).password or secrets.token_urlsafe(24)
    address = f"{settings.postgres_host}:{settings.postgres_port}/{settings.mirror_database}"
    return f"GLOBALMART_MIRROR_URL=postgresql://{DASHBOARDS}:{password}@{address}\n"


def grafana_server_file(settings: Settings) -> Path:
    """The environment of a Grafana server: its own two secrets, and where the mirror is."""
    return settings.secrets_dir / "grafana-server.env"


def alert_token_file(settings: Settings) -> Path:
    """What Alertmanager shows the monitor, so that nobody else on this machine makes alerts."""
    return settings.secrets_dir / "alertmanager-token"


def _render_grafana_server(settings: Settings, old: dict[str, str]) -> str:
    mirror = urlsplit(read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"])
    values = {
        "GF_SECURITY_ADMIN_PASSWORD": old.get("GF_SECURITY_ADMIN_PASSWORD") or secrets.token_urlsafe(24),
        "GF_SECURITY_SECRET_KEY": old.get("GF_SECURITY_SECRET_KEY") or secrets.token_urlsafe(32),
        "GLOBALMART_MIRROR_HOST": f"{mirror.hostname}:{mirror.port}",
        "GLOBALMART_MIRROR_PASSWORD": mirror.password,
        "GLOBALMART_MIRROR_SSLMODE": old.get("GLOBALMART_MIRROR_SSLMODE") or "disable",
        "GLOBALMART_PROMETHEUS_URL": f"http://127.0.0.1:{settings.prometheus_port}",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _render(settings: Settings, service: Service, old: dict[str, str]) -> str:
    """The secret file of `service`: secrets of `old` stay, addresses are those of `settings`."""
    password = urlsplit(old.get("GLOBALMART_POSTGRES_URL", "")).password or secrets.token_urlsafe(24)
    address = f"{settings.postgres_host}:{settings.postgres_port}/{DATABASES[service]}"
    values = {
        "GLOBALMART_S3_ACCESS_KEY": service,
        "GLOBALMART_S3_SECRET_KEY": old.get("GLOBALMART_S3_SECRET_KEY") or secrets.token_urlsafe(24),
        "GLOBALMART_POSTGRES_URL": f"postgresql://{service}:{password}@{address}",
    }
    if service == "api":
        digest = hashlib.sha256(settings.api_key.get_secret_value().encode()).hexdigest()
        values["GLOBALMART_API_KEY_SHA256"] = digest
    return "".join(f"{name}={value}\n" for name, value in values.items())


def ensure_credentials(settings: Settings) -> None:
    """Make the missing secret files and bring addresses and the API key's hash up to date. Raises SettingsError."""
    settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    settings.secrets_dir.chmod(0o700)
    write_private(
        minio_root_file(settings),
        f"MINIO_ROOT_USER=root-{secrets.token_hex(4)}\nMINIO_ROOT_PASSWORD={secrets.token_urlsafe(32)}\n",
    )
    write_private(postgres_superuser_file(settings), secrets.token_urlsafe(32))
    write_private(alert_token_file(settings), secrets.token_urlsafe(32))
    for service in SERVICES:
        path = settings.secrets_dir / f"{service}.env"
        _keep(path, _render(settings, service, _old(path)))
    _keep(dashboards_file(settings), _render_dashboards(settings, _old(dashboards_file(settings))))
    server = grafana_server_file(settings)
    _keep(server, _render_grafana_server(settings, _old(server)))


def _old(path: Path) -> dict[str, str]:
    return read_pairs(path) if path.exists() else {}


def _keep(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_private(path, text, replace=True)
