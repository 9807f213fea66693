"""What Alertmanager tells becomes findings for the alert desk: raised while an alert fires, retracted once it is over.

Alertmanager tells of an alert at least once, and again now and then: the finding's id is that of the alert and of when it began, so the
desk counts it once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from lakehouse.errors import GlobalMartError
from lakehouse.findings import Finding, Severity, finding_id

KIND_PREFIX = "platform_"


class UnreadableNoticeError(GlobalMartError):
    """What was posted is no notice of Alertmanager."""


class Alert(BaseModel):
    """One alert of a notice (Alertmanager's webhook, version 4), as far as it is used."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: datetime = Field(alias="startsAt")
    fingerprint: str


class Notice(BaseModel):
    alerts: list[Alert]


def findings(body: bytes, now: datetime) -> list[Finding]:
    """The findings of one notice. Raises UnreadableNoticeError."""
    try:
        notice = Notice.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnreadableNoticeError(f"This is no notice of Alertmanager: {place} {first['msg']}.") from None
    return [_finding(alert, now) for alert in notice.alerts]


def kind_of(alert_name: str) -> str:
    """`KafkaDown` is of the kind `platform_kafka_down`."""
    words = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in alert_name)
    return KIND_PREFIX + words.strip("_")


def _finding(alert: Alert, now: datetime) -> Finding:
    name = alert.labels.get("alertname", "unnamed")
    kind = kind_of(name)
    named = alert.labels.get("severity")
    severity: Severity = "critical" if named == "critical" else "warning" if named == "warning" else "info"
    about = {key: value for key, value in sorted(alert.labels.items()) if key not in {"alertname", "severity"}}
    runbook = alert.annotations.get("runbook", "")
    detail = " ".join(filter(None, (alert.annotations.get("description"), f"Runbook: {runbook}" if runbook else "")))
    is_over = alert.status == "resolved"
    return Finding(
        finding_id=finding_id(kind, alert.fingerprint, alert.starts_at.isoformat()),
        kind=kind,
        severity=severity,
        fingerprint=f"{kind}|{'|'.join(about.values())}",
        title=alert.annotations.get("summary", name),
        detail="over by Prometheus's measure" if is_over else detail or name,
        event_at=alert.starts_at,
        detected_at=now,
        verdict="retracted" if is_over else "raised",
        evidence={"labels": about, "runbook": runbook},
    )
