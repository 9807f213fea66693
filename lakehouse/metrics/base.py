"""What a metric's declaration consists of, and the Prometheus objects that a process makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal["seconds", "bytes", "records", "rows", "files", "ratio", "timestamp", "count", "state"]
Owner = Literal["monitor", "streaming", "realtime", "api"]


@dataclass(frozen=True)
class Metric:
    """One metric. `owners` are the processes that expose it; `unit` `timestamp` is seconds since 1970, `state` is 1 or 0."""

    name: str
    kind: Kind
    unit: Unit
    help: str
    owners: tuple[Owner, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One value that was read from outside. `labels` are in the order of the metric's."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


@cache
def counter(metric: Metric) -> Counter:
    """The one counter of this process."""
    return Counter(metric.name, metric.help, metric.labels)


@cache
def gauge(metric: Metric) -> Gauge:
    """The one gauge of this process."""
    return Gauge(metric.name, metric.help, metric.labels)


@cache
def histogram(metric: Metric) -> Histogram:
    """The one histogram of this process."""
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets)


def families(samples: Iterable[Sample]) -> list[GaugeMetricFamily | CounterMetricFamily]:
    """Samples as Prometheus writes them, one family per metric."""
    made: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for sample in samples:
        metric = sample.metric
        if metric.name not in made:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            made[metric.name] = kind(metric.name, metric.help, labels=metric.labels)
        made[metric.name].add_metric(sample.labels, sample.value)
    return list(made.values())
