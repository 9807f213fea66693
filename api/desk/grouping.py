"""From findings to alerts: what is counted, what opens, reopens or closes an alert. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from api.desk.model import DESK, SEVERITY_RANK, Alert, Change
from api.desk.rules import Grouping as Rules
from lakehouse.findings import Finding, Verdict


@dataclass(frozen=True)
class Member:
    """A finding that was taken before: its last verdict, and the alert that it counts for, if any."""

    alert_id: str | None
    verdict: Verdict


class Grouping:
    """Takes findings one by one into what is known, and keeps what it changed.

    `alerts`: every alert that is not resolved and has one of the fingerprints, and the alerts of the known findings.
    `last_resolved`: per fingerprint, the alert that was resolved last.
    """

    def __init__(
        self,
        alerts: Iterable[Alert],
        members: Mapping[str, Member],
        last_resolved: Mapping[str, str],
        rules: Rules,
    ) -> None:
        self._alerts = {alert.alert_id: alert for alert in alerts}
        self._current = {a.fingerprint: a for a in self._alerts.values() if a.state != "resolved"}
        self._members = dict(members)
        self._last_resolved = dict(last_resolved)
        self._rules = rules
        self.touched: dict[str, Alert] = {}
        self.taken: dict[str, tuple[Finding, str | None]] = {}
        self.changes: list[Change] = []
        self.repeated_count = 0

    def take(self, finding: Finding, now: datetime) -> None:
        """`now` is when the desk reads it. The same id is counted once; a retraction is final."""
        member = self._members.get(finding.finding_id)
        if member is None:
            self._remember(finding, self._count(finding, now))
        elif member.verdict != "retracted" and finding.verdict == "retracted":
            self._remember(finding, member.alert_id)
            if member.alert_id is not None:
                self._withdraw(self._touch(member.alert_id), finding, now)
        elif member.verdict == "raised" and finding.verdict == "confirmed":
            self._remember(finding, member.alert_id)
            if member.alert_id is not None:
                alert = self._touch(member.alert_id)
                alert.detail, alert.evidence, alert.last_seen_at = finding.detail, finding.evidence, now
        else:
            self.repeated_count += 1

    def _count(self, finding: Finding, now: datetime) -> str | None:
        """The id of the alert that the finding counts for, a new one where it has to be."""
        if finding.verdict == "retracted":
            return None
        alert = self._current.get(finding.fingerprint)
        if finding.kind in self._rules.all_clear:
            if alert is not None:
                self._close(self._touch(alert.alert_id), finding.detail or finding.title, now)
            return None
        if alert is not None and self._is_over(alert, finding):
            # Silently: the new alert, linked to this one, says all there is to say.
            words = f"nothing for {self._rules.window(alert.kind)}, then it came again as {finding.finding_id}"
            self._close(self._touch(alert.alert_id), words, now, is_told=False)
            alert = None
        if alert is None:
            return self._open(finding, now)
        self._join(self._touch(alert.alert_id), finding, now)
        return alert.alert_id

    def _is_over(self, alert: Alert, finding: Finding) -> bool:
        """A snoozed alert keeps what comes, however late: that is what was asked for."""
        if alert.state == "snoozed":
            return False
        return finding.event_at - alert.last_event_at > self._rules.window(alert.kind)

    def _open(self, finding: Finding, now: datetime) -> str:
        alert = Alert(
            alert_id=finding.finding_id,
            kind=finding.kind,
            severity=finding.severity,
            fingerprint=finding.fingerprint,
            title=finding.title,
            detail=finding.detail,
            event_at=finding.event_at,
            last_event_at=finding.event_at,
            raised_at=finding.detected_at,
            first_seen_at=now,
            last_seen_at=now,
            evidence=finding.evidence,
            country=finding.country,
            product_id=finding.product_id,
            user_id=finding.user_id,
            previous_alert_id=self._last_resolved.get(finding.fingerprint),
        )
        self._alerts[alert.alert_id] = self._current[alert.fingerprint] = alert
        self.changes.append(self._touch(alert.alert_id).open(DESK, now))
        return alert.alert_id

    def _join(self, alert: Alert, finding: Finding, now: datetime) -> None:
        alert.count += 1
        alert.last_seen_at = now
        alert.last_event_at = max(alert.last_event_at, finding.event_at)
        alert.kind, alert.title, alert.detail = finding.kind, finding.title, finding.detail
        alert.evidence = finding.evidence
        is_worse = SEVERITY_RANK[finding.severity] > SEVERITY_RANK[alert.severity]
        if is_worse:
            alert.severity = finding.severity
        if alert.state == "snoozed":
            if alert.snoozed_until is None or now >= alert.snoozed_until:
                self.changes.append(alert.reopen(now))
        elif is_worse:
            self.changes.append(alert.change("escalated", DESK, now, f"now {alert.severity}"))

    def _withdraw(self, alert: Alert, finding: Finding, now: datetime) -> None:
        alert.count -= 1
        alert.retracted_count += 1
        alert.last_seen_at = now
        if alert.count == 0 and alert.state != "resolved":
            self._close(alert, finding.detail or "withdrawn by what had raised it", now)

    def _close(self, alert: Alert, reason: str, now: datetime, is_told: bool = True) -> None:
        self.changes.append(alert.resolve(reason, DESK, now, is_told))
        self._current.pop(alert.fingerprint, None)
        self._last_resolved[alert.fingerprint] = alert.alert_id

    def _touch(self, alert_id: str) -> Alert:
        """In the order of first touch: an alert that gives way is written before the one that takes its place."""
        return self.touched.setdefault(alert_id, self._alerts[alert_id])

    def _remember(self, finding: Finding, alert_id: str | None) -> None:
        self._members[finding.finding_id] = Member(alert_id, finding.verdict)
        self.taken[finding.finding_id] = (finding, alert_id)
