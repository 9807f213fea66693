"""Every rule of Prometheus fires when it should and clears, as promtool runs them; each has its place in the runbook."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.monitoring import programs
from infra.monitoring.configuration import RULES
from infra.monitoring.intake import kind_of
from lakehouse.metrics.names import BY_NAME
from lakehouse.settings import CHECKOUT

FILES = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yaml"))}
EVERY = [rule for content in FILES.values() for group in content["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in EVERY if "alert" in rule}
RECORDS = {rule["record"] for rule in EVERY if "record" in rule}
RUNBOOK = (CHECKOUT / "docs" / "runbook.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Case:
    """`series` by name with labels: values a minute, as promtool writes them. It fires at minute `fires`, and no more at `clears`."""

    series: dict[str, str]
    fires: int
    clears: int
    quiet_at: int = 0


def _then(bad: str, good: str) -> str:
    """20 minutes of `bad`, then an hour of `good`."""
    return f"{bad}x20 {good}x60"


_API = 'globalmart_api_requests_total{job="api",method="GET",route="/v1/sales",status="%s"}'
_LE = 'globalmart_api_request_seconds_%s{job="api",method="GET",route="/v1/sales"%s}'
_PHASE = 'globalmart_stream_batch_seconds_%s{query="refine",phase="spark_triggerExecution"}'
_OUTCOME = 'globalmart_ledger_records_total{job="monitor",outcome="%s"}'
_GIB = 2**30
# Good at first: at minute 0 promtool takes the groups of rules in any order, and the alert's may be last
_FRESH = {'globalmart_gold_staleness_seconds{job="monitor"}': "0x5 300x84 0x90"}
_FAILING = {_API % "200": "0+100x90 9000+1000x90", _API % "500": "0+10x90 900+0x90"}

CASES = {
    "ServiceDown": Case({'globalmart_service_up{service="kafka"}': _then("0", "1")}, 5, 25),
    "DeskDown": Case({'globalmart_service_up{service="desk"}': _then("0", "1")}, 5, 25),
    "ServiceRestarts": Case({'globalmart_service_restarts{service="api"}': "0x5 1 2 3 4x60"}, 9, 40, 4),
    "MetricsMissing": Case(
        {
            'up{job="api",instance="127.0.0.1:9183"}': _then("0", "1"),
            'up{job="streaming",instance="127.0.0.1:9181"}': "0x80",  # nobody asked for it
            'globalmart_service_up{job="monitor",service="api"}': "1x80",
        },
        10,
        25,
    ),
    "MonitorBlind": Case({'globalmart_monitor_collect_ok{collector="kafka"}': _then("0", "1")}, 10, 25),
    "ConsumerLag": Case(
        {f'globalmart_kafka_lag_records{{topic="{t}"}}': _then("200000", "10") for t in ("transactions", "cart_events")}, 10, 25
    ),
    "StaleGold": Case({"globalmart_gold_staleness_seconds": _then("150", "1")}, 5, 25),
    "BatchSlowerThanTrigger": Case(
        {
            _PHASE % "sum": "0+60x30 1800+6x60",
            _PHASE % "count": "0+6x30 180+6x60",
            'globalmart_stream_trigger_seconds{query="refine"}': "1x90",
        },
        25,
        60,
    ),
    "QuarantineShare": Case({_OUTCOME % "accepted": "0+900x80", _OUTCOME % "quarantined": "0+100x20 2000+1x60"}, 10, 40),
    "RecordsUnaccounted": Case({"globalmart_ledger_unaccounted_records_total": "0x5 2x60"}, 8, 40, 4),
    "BooksNotBalanced": Case({"globalmart_proof_differences": "0x5 3x15 0x60"}, 8, 25, 4),
    "SmallFiles": Case({'globalmart_table_small_files{table="gold/carts"}': "2500x40 10x40"}, 35, 45),
    "RunFailed": Case({'globalmart_dagster_last_run_failed{job="daily"}': "0x5 1x15 0x60"}, 8, 25, 4),
    "MartsOverdue": Case(
        # Minute 0 is 1970: the table is 40 hours older than that, then new.
        {'globalmart_table_committed_timestamp_seconds{table="gold/customer_rfm",owner="batch"}': "-144000x60 3600x60"}, 40, 70
    ),
    "ServingFileStale": Case({"globalmart_serving_behind_seconds": _then("300", "0")}, 10, 25),
    "ApiErrors": Case({_API % "200": "0+90x80", _API % "500": "0+10x20 200+0x60"}, 10, 40),
    "ApiSlow": Case(
        {
            _LE % ("bucket", ',le="1.0"'): "0+90x30 2700+100x60",
            _LE % ("bucket", ',le="2.5"'): "0+100x90",
            _LE % ("bucket", ',le="+Inf"'): "0+100x90",
            _LE % ("count", ""): "0+100x90",
        },
        20,
        50,
    ),
    "DiskFillsUp": Case({'globalmart_host_disk_bytes{kind="free"}': _then(str(4 * _GIB), str(50 * _GIB))}, 10, 25),
    "DiskFull": Case({'globalmart_host_disk_bytes{kind="free"}': f"{50 * _GIB}x5 {_GIB}x15 {50 * _GIB}x60"}, 8, 25, 4),
    "MemoryLow": Case(
        {
            'globalmart_host_memory_bytes{kind="available"}': _then(str(_GIB), str(10 * _GIB)),
            'globalmart_host_memory_bytes{kind="total"}': f"{24 * _GIB}x80",
        },
        10,
        25,
    ),
    "PostgresConnections": Case(
        {
            'globalmart_postgres_connections{state="idle"}': _then("95", "5"),
            "globalmart_postgres_connections_limit": "100x80",
        },
        10,
        25,
    ),
    "FreshnessBudgetBurns": Case(_FRESH, 60, 170),
    "AvailabilityBudgetBurns": Case(_FAILING, 60, 170),
    "BudgetSpent": Case(_FAILING | {_API % "200": "0+100x90 9000+100000x400"}, 60, 400),
}  # fmt: skip


def _promtool(*args: str) -> subprocess.CompletedProcess[str]:
    found = programs.find(programs.PROMTOOL)
    if found is None:
        pytest.skip("promtool is not on this machine: `make setup` fetches it where Debian's packages are to be had")
    return subprocess.run([str(found), *args], capture_output=True, text=True)


def _run(tests: list[dict[str, Any]], folder: Path) -> None:
    path = folder / "test.yaml"
    content = {"rule_files": [str(RULES / name) for name in FILES], "evaluation_interval": "1m", "tests": tests}
    path.write_text(json.dumps(content))
    result = _promtool("test", "rules", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


def _is_firing(name: str, minute: int, count: int) -> dict[str, Any]:
    expression = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": count}]}


def test_rules_are_as_prometheus_wants_them() -> None:
    result = _promtool("check", "rules", *(str(RULES / name) for name in FILES))
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == set(ALERTS)


def test_every_alert_fires_and_clears(tmp_path: Path) -> None:
    """In one run of promtool, whose report names the alert."""
    tests = []
    for name, case in CASES.items():
        expected = [
            _is_firing(name, case.quiet_at, 0),
            _is_firing(name, case.fires, 1),
            _is_firing(name, case.clears, 0),
        ]
        series = [{"series": series, "values": values} for series, values in case.series.items()]
        tests.append({"interval": "1m", "input_series": series, "promql_expr_test": expected})
    _run(tests, tmp_path)


def test_in_containers_metrics_are_missed_of_all_that_are_to_be_asked(tmp_path: Path) -> None:
    here = {'up{job="monitor",instance="monitor:9180"}': "1x20", 'up{job="api",instance="api:9183"}': "0x20"}
    up = {'globalmart_service_up{job="monitor",service="desk"}': "1x20"}
    restarts = {'globalmart_service_restarts{job="monitor",service="desk"}': "0x20"}
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [_is_firing("MetricsMissing", 15, count)],
        }
        for series, count in ((here | up, 1), (here | up | restarts, 0))
    ]
    _run(tests, tmp_path)


def test_what_an_alert_says_names_the_service_and_the_runbook(tmp_path: Path) -> None:
    said = {
        "exp_labels": {"service": "kafka", "severity": "critical", "route": "seen by the desk"},
        "exp_annotations": {
            "summary": "kafka is down",
            "description": "kafka has not been well for two minutes.",
            "runbook": "docs/runbook.md#servicedown",
        },
    }
    case = {"eval_time": "5m", "alertname": "ServiceDown", "exp_alerts": [said]}
    series = [{"series": 'globalmart_service_up{service="kafka"}', "values": "0x10"}]
    _run([{"interval": "1m", "input_series": series, "alert_rule_test": [case]}], tmp_path)


def test_the_budget_is_what_is_left_of_what_may_go_wrong(tmp_path: Path) -> None:
    series = {_API % "200": "0+999.5x120", _API % "500": "0+0.5x120"}  # half of one in a thousand
    expected = [
        {
            "expr": 'round(slo:error_budget:remaining{slo="availability"}, 0.001)',
            "eval_time": "100m",
            "exp_samples": [{"labels": '{slo="availability"}', "value": 0.5}],
        },
        {
            "expr": 'round(slo:error_budget:remaining{slo="completeness"}, 0.001)',
            "eval_time": "100m",
            "exp_samples": [{"labels": '{slo="completeness"}', "value": 1}],
        },
    ]
    books = {_OUTCOME % "accepted": "0+100x120", "globalmart_ledger_unaccounted_records_total": "0x120"}
    inputs = [{"series": name, "values": values} for name, values in (series | books).items()]
    _run([{"interval": "1m", "input_series": inputs, "promql_expr_test": expected}], tmp_path)


def test_probes_are_no_callers_of_the_api(tmp_path: Path) -> None:
    """While `/ready` says no to the probes the few callers that there are may be served, and the other way round. Without any, nothing failed."""
    probe = 'globalmart_api_requests_total{job="api",method="GET",route="/ready",status="%s"}'
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [_is_firing("ApiErrors", 20, count)],
        }
        for series, count in (
            ({probe % "503": "0+40x30", _API % "200": "0+10x30"}, 0),
            ({probe % "200": "0+400x30", _API % "200": "0+5x30", _API % "503": "0+5x30"}, 1),
        )
    ]
    alone = {
        "expr": 'slo:error_budget:remaining{slo="availability"}',
        "eval_time": "20m",
        "exp_samples": [{"labels": 'slo:error_budget:remaining{slo="availability"}', "value": 1}],
    }
    series = [{"series": probe % "503", "values": "0+40x30"}]
    tests.append({"interval": "1m", "input_series": series, "promql_expr_test": [alone]})
    _run(tests, tmp_path)


def test_a_monitor_that_moved_leaves_one_budget_of_freshness(tmp_path: Path) -> None:
    name = 'globalmart_gold_staleness_seconds{job="monitor",instance="127.0.0.1:%s"}'
    series = [
        {"series": name % "9180", "values": "300x29 stale"},
        {"series": name % "9999", "values": "_x30 0x89"},
    ]
    expected = {
        "expr": 'round(slo:good:ratio_rate7d{slo="freshness"}, 0.01) + 0 * slo:error_budget:remaining{slo="freshness"}',
        "eval_time": "119m",
        "exp_samples": [{"labels": '{slo="freshness"}', "value": 0.75}],
    }
    _run([{"interval": "1m", "input_series": series, "promql_expr_test": [expected]}], tmp_path)


def test_rules_ask_only_for_metrics_that_there_are() -> None:
    for rule in EVERY:
        for name in re.findall(r"\b(?:globalmart_\w+|slo:[\w:]+)", rule["expr"]):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in BY_NAME or base in BY_NAME or name in RECORDS, (
                f"{name} in {rule.get('alert') or rule['record']}"
            )


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_has_a_severity_words_and_a_section_of_the_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["labels"].get("route", "") in {"", "seen by the desk", "past the desk"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/runbook.md"
    headings = {
        heading.lower().replace(" ", "-"): heading for heading in re.findall(r"^### (.+)$", RUNBOOK, re.MULTILINE)
    }
    assert anchor in headings
    section = RUNBOOK.split(f"### {headings[anchor]}\n")[1].split("\n### ")[0].split("\n## ")[0]
    for part in ("**Means**", "**Look at**", "**Do**"):
        assert part in section
    assert f"`{kind_of(name)}`" in RUNBOOK or rule["labels"].get("route")
