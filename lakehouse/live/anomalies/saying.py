"""A finding of a stateful rule in words, told once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.findings import Finding, finding_id
from lakehouse.live.anomalies.facts import Visits
from lakehouse.live.anomalies.rules import Rule
from lakehouse.live.anomalies.told import Told

MINUTE = 60_000_000
"""In microseconds, as all times of the detectors."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(micros: int) -> datetime:
    """Microseconds since 1970 as a time (UTC)."""
    return _EPOCH + timedelta(microseconds=micros)


@dataclass(frozen=True)
class Saying:
    """Makes the findings of one batch, begun at `detected_at`."""

    told: Told
    detected_at: datetime

    def once(
        self,
        rule: Rule,
        visits: Visits,
        row: int,
        quiet: int,
        score: float,
        values: dict[str, str],
        evidence: dict[str, Any],
    ) -> list[Finding]:
        """The finding about the event in `row`, unless its customer had one of the kind within `quiet` of it."""
        user_id = visits.text("user_id", row)
        if not self.told.is_first(rule.kind, user_id, int(visits.at[row]), quiet):
            return []
        return [self.about(rule, visits, row, score, values, evidence)]

    def about(
        self, rule: Rule, visits: Visits, row: int, score: float, values: dict[str, str], evidence: dict[str, Any]
    ) -> Finding:
        """The finding about the event in `row`; `values` are those that the rule's words have besides customer and country."""
        event_id = visits.text("event_id", row)
        words = {name: visits.text(name, row) for name in ("user_id", "country")} | values
        return Finding(
            finding_id=finding_id(rule.kind, event_id),
            kind=rule.kind,
            severity=rule.severity,
            fingerprint=f"{rule.kind}|{words[rule.grouped_by]}",
            title=rule.title.format(**words),
            detail=rule.detail.format(**words),
            event_at=visits.rows["timestamp"][row].as_py(),
            detected_at=self.detected_at,
            score=score,
            is_anomaly=True,
            event_id=event_id,
            user_id=words["user_id"],
            country=words["country"],
            evidence=evidence,
        )
