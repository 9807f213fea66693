"""The platform's own tables: the ledgers, how good the detectors are, and how large tables grow."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import BATCH_PROPERTIES, STREAM_PROPERTIES, TIME, Table, column

_OFFSETS = pa.map_(pa.string(), pa.int64())
LEDGER_STREAMING = Table(
    "ledger_streaming",
    "ops",
    "streaming",
    "one micro-batch that every sink has committed",
    (
        column("generation", pa.int64(), "checkpoint generation; a new one starts where the ledger ends"),
        column("batch_id", pa.int64(), "micro-batch, counted through all generations"),
        column("spark_batch_id", pa.int64(), "the number that Spark's checkpoint gave it"),
        column("started_at", TIME, "when the batch began: `ingested_at` and `known_at` of its rows (UTC)"),
        column("committed_at", TIME, "when its last sink had committed (UTC)"),
        column("next_offsets", _OFFSETS, "per `topic/partition`, the first offset that is not in the lake yet"),
        column("watermarks", pa.map_(pa.string(), TIME), "per topic, the watermark after this batch (UTC)"),
        column("table_versions", _OFFSETS, "per table path, the Delta version that holds this batch and all before"),
        column(
            "waiting_marks",
            pa.list_(pa.field("element", pa.string(), False)),
            "marks read from the topic `markers` whose offsets are not all in the lake yet, as JSON",
            True,
        ),
        column(
            "lag_records", _OFFSETS, "per topic, records that Kafka had and the lake, with this batch, had not", True
        ),
        column(
            "lag_seconds",
            pa.map_(pa.string(), pa.float64()),
            "per topic, age of the newest record taken when the batch began; 0 where there was none to take",
            True,
        ),
        column("record_count", pa.int64(), "records taken from Kafka"),
        column("accepted_count", pa.int64(), "records that went to silver"),
        column("quarantined_count", pa.int64(), "records that went to quarantine"),
        column("duplicate_count", pa.int64(), "records that went to duplicates"),
        column("warning_count", pa.int64(), "accepted records with unknown extra fields"),
    ),
    ("batch_id",),
    (),
    STREAM_PROPERTIES,
)

DETECTOR_SCORECARD = Table(
    "detector_scorecard",
    "ops",
    "batch",
    "one detector in one scoring; `overall` is all together, `naive` the baseline that it is measured against",
    (
        column("scored_at", TIME, "when the scoring began (UTC)"),
        column("seeds", pa.list_(pa.field("element", pa.int64(), False)), "seeds of the runs that were scored"),
        column("detector", pa.string(), "the detector, `overall` or `naive`"),
        column("anomaly_count", pa.int64(), "anomalies that the runs hold"),
        column("found_count", pa.int64(), "of these, how many were found"),
        column("false_count", pa.int64(), "findings about what is ordinary"),
        column("crossed_count", pa.int64(), "findings about anomalies of another kind; neither right nor wrong"),
        column("precision", pa.float64(), "found / (found + false)"),
        column("recall", pa.float64(), "found / anomalies"),
        column("f1", pa.float64(), "harmonic mean of precision and recall"),
        column(
            "seconds_to_detect",
            pa.float64(),
            "median from the event that a right finding names to the micro-batch that found it",
            True,
        ),
    ),
    ("scored_at", "detector"),
    (),
    BATCH_PROPERTIES,
)

TABLE_SIZES = Table(
    "table_sizes",
    "ops",
    "batch",
    "one table as a maintenance run left it",
    (
        column("measured_at", TIME, "when the maintenance run began (UTC)"),
        column("table_path", pa.string(), "the table, as layer/name"),
        column("version", pa.int64(), "its newest Delta version"),
        column("file_count", pa.int64(), "data files of that version"),
        column("byte_count", pa.int64(), "their size, bytes"),
        column("row_count", pa.int64(), "rows by the files' statistics; null where a file has none", True),
        column("oldest_version", pa.int64(), "from this version on all can be read: log and files are there"),
        column("oldest_at", TIME, "when that version was committed (UTC); null where its commit file is gone", True),
    ),
    ("measured_at", "table_path"),
    (),
    BATCH_PROPERTIES,
)
