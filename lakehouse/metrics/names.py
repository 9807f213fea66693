"""All metrics of the platform. No other module makes one up; docs/metrics.md is made from here (`lakehouse.metrics.reference`)."""

from __future__ import annotations

from lakehouse.metrics.base import Kind, Metric, Owner, Unit

_BATCH_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _monitor(name: str, kind: Kind, unit: Unit, words: str, *labels: str) -> Metric:
    return Metric(f"globalmart_{name}", kind, unit, words, ("monitor",), labels)


def _stream(name: str, unit: Unit, words: str, *labels: str, owners: tuple[Owner, ...] = ("streaming",)) -> Metric:
    return Metric(f"globalmart_stream_{name}", "gauge", unit, words, owners, labels)


# Services and the host
SERVICE_UP = _monitor(
    "service_up",
    "gauge",
    "state",
    "Whether a service is well, by the health that `globalmart status` shows.",
    "service",
)
SERVICE_RESTARTS = _monitor(
    "service_restarts", "gauge", "count", "Restarts of a service since `globalmart up` started it.", "service"
)
SERVICE_CPU = _monitor(
    "service_cpu_seconds_total",
    "counter",
    "seconds",
    "Processor time of a service's processes since the monitor started.",
    "service",
)
SERVICE_MEMORY = _monitor(
    "service_memory_bytes", "gauge", "bytes", "Resident memory of a service's processes.", "service"
)
HEARTBEAT_AGE = _monitor(
    "heartbeat_age_seconds", "gauge", "seconds", "Time since a service's last heartbeat.", "service"
)
HOST_CPU = _monitor(
    "host_cpu_seconds_total",
    "counter",
    "seconds",
    "Processor time of the host by mode, all processors together.",
    "mode",
)
HOST_LOAD = _monitor("host_load_ratio", "gauge", "ratio", "Load of the last minute / processors.")
HOST_MEMORY = _monitor("host_memory_bytes", "gauge", "bytes", "Memory of the host: `total` and `available`.", "kind")
HOST_DISK = _monitor("host_disk_bytes", "gauge", "bytes", "Disk of the state folder: `total` and `free`.", "kind")

# Generator, Kafka, the stream's ledger
GENERATOR_PRODUCED = _monitor(
    "generator_produced_total", "counter", "records", "Records that the generator's newest run has made."
)
GENERATOR_ACKNOWLEDGED = _monitor(
    "generator_acknowledged_total", "counter", "records", "Of these, what Kafka has acknowledged."
)
GENERATOR_RUNNING = _monitor("generator_running", "gauge", "state", "Whether a generator runs.")
KAFKA_RECORDS = _monitor(
    "kafka_records_total", "counter", "records", "Records that a topic ever got: the sum of its end offsets.", "topic"
)
KAFKA_LAG = _monitor(
    "kafka_lag_records", "gauge", "records", "Records of an input topic that the lake does not have yet.", "topic"
)
LEDGER_BATCH = _monitor(
    "ledger_batch_id", "gauge", "count", "Number of the newest micro-batch that every sink has committed."
)
LEDGER_COMMITTED = _monitor("ledger_committed_timestamp_seconds", "gauge", "timestamp", "When it was committed.")
LEDGER_BATCH_SECONDS = _monitor(
    "ledger_batch_seconds", "gauge", "seconds", "From the beginning of that micro-batch to its last commit."
)
LEDGER_RECORDS = _monitor(
    "ledger_records_total",
    "counter",
    "records",
    "Records by outcome (accepted, quarantined, duplicate) since the monitor started.",
    "outcome",
)
LEDGER_UNACCOUNTED = _monitor(
    "ledger_unaccounted_records_total",
    "counter",
    "records",
    "Records of micro-batches whose outcomes do not add up to what was taken; always 0 while the books balance.",
)
LEDGER_LAG_SECONDS = _monitor(
    "ledger_lag_seconds",
    "gauge",
    "seconds",
    "Age of the newest record of a topic when its micro-batch began; 0 where there was none to take.",
    "topic",
)
WATERMARK_DELAY = _monitor(
    "watermark_delay_seconds",
    "gauge",
    "seconds",
    "How far a topic's watermark was behind the clock at the newest micro-batch.",
    "topic",
)
GOLD_STALENESS = _monitor(
    "gold_staleness_seconds",
    "gauge",
    "seconds",
    "Time since the last commit, or since records began to wait in Kafka where that was later; 0 when none waits.",
)
PROOF_DIFFERENCES = _monitor(
    "proof_differences",
    "gauge",
    "count",
    "Differences that the last `globalmart prove` found; 0 where the books balance.",
)
PROOF_AT = _monitor("proof_timestamp_seconds", "gauge", "timestamp", "When it was run.")

# Tables, runs, serving, alerts, PostgreSQL
TABLE_VERSION = _monitor("table_version", "gauge", "count", "Newest Delta version of a table.", "table")
TABLE_FILES = _monitor("table_files", "gauge", "files", "Data files of that version.", "table")
TABLE_SMALL_FILES = _monitor(
    "table_small_files", "gauge", "files", "Of these, files below 1 MiB, which compaction will join.", "table"
)
TABLE_BYTES = _monitor("table_bytes", "gauge", "bytes", "Size of its data files.", "table")
TABLE_COMMITTED = _monitor(
    "table_committed_timestamp_seconds",
    "gauge",
    "timestamp",
    "When its rows were last written; compaction and VACUUM do not count.",
    "table",
    "owner",
)
DAGSTER_RUNS = _monitor(
    "dagster_runs", "gauge", "count", "Runs of the last 24 hours by job and status.", "job", "status"
)
DAGSTER_FAILED = _monitor(
    "dagster_last_run_failed", "gauge", "state", "Whether the newest ended run of a job failed.", "job"
)
DAGSTER_ENDED = _monitor(
    "dagster_last_run_timestamp_seconds", "gauge", "timestamp", "When the newest run of a job ended.", "job"
)
SERVING_BEHIND = _monitor(
    "serving_behind_seconds",
    "gauge",
    "seconds",
    "Age of the oldest commit seen that the serving file lacks; 0 when it has the newest.",
)
SERVING_BYTES = _monitor("serving_bytes", "gauge", "bytes", "Size of the serving folder.")
MIRROR_LAG = _monitor(
    "mirror_lag_seconds", "gauge", "seconds", "How far the PostgreSQL mirror is behind, by its thread.", "lane"
)
ALERTS_OPEN = _monitor(
    "alerts_open", "gauge", "count", "Alerts of the desk that are not resolved.", "severity", "state"
)
ALERT_DELIVERIES = _monitor(
    "alert_deliveries",
    "gauge",
    "count",
    "Notices of the desk by channel that are pending or failed.",
    "channel",
    "state",
)
DESK_LAG = _monitor("desk_lag_records", "gauge", "records", "Findings that wait in Kafka for the alert desk.")
POSTGRES_CONNECTIONS = _monitor("postgres_connections", "gauge", "count", "Connections of clients by state.", "state")
POSTGRES_CONNECTIONS_MOST = _monitor(
    "postgres_connections_limit", "gauge", "count", "Most connections that PostgreSQL takes."
)
POSTGRES_BYTES = _monitor("postgres_database_bytes", "gauge", "bytes", "Size of a database.", "database")
POSTGRES_TRANSACTIONS = _monitor(
    "postgres_transactions_total",
    "counter",
    "count",
    "Transactions of a database: `committed` and `rolled_back`.",
    "database",
    "outcome",
)
COLLECT_SECONDS = _monitor(
    "monitor_collect_seconds", "gauge", "seconds", "How long the monitor's last look by a collector took.", "collector"
)
COLLECT_OK = _monitor(
    "monitor_collect_ok",
    "gauge",
    "state",
    "Whether that look succeeded; where it did not, the collector's metrics are absent.",
    "collector",
)

# What only the process knows
STREAM_BATCH_SECONDS = Metric(
    "globalmart_stream_batch_seconds", "histogram", "seconds",
    "Time of a micro-batch by phase. Of `refine` the phases are the service's own, in order; of both queries Spark's, named `spark_…`.",
    ("streaming", "realtime"), ("query", "phase"), _BATCH_BUCKETS,
)  # fmt: skip
_BOTH: tuple[Owner, ...] = ("streaming", "realtime")
STREAM_INPUT_RATE = _stream(
    "input_rows_per_second",
    "rows",
    "Rows a second that came in, by Spark's newest progress report.",
    "query",
    owners=_BOTH,
)
STREAM_PROCESSED_RATE = _stream(
    "processed_rows_per_second",
    "rows",
    "Rows a second that the query can take, by the same report.",
    "query",
    owners=_BOTH,
)
STREAM_BATCH_ROWS = _stream("batch_rows", "rows", "Rows of the newest micro-batch.", "query", owners=_BOTH)
STREAM_TRIGGER = _stream(
    "trigger_seconds", "seconds", "Least time between two micro-batches, as set.", "query", owners=_BOTH
)
STREAM_STATE_ROWS = _stream("state_rows", "rows", "Entries that a live view holds in memory.", "query", "view")
STREAM_DROPPED_ROWS = _stream(
    "dropped_rows",
    "rows",
    "Rows that a stateful operator of Spark dropped behind the watermark, in the newest micro-batch; 0, since late records are kept and marked.",
    "query",
    owners=_BOTH,
)

API_REQUESTS = Metric(
    "globalmart_api_requests_total", "counter", "count", "Requests by method, route (as declared, never as asked) and status.",
    ("api",), ("method", "route", "status"),
)  # fmt: skip
API_SECONDS = Metric(
    "globalmart_api_request_seconds", "histogram", "seconds", "Time from a request's arrival to its answer's last byte; streams are left out.",
    ("api",), ("method", "route"), _REQUEST_BUCKETS,
)  # fmt: skip

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
BY_NAME = {metric.name: metric for metric in METRICS}
