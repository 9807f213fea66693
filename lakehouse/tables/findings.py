"""Gold of what should be known: anomalies of transactions and alerts. Owned by the streaming service; life cycles are in PostgreSQL."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import STREAM_PROPERTIES, TIME, Table, column

_EVIDENCE = column("evidence", pa.string(), "what the finding rests on, a JSON object")
_BATCH = column("batch_id", pa.int64(), "micro-batch that found it")

ANOMALIES = Table(
    "anomalies",
    "gold",
    "streaming",
    "one finding of a detector about one event",
    (
        column("anomaly_id", pa.string(), "id that the same finding always gets, in both lanes"),
        column("detector", pa.string(), "the detector"),
        column(
            "event_id",
            pa.string(),
            "the event found; of several, the last; null for findings about no single event",
            True,
        ),
        column("user_id", pa.string(), "its customer, where it has one", True),
        column("product_id", pa.string(), "the product, where the finding is about one", True),
        column("country", pa.string(), "country of the visit", True),
        column("score", pa.float64(), "0 to 1, 1 is surest"),
        column("verdict", pa.string(), "raised, confirmed (the real-time lane had raised it) or retracted"),
        column("explanation", pa.string(), "the finding in words"),
        _EVIDENCE,
        column("event_at", TIME, "event time (UTC)"),
        column("detected_at", TIME, "when the micro-batch that found it began (UTC)"),
        _BATCH,
    ),
    ("anomaly_id", "verdict"),
    (),
    STREAM_PROPERTIES,
)
ALERTS = Table(
    "alerts",
    "gold",
    "streaming",
    "one alert of the durable path; append only, its life cycle is in PostgreSQL",
    (
        column("alert_id", pa.string(), "id that the same alert always gets; an anomaly's is its `anomaly_id`"),
        column("kind", pa.string(), "the detector or signal"),
        column("severity", pa.string(), "info, warning or critical"),
        column("fingerprint", pa.string(), "what belongs together has the same"),
        column("title", pa.string(), "one line"),
        column("detail", pa.string(), "what happened, with figures"),
        _EVIDENCE,
        column("verdict", pa.string(), "raised, confirmed or retracted"),
        column("event_at", TIME, "event time (UTC)"),
        column("raised_at", TIME, "when the micro-batch that raised it began (UTC)"),
        _BATCH,
    ),
    ("alert_id", "verdict"),
    (),
    STREAM_PROPERTIES,
)
