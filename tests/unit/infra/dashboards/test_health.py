"""Queries of the health dashboard are PromQL and ask for metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.dashboards import health
from infra.monitoring import programs
from infra.monitoring.configuration import RULES
from lakehouse.metrics.names import BY_NAME

_BUILT = [panel.build() for _, panels in health.board().rows for panel in panels]
ASKED = {str(panel.title): panel.targets[0].expr for panel in _BUILT}  # type: ignore[index,union-attr,attr-defined]


def test_every_query_asks_for_metrics_that_are_made() -> None:
    groups = yaml.safe_load((RULES / "slo.yaml").read_text(encoding="utf-8"))["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"]}
    for title, expression in ASKED.items():
        for name in re.findall(r"\b(?:globalmart_\w+|slo:[\w:]+)", expression):
            assert name in recorded or name in BY_NAME or re.sub(r"_(bucket|sum|count)$", "", name) in BY_NAME, title


def test_every_query_is_what_prometheus_parses(tmp_path: Path) -> None:
    promtool = programs.find(programs.PROMTOOL)
    if promtool is None:
        pytest.skip("promtool is not on this machine: `make setup` fetches it where Debian's packages are to be had")
    rules = [
        {"record": f"panel:number{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, expression in enumerate(ASKED.values())
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    result = subprocess.run([str(promtool), "check", "rules", str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
