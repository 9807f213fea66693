"""Findings to rows of `gold/anomalies` and `gold/alerts`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
import pyarrow as pa

from lakehouse.findings import Finding
from lakehouse.tables import ALERTS, ANOMALIES


def anomaly_rows(findings: Iterable[Finding], batch_id: int) -> pa.Table:
    """One row of `gold/anomalies` for each finding that is an anomaly."""
    rows = [
        {
            "anomaly_id": one.finding_id,
            "detector": one.kind,
            "event_id": one.event_id,
            "user_id": one.user_id,
            "product_id": one.product_id,
            "country": one.country,
            "score": one.score,
            "verdict": one.verdict,
            "explanation": one.detail,
            "evidence": _evidence(one),
            "event_at": one.event_at,
            "detected_at": one.detected_at,
            "batch_id": batch_id,
        }
        for one in findings
        if one.is_anomaly
    ]
    return pa.Table.from_pylist(rows, schema=ANOMALIES.schema)


def alert_rows(findings: Iterable[Finding], batch_id: int) -> pa.Table:
    """One row of `gold/alerts` for each finding."""
    rows = [
        {
            "alert_id": one.finding_id,
            "kind": one.kind,
            "severity": one.severity,
            "fingerprint": one.fingerprint,
            "title": one.title,
            "detail": one.detail,
            "evidence": _evidence(one),
            "verdict": one.verdict,
            "event_at": one.event_at,
            "raised_at": one.detected_at,
            "batch_id": batch_id,
        }
        for one in findings
    ]
    return pa.Table.from_pylist(rows, schema=ALERTS.schema)


def _evidence(finding: Finding) -> str:
    return orjson.dumps(finding.evidence, option=orjson.OPT_SORT_KEYS).decode()
