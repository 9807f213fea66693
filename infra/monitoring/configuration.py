"""The configuration of Prometheus and Alertmanager, built from settings. JSON under the name of YAML, of which it is a part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.credentials import alert_token_file
from infra.envfile import write_private
from infra.monitoring.web import ALERTS
from lakehouse.settings import CHECKOUT, Settings

RULES = CHECKOUT / "infra" / "monitoring" / "rules"
# The desk groups, so each alert goes to it alone and at once.
_EACH_ALONE = ["..."]


Place = Callable[[str], str]
"""The host that a service is on, by its name."""


def here(_service: str) -> str:
    return "127.0.0.1"


def targets(settings: Settings, place: Place = here) -> dict[str, str]:
    """`host:port` by job: whatever has metrics."""
    ports = {
        "monitor": settings.monitor_port,
        "streaming": settings.streaming_metrics_port,
        "realtime": settings.realtime_metrics_port,
        "api": settings.api_metrics_port,
        "prometheus": settings.prometheus_port,
        "alertmanager": settings.alertmanager_port,
    }
    return {job: f"{place(job)}:{port}" for job, port in ports.items()} | {
        "minio": urlsplit(settings.s3_endpoint).netloc
    }


def prometheus(settings: Settings, rules: Path = RULES, place: Place = here) -> dict[str, Any]:
    """`prometheus.yml`."""
    every = f"{round(settings.monitor_seconds * 1000)}ms"
    paths = {"minio": "/minio/v2/metrics/cluster"}
    scrapes = [
        {"job_name": job, "metrics_path": paths.get(job, "/metrics"), "static_configs": [{"targets": [target]}]}
        for job, target in targets(settings, place).items()
    ]
    manager = {"static_configs": [{"targets": [f"{place('alertmanager')}:{settings.alertmanager_port}"]}]}
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(rules / "*.yaml")],
        "alerting": {"alertmanagers": [manager]},
        "scrape_configs": scrapes,
    }


def alertmanager(settings: Settings, token_file: Path | None = None, place: Place = here) -> dict[str, Any]:
    """`alertmanager.yml`: all to the desk, but what the desk sees itself, and what says that the desk is down."""
    token = {"type": "Bearer", "credentials_file": str(token_file or alert_token_file(settings))}
    desk = {
        "url": f"http://{place('monitor')}:{settings.monitor_port}{ALERTS}",
        "send_resolved": True,
        "http_config": {"authorization": token, "follow_redirects": False},
    }
    webhook = settings.alert_webhook_url.get_secret_value()
    return {
        "route": {
            "receiver": "desk",
            "group_by": _EACH_ALONE,
            "group_wait": "1s",
            "group_interval": "15s",
            "repeat_interval": "4h",
            "routes": [
                {"matchers": ['route="past the desk"'], "receiver": "past the desk"},
                {"matchers": ['route="seen by the desk"'], "receiver": "nobody"},
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="ServiceDown"', f'service=~"{source}"'],
                "target_matchers": [f'alertname=~"{target}"'],
            }
            for source, target in (
                ("kafka|minio|streaming", "StaleGold|ConsumerLag|BatchSlowerThanTrigger|FreshnessBudget.*"),
                ("api", "ApiErrors|ApiSlow|AvailabilityBudget.*"),
                ("refresher|minio", "ServingFileStale"),
                ("postgres", "MonitorBlind"),
            )
        ],
        "receivers": [
            {"name": "desk", "webhook_configs": [desk]},
            {"name": "nobody"},
            {"name": "past the desk", "webhook_configs": [{"url": webhook, "send_resolved": True}] if webhook else []},
        ],
    }


def write(settings: Settings) -> tuple[Path, Path]:
    """Write both files, mode 0600 since a webhook's address may be a secret; (prometheus.yml, alertmanager.yml)."""
    folder = settings.monitoring_dir
    made = {
        folder / "prometheus" / "prometheus.yml": prometheus(settings),
        folder / "alertmanager" / "alertmanager.yml": alertmanager(settings),
    }
    for path, content in made.items():
        write_private(path, json.dumps(content, indent=2) + "\n", replace=True)
    first, second = made
    return first, second
