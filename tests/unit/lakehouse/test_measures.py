"""Spark's progress reports become metrics once each."""

from __future__ import annotations

from prometheus_client import REGISTRY

from lakehouse.streams.measures import Reports, took


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"globalmart_stream_{name}", labels)


def report(batch_id: int, rows: int) -> dict[str, object]:
    return {
        "runId": "5f0c",
        "batchId": batch_id,
        "durationMs": {"addBatch": 800, "triggerExecution": 1000},
        "stateOperators": [{"numRowsDroppedByWatermark": 2}, {"numRowsDroppedByWatermark": 1}],
        "inputRowsPerSecond": 100.0,
        "processedRowsPerSecond": 250.0,
        "numInputRows": rows,
    }


def test_a_report_counts_once() -> None:
    reports = Reports("test", 1.0)
    for one in (report(1, 100), report(1, 100), report(2, 300)):
        reports.take(one)
    assert value("batch_seconds_count", query="test", phase="spark_triggerExecution") == 2
    assert value("batch_seconds_sum", query="test", phase="spark_addBatch") == 1.6
    assert value("batch_rows", query="test") == 300
    assert value("input_rows_per_second", query="test") == 100
    assert value("processed_rows_per_second", query="test") == 250
    assert value("dropped_rows", query="test") == 3
    assert value("trigger_seconds", query="test") == 1


def test_a_rate_that_is_no_number_is_left_out_by_spark_and_is_0() -> None:
    lean = {name: value for name, value in report(1, 0).items() if name in {"runId", "batchId", "numInputRows"}}
    Reports("test-lean", 1.0).take(lean)
    assert value("processed_rows_per_second", query="test-lean") == 0


def test_phases_of_the_service_are_its_own() -> None:
    took("test-phases", {"live": 0.2})
    took("test-phases", {"live": 0.3})
    assert value("batch_seconds_sum", query="test-phases", phase="live") == 0.5
