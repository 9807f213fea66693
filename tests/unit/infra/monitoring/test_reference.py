"""`docs/metrics.md` names every metric, and names are as Prometheus wants them."""

from __future__ import annotations

import re

import pytest

from lakehouse.metrics.base import Metric
from lakehouse.metrics.names import BY_NAME, METRICS
from lakehouse.metrics.reference import page
from lakehouse.settings import CHECKOUT

_SUFFIXES = {"seconds": "_seconds", "bytes": "_bytes", "timestamp": "_timestamp_seconds", "ratio": "_ratio"}


def test_the_page_in_docs_is_up_to_date() -> None:
    assert (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8") == page()


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_by_its_unit_and_documented(metric: Metric) -> None:
    assert re.fullmatch(r"globalmart_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert _SUFFIXES.get(metric.unit, "") in metric.name
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    row = f"| `{metric.name}` | {metric.kind} |"
    assert page().count(row) == len(metric.owners)
