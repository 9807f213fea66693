"""A finding: something that people should know, said by either lane under the same id. Goes to the topic `detections`."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

DETECTIONS = "detections"
"""The topic of findings."""
Lane = Literal["realtime", "durable"]
Verdict = Literal["raised", "confirmed", "retracted"]
Severity = Literal["info", "warning", "critical"]


def finding_id(kind: str, *subject: str) -> str:
    """The id that both lanes give: the first 32 hexadecimal digits of SHA-256 over `kind` and `subject`, joined by `|`.

    Spark says the same with `substring(sha2(concat_ws('|', kind, …), 256), 1, 32)`.
    """
    return hashlib.sha256("|".join((kind, *subject)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Finding:
    """`kind` is the detector or signal; `fingerprint` groups what belongs together; `score` is 0 to 1, 1 is surest.

    `is_anomaly`: it also goes to `gold/anomalies`; every finding goes to `gold/alerts`. Times are UTC; `evidence` is JSON.
    """

    finding_id: str
    kind: str
    severity: Severity
    fingerprint: str
    title: str
    detail: str
    event_at: datetime
    detected_at: datetime
    score: float = 1.0
    verdict: Verdict = "raised"
    lane: Lane = "durable"
    is_anomaly: bool = False
    event_id: str | None = None
    user_id: str | None = None
    product_id: str | None = None
    country: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The message on `detections`; its key is `finding_id`."""
        body = asdict(self)
        body["event_at"], body["detected_at"] = (rfc3339(body[name]) for name in ("event_at", "detected_at"))
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def rfc3339(at: datetime) -> str:
    """UTC with milliseconds and `Z`, as everywhere on the platform."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
