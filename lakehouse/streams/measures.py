"""What only a Spark driver's process knows of its query, as metrics: its phases, its rates, what views hold in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sized
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.live.base import View
from lakehouse.metrics import names
from lakehouse.metrics.base import gauge, histogram


def took(query: str, seconds: Mapping[str, float]) -> None:
    """The phases of one micro-batch, seconds by name."""
    for phase, value in seconds.items():
        histogram(names.STREAM_BATCH_SECONDS).labels(query, phase).observe(value)


def holds(query: str, live: Iterable[View]) -> None:
    """How many entries the views have in memory that keep some."""
    for view in live:
        if isinstance(view, Sized):
            gauge(names.STREAM_STATE_ROWS).labels(query, type(view).__name__.removesuffix("View").lower()).set(
                len(view)
            )


class Reports:
    """Spark's progress reports of one query after another, each taken once."""

    def __init__(self, query: str, trigger_seconds: float) -> None:
        self._query = query
        self._last: tuple[str, int] | None = None
        gauge(names.STREAM_TRIGGER).labels(query).set(trigger_seconds)

    def look(self, query: StreamingQuery) -> None:
        """Take the newest report, unless it has been taken."""
        # Spark leaves a rate out that is no number, and PySpark's own reading of a report fails on that.
        report = query._jsq.lastProgress()
        if report is not None and (str(report.runId().toString()), int(report.batchId())) != self._last:
            self.take(json.loads(report.json()))

    def take(self, report: Mapping[str, Any]) -> None:
        """`report` is a StreamingQueryProgress as JSON."""
        identity = (str(report["runId"]), int(report["batchId"]))
        if identity == self._last:
            return
        self._last = identity
        took(self._query, {f"spark_{name}": ms / 1000 for name, ms in report.get("durationMs", {}).items()})
        dropped = sum(one.get("numRowsDroppedByWatermark", 0) for one in report.get("stateOperators", ()))
        for metric, value in (
            (names.STREAM_INPUT_RATE, report.get("inputRowsPerSecond")),
            (names.STREAM_PROCESSED_RATE, report.get("processedRowsPerSecond")),
            (names.STREAM_BATCH_ROWS, report.get("numInputRows")),
            (names.STREAM_DROPPED_ROWS, dropped),
        ):
            gauge(metric).labels(self._query).set(float(value or 0))
