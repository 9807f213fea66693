"""All files that a Grafana server is given, made from code and written in one go."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from infra.credentials import DASHBOARDS
from infra.dashboards import alerting, customers, executive, health, ingestion, metrics_source, products, sales, server
from infra.dashboards.board import Board
from infra.dashboards.source import KIND, UID
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

MARK = ".built-by-globalmart"
MOUNT = "/etc/globalmart-grafana"
"""Where the folder is in a container, unless it is told otherwise."""
_CONNECTIONS = 10  # the role may have 20; a second server must still get in


class DashboardsError(GlobalMartError):
    """The files cannot be written."""


def boards() -> tuple[Board, ...]:
    """Every dashboard."""
    return (*mirror_boards(), health.board())


def mirror_boards() -> tuple[Board, ...]:
    """Those over the mirror."""
    return (executive.board(), sales.board(), customers.board(), products.board(), ingestion.board())


def data_sources(settings: Settings) -> dict[str, Any]:
    """The mirror, under the role that reads it and nothing else; and Prometheus. `$NAME` is for Grafana to fill in from its environment."""
    return {
        "apiVersion": 1,
        "prune": True,
        "datasources": [
            {
                "name": "GlobalMart mirror",
                "uid": UID,
                "type": KIND,
                "access": "proxy",
                "isDefault": True,
                "editable": False,
                "url": "$GLOBALMART_MIRROR_HOST",
                "user": DASHBOARDS,
                "jsonData": {
                    "database": settings.mirror_database,
                    "sslmode": "$GLOBALMART_MIRROR_SSLMODE",
                    "maxOpenConns": _CONNECTIONS,
                    "maxIdleConns": _CONNECTIONS,
                    "connMaxLifetime": 3600,
                    "postgresVersion": 1500,
                    "timescaledb": False,
                    "timeInterval": "1m",
                },
                "secureJsonData": {"password": "$GLOBALMART_MIRROR_PASSWORD"},
            },
            {
                "name": "GlobalMart Prometheus",
                "uid": metrics_source.UID,
                "type": metrics_source.KIND,
                "access": "proxy",
                "isDefault": False,
                "editable": False,
                "url": "$GLOBALMART_PROMETHEUS_URL",
                "jsonData": {"httpMethod": "POST", "timeInterval": f"{settings.monitor_seconds:g}s"},
            },
        ],
    }


def providers(mount: str) -> dict[str, Any]:
    """Where dashboards lie, a folder for each of theirs; what is changed in the browser is not kept."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "GlobalMart",
                "orgId": 1,
                "type": "file",
                "disableDeletion": False,
                "allowUiUpdates": False,
                "updateIntervalSeconds": 30,
                "options": {"path": f"{mount}/dashboards", "foldersFromFilesStructure": True},
            }
        ],
    }


def files(settings: Settings, mount: str = MOUNT) -> dict[str, str]:
    """Path below the folder: text. Provisioning is JSON in files named YAML, of which it is a part."""
    built = {board: board.build(settings.api_url) for board in boards()}
    panel_ids = {
        (board.uid, str(panel.title)): panel.id_val or 0 for board, made in built.items() for panel in made.panels or ()
    }
    made_of: dict[str, Any] = {
        "provisioning/datasources/globalmart.yaml": data_sources(settings),
        "provisioning/dashboards/globalmart.yaml": providers(mount),
        "provisioning/alerting/globalmart.yaml": alerting.provisioned(panel_ids),
        **{f"dashboards/{board.folder}/{board.uid}.json": dashboard for board, dashboard in built.items()},
    }
    texts = {path: as_json(content) for path, content in made_of.items()}
    return texts | {"grafana.ini": server.ini(f"{mount}/dashboards")}


def as_json(content: Any) -> str:
    return JSONEncoder(indent=2, sort_keys=True).encode(content) + "\n"


def build(settings: Settings, out: Path, mount: str = MOUNT) -> list[Path]:
    """Write all files into `out`, which holds nothing else afterwards; the files, in order.

    Raises DashboardsError where `out` has files that this did not write, or cannot be written.
    """
    if out.exists() and not (out / MARK).exists() and (not out.is_dir() or any(out.iterdir())):
        raise DashboardsError(f"{out} holds other files: name an empty folder, or one that was built before.")
    fresh = out.with_name(f"{out.name}.partial")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        for path, text in files(settings, mount).items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, encoding="utf-8")
        (fresh / MARK).touch()
        _put(fresh, out)
    except OSError as error:
        raise DashboardsError(f"{out} cannot be written: {error.strerror}.") from None
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name != MARK)


def _put(fresh: Path, out: Path) -> None:
    """Bring `out` up to date file by file: a container that has the folder mounted keeps it."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    for path in sorted(wanted):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(out / path)
    for old in [path for path in out.rglob("*") if path.is_file() and path.relative_to(out) not in wanted]:
        old.unlink()
    shutil.rmtree(fresh)
