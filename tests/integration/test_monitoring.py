"""The monitor, Prometheus and Alertmanager on the real stack: metrics come, and an alert reaches the desk and is resolved there."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from conftest import Stack, wait_for

from infra.monitoring import programs
from infra.servers.base import get_json
from lakehouse.settings import load_settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def monitored(stack: Stack) -> Stack:
    if not programs.is_installed():
        pytest.skip("Prometheus is not on this machine: `make setup` fetches it where Debian's packages are to be had")
    stack("kafka", "minio", "postgres", "desk", "monitor", "prometheus", "alertmanager")
    return stack


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")


def ask(query: str) -> list[dict[str, Any]]:
    address = (
        f"http://127.0.0.1:{load_settings().prometheus_port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    )
    return list(get_json(address)["data"]["result"])


def post_alert(name: str, ends_at: datetime | None = None) -> None:
    alert = {
        "labels": {"alertname": name, "severity": "warning", "job": "test"},
        "annotations": {"summary": "A test of the way to the desk"},
        "startsAt": "2026-05-04T10:29:00Z",
        "endsAt": (ends_at or datetime.now(UTC) + timedelta(minutes=10)).isoformat(),
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{load_settings().alertmanager_port}/api/v2/alerts",
        json.dumps([alert]).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200


def state_of(kind: str) -> str | None:
    with psycopg.connect(load_settings().postgres_url.get_secret_value()) as connection:
        row = connection.execute("SELECT state FROM desk.alerts WHERE kind = %s", [kind]).fetchone()
    return None if row is None else str(row[0])


def test_the_monitor_sees_servers_with_rights_of_its_own(monitored: Stack) -> None:
    text = wait_for(
        lambda: (said := metrics(load_settings().monitor_port)).count("_collect_ok") > 8 and said, "a whole round"
    )
    for service in ("kafka", "minio", "postgres", "prometheus"):
        assert f'globalmart_service_up{{service="{service}"}}' in text
        assert f'globalmart_service_memory_bytes{{service="{service}"}}' in text
    assert 'globalmart_kafka_records_total{topic="transactions"}' in text
    assert 'globalmart_postgres_database_bytes{database="dagster"}' in text
    blind = [
        line for line in text.splitlines() if line.startswith("globalmart_monitor_collect_ok") and line.endswith(" 0.0")
    ]
    assert blind == []


def test_prometheus_takes_metrics_and_has_the_rules(monitored: Stack) -> None:
    wait_for(
        lambda: {one["metric"]["job"] for one in ask("up == 1")} >= {"monitor", "minio", "alertmanager"}, "scrapes"
    )
    rules = get_json(f"http://127.0.0.1:{load_settings().prometheus_port}/api/v1/rules")["data"]["groups"]
    assert all(rule["health"] != "err" for group in rules for rule in group["rules"])
    wait_for(lambda: ask("globalmart_host_memory_bytes"), "a metric of the monitor")


def test_an_alert_reaches_the_desk_once_and_is_resolved_there(monitored: Stack) -> None:
    post_alert("TestOfTheWay")
    post_alert("TestOfTheWay")
    wait_for(lambda: state_of("platform_test_of_the_way") == "open", "the desk's alert")
    post_alert("TestOfTheWay", ends_at=datetime.now(UTC) - timedelta(seconds=1))
    wait_for(lambda: state_of("platform_test_of_the_way") == "resolved", "its resolution")


def test_nobody_makes_alerts_without_the_token(monitored: Stack) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{load_settings().monitor_port}/alerts", b'{"alerts": []}')
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
