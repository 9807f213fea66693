"""Data quality: the share of records that went to quarantine over the last minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from api.desk.rules import Watch
from api.desk.sources.base import Condition
from api.desk.sources.recent import RecentLedger
from lakehouse.findings import Severity

KIND = "data_quality"


class Quality:
    """A share above the critical limit is above the warning limit, too: two conditions, one alert."""

    kinds = (KIND,)

    def __init__(self, rules: Watch, ledger: RecentLedger) -> None:
        self._rules = rules
        self._ledger = ledger

    def conditions(self, now: datetime) -> list[Condition]:
        counts = self._ledger.counts(now, timedelta(minutes=self._rules.quality_minutes))
        return judge(counts["record_count"], counts["quarantined_count"], self._rules)


def judge(records: int, bad: int, rules: Watch) -> list[Condition]:
    """`bad` of `records` were quarantined within the window."""
    if records < rules.quality_least_records:
        return []
    limits: list[tuple[Severity, float]] = [
        ("warning", rules.bad_share_warning),
        ("critical", rules.bad_share_critical),
    ]
    share = bad / records
    words = (
        f"{bad:,} of {records:,} records of the last {rules.quality_minutes:g} minutes ({share:.1%}) went to quarantine"
    )
    evidence = {"record_count": records, "quarantined_count": bad}
    return [
        Condition(KIND, "quarantine", severity, "Many bad records", f"{words}; the limit is {limit:.0%}.", evidence)
        for severity, limit in limits
        if share >= limit
    ]
