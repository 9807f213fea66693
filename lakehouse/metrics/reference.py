"""The reference page of all metrics, `docs/metrics.md`: `python -m lakehouse.metrics.reference > docs/metrics.md`."""

from __future__ import annotations

from lakehouse.metrics.base import Metric, Owner
from lakehouse.metrics.names import METRICS

_HEAD = """# Metrics

Made from `lakehouse/metrics/names.py` by `python -m lakehouse.metrics.reference > docs/metrics.md`; a test fails when it is out of date.
How they are collected, and what watches them: [monitoring](monitoring.md). A counter only rises, but for a restart of its process. `timestamp` is
seconds since 1970 (UTC), `state` is 1 for yes and 0 for no.

MinIO, Prometheus and Alertmanager expose metrics of their own beside these; Prometheus takes MinIO's from `/minio/v2/metrics/cluster`.
"""

_OWNERS: dict[Owner, str] = {
    "monitor": "`python -m infra.monitoring`, port `GLOBALMART_MONITOR_PORT`: what can be seen from outside, looked at every "
    "`GLOBALMART_MONITOR_SECONDS`.",
    "streaming": "The streaming service, port `GLOBALMART_STREAMING_METRICS_PORT`: what only its process knows.",
    "realtime": "The real-time lane, port `GLOBALMART_REALTIME_METRICS_PORT`.",
    "api": "The API, port `GLOBALMART_API_METRICS_PORT`: all of its processes together.",
}


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(_section(owner, words) for owner, words in _OWNERS.items())])


def _section(owner: Owner, words: str) -> str:
    rows = [_row(metric) for metric in METRICS if owner in metric.owners]
    head = ["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    return "\n".join([f"## {owner}", "", words, "", *head, *rows, ""])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{name}`" for name in metric.labels) or "none"
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.help} |"


if __name__ == "__main__":
    print(page(), end="")
