"""System health: is every part well, does the stream keep up, are objectives kept, and what does it cost?"""

from __future__ import annotations

from infra.dashboards.board import Board
from infra.dashboards.links import HEALTH
from infra.dashboards.metrics_source import Promql
from infra.dashboards.panels import BYTES, COUNT, PER_SECOND, SECONDS, SHARE, Panel, figure, over_time, rows

_RATE = "$__rate_interval"


def _now() -> list[Panel]:
    return [
        figure(
            "Services not well",
            "Services that were asked for and are not well, by the health that `globalmart status` shows.",
            COUNT,
            Promql("count(globalmart_service_up == 0) or vector(0)"),
            limits=((1, "red"),),
        ),
        figure(
            "Alerts firing",
            "Alerts of Prometheus that fire; docs/runbook.md has a section for each.",
            COUNT,
            Promql('count(ALERTS{alertstate="firing"}) or vector(0)'),
            limits=((1, "orange"),),
        ),
        figure(
            "Records that wait",
            "Records of the input topics that Kafka has and the lake has not.",
            COUNT,
            Promql("sum(globalmart_kafka_lag_records)"),
            limits=((100_000, "orange"), (300_000, "red")),
        ),
        figure(
            "Gold behind Kafka",
            "Time since the last commit while records wait; 0 when none waits. The objective of freshness counts it.",
            SECONDS,
            Promql("globalmart_gold_staleness_seconds"),
            limits=((30, "orange"), (120, "red")),
        ),
        figure(
            "Serving file behind",
            "Age of the oldest commit seen that the file which the API serves lacks; 0 when it has the newest.",
            SECONDS,
            Promql("globalmart_serving_behind_seconds"),
            limits=((30, "orange"), (120, "red")),
        ),
        figure(
            "Books",
            "Differences that the last `globalmart prove` found, 0 where the books balance.",
            COUNT,
            Promql("globalmart_proof_differences"),
            limits=((1, "red"),),
        ),
    ]


def _objectives() -> list[Panel]:
    return [
        rows(
            "Objectives",
            "The share of seven days that was good, or of as many as there are, by objective; docs/monitoring.md says what counts.",
            Promql("slo:good:ratio_rate7d", is_table=True),
            unit=SHARE,
            height=7,
        ),
        over_time(
            "Error budget that is left",
            "1: nothing of what may go wrong in seven days has; 0: all of it; below: the objective is missed.",
            SHARE,
            Promql("slo:error_budget:remaining", "{{slo}}"),
            height=7,
            bars=False,
        ),
    ]


def _services() -> list[Panel]:
    return [
        over_time(
            "Services",
            "1 while a service is well, 0 while it is not.",
            COUNT,
            Promql("globalmart_service_up", "{{service}}"),
            bars=False,
        ),
        over_time(
            "Processors by service",
            "Processors that a service's processes keep busy, of those that the host has.",
            SHARE,
            Promql(f"rate(globalmart_service_cpu_seconds_total[{_RATE}])", "{{service}}"),
        ),
        over_time(
            "Memory by service",
            "Resident memory of a service's processes; pages that they share count for each.",
            BYTES,
            Promql("globalmart_service_memory_bytes", "{{service}}"),
        ),
        over_time(
            "Host",
            "Share of the host's processors, memory and disk that is in use; the disk is that of the state folder.",
            SHARE,
            Promql(
                f"""
                label_replace(1 - sum(rate(globalmart_host_cpu_seconds_total{{mode="idle"}}[{_RATE}]))
                    / sum(rate(globalmart_host_cpu_seconds_total[{_RATE}])), "of", "processors", "", "")
                or label_replace(1 - sum(globalmart_host_memory_bytes{{kind="available"}})
                    / sum(globalmart_host_memory_bytes{{kind="total"}}), "of", "memory", "", "")
                or label_replace(1 - sum(globalmart_host_disk_bytes{{kind="free"}})
                    / sum(globalmart_host_disk_bytes{{kind="total"}}), "of", "disk", "", "")""",
                "{{of}}",
            ),
            bars=False,
        ),
    ]


def _stream() -> list[Panel]:
    return [
        over_time(
            "Records into Kafka",
            "Records a second that the input topics get.",
            PER_SECOND,
            Promql(f"rate(globalmart_kafka_records_total[{_RATE}])", "{{topic}}"),
        ),
        over_time(
            "Records that wait, by topic",
            "Records that Kafka has and the lake has not.",
            COUNT,
            Promql("globalmart_kafka_lag_records", "{{topic}}"),
        ),
        over_time(
            "Micro-batch by phase",
            "Mean time of the service's phases of a micro-batch; together they are nearly all of it.",
            SECONDS,
            Promql(
                f"""
                rate(globalmart_stream_batch_seconds_sum{{query="refine",phase!~"spark_.*"}}[{_RATE}])
                / rate(globalmart_stream_batch_seconds_count{{query="refine",phase!~"spark_.*"}}[{_RATE}])""",
                "{{phase}}",
            ),
        ),
        over_time(
            "What became of records",
            "Records a second by outcome, by the ledger.",
            PER_SECOND,
            Promql(f"rate(globalmart_ledger_records_total[{_RATE}])", "{{outcome}}"),
        ),
        over_time(
            "Watermarks behind the clock",
            "How far a topic's watermark was behind the clock at the newest micro-batch.",
            SECONDS,
            Promql("globalmart_watermark_delay_seconds", "{{topic}}"),
            bars=False,
        ),
        over_time(
            "State in memory",
            "Entries that the live views hold: sessions and carts behind the horizon, products.",
            COUNT,
            Promql("globalmart_stream_state_rows", "{{view}}"),
            bars=False,
        ),
    ]


def _storage() -> list[Panel]:
    return [
        over_time(
            "Size of tables",
            "Bytes of the newest version's files, the ten largest.",
            BYTES,
            Promql("topk(10, globalmart_table_bytes)", "{{table}}"),
            bars=False,
        ),
        over_time(
            "Small files",
            "Files below 1 MiB that compaction will join, of the ten tables with the most.",
            COUNT,
            Promql("topk(10, globalmart_table_small_files)", "{{table}}"),
            bars=False,
        ),
        over_time(
            "PostgreSQL",
            "Connections of clients by state.",
            COUNT,
            Promql("globalmart_postgres_connections", "{{state}}"),
        ),
        over_time(
            "Dagster",
            "Runs of the last 24 hours by status.",
            COUNT,
            Promql("sum by (status) (globalmart_dagster_runs)", "{{status}}"),
        ),
    ]


def _api() -> list[Panel]:
    return [
        over_time(
            "Requests by status",
            "Requests a second to the API by status of the answer, refused ones too.",
            PER_SECOND,
            Promql(f"sum by (status) (rate(globalmart_api_requests_total[{_RATE}]))", "{{status}}"),
        ),
        over_time(
            "Slowest hundredth by route",
            "Time within which 99 of 100 requests were answered, of the ten slowest routes.",
            SECONDS,
            Promql(
                f"topk(10, histogram_quantile(0.99, sum by (le, route) (rate(globalmart_api_request_seconds_bucket[{_RATE}]))))",
                "{{route}}",
            ),
            bars=False,
        ),
        over_time(
            "Alerts of the desk",
            "Alerts that are not resolved, by severity.",
            COUNT,
            Promql("sum by (severity) (globalmart_alerts_open)", "{{severity}}"),
        ),
        over_time(
            "Notices that are not through",
            "Notices of the desk that are pending or have failed, by channel.",
            COUNT,
            Promql("sum by (channel) (globalmart_alert_deliveries)", "{{channel}}"),
        ),
    ]


def board() -> Board:
    return Board(
        HEALTH,
        "System health",
        "Is every part well, does the stream keep up, are objectives kept, and what does it cost?",
        "Platform",
        "now-3h",
        "30s",
        (),
        (
            ("Is all well?", _now()),
            ("Service-level objectives", _objectives()),
            ("Parts", _services()),
            ("The stream", _stream()),
            ("Tables and databases", _storage()),
            ("API and alert desk", _api()),
        ),
        (("Alert desk", "alerts"), ("Health", "health")),
    )
