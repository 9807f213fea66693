"""Findings to alerts: counting, grouping, reopening, retracting. Times are parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from api.desk.grouping import Grouping, Member
from api.desk.model import Alert
from api.desk.rules import Grouping as Rules
from lakehouse.findings import Finding

AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
NOW = AT + timedelta(seconds=1)


def finding(number: int = 1, minutes: float = 0, **changes: Any) -> Finding:
    made = Finding(
        finding_id=f"f{number}",
        kind="low_stock",
        severity="warning",
        fingerprint="low_stock|P1",
        title="P1 is low",
        detail=f"{number} left",
        event_at=AT + timedelta(minutes=minutes),
        detected_at=AT + timedelta(minutes=minutes, seconds=1),
        product_id="P1",
        evidence={"level": number},
    )
    return replace(made, **changes)


def grouping(
    *alerts: Alert, members: Mapping[str, Member] | None = None, resolved: Mapping[str, str] | None = None
) -> Grouping:
    return Grouping(alerts, members or {}, resolved or {}, Rules(window_minutes=60))


def taken(*findings: Finding, now: datetime = NOW, group: Grouping | None = None) -> Grouping:
    group = group or grouping()
    for one in findings:
        group.take(one, now)
    return group


def moments(group: Grouping) -> list[tuple[str, str, bool]]:
    return [(change.alert.alert_id, change.moment, change.is_told) for change in group.changes]


def counts(group: Grouping) -> list[tuple[str, str, int, int]]:
    return [(a.alert_id, a.state, a.count, a.retracted_count) for a in group.touched.values()]


def test_a_new_fingerprint_opens_an_alert_that_has_the_id_of_its_first_finding() -> None:
    group = taken(finding())
    assert list(group.touched.values()) == [
        Alert(
            alert_id="f1", kind="low_stock", severity="warning", fingerprint="low_stock|P1", title="P1 is low", detail="1 left",
            event_at=AT, last_event_at=AT, raised_at=AT + timedelta(seconds=1), first_seen_at=NOW, last_seen_at=NOW,
            evidence={"level": 1}, product_id="P1", changed_at=NOW, revision=1,
        )
    ]  # fmt: skip
    assert moments(group) == [("f1", "opened", True)]


def test_the_same_fingerprint_within_the_window_is_counted_and_not_told_again() -> None:
    group = taken(finding(1), finding(2, minutes=59), finding(3, minutes=-500))
    [alert] = group.touched.values()
    assert (alert.count, alert.detail, alert.last_event_at) == (3, "3 left", AT + timedelta(minutes=59))
    assert moments(group) == [("f1", "opened", True)]


def test_after_the_window_a_new_alert_takes_the_place_of_the_old_one_which_is_closed_in_silence() -> None:
    group = taken(finding(1), finding(2, minutes=61))
    assert counts(group) == [("f1", "resolved", 1, 0), ("f2", "open", 1, 0)]
    assert group.touched["f2"].previous_alert_id == "f1"
    assert moments(group) == [("f1", "opened", True), ("f1", "resolved", False), ("f2", "opened", True)]


def test_the_same_id_is_counted_once_whichever_lane_says_it() -> None:
    fast = finding(lane="realtime")
    group = taken(
        fast, fast, finding(), finding(verdict="confirmed", evidence={"level": 9}), finding(verdict="confirmed")
    )
    [alert] = group.touched.values()
    assert (alert.count, alert.evidence) == (1, {"level": 9})
    assert group.taken["f1"][0].verdict == "confirmed"
    assert group.repeated_count == 3


def test_a_finding_known_from_before_is_not_counted_again() -> None:
    group = taken(finding(), group=grouping(members={"f1": Member("f1", "raised")}))
    assert (counts(group), group.changes, group.taken) == ([], [], {})


def test_a_confirmation_whose_raising_never_came_opens_the_alert() -> None:
    assert counts(taken(finding(verdict="confirmed"))) == [("f1", "open", 1, 0)]


def test_an_all_clear_closes_the_alert_counts_for_none_and_opens_none() -> None:
    clear = finding(9, kind="back_in_stock", severity="info", detail="40 units again")
    group = taken(
        clear, finding(1), finding(2, kind="out_of_stock", severity="critical"), replace(clear, finding_id="f10")
    )
    assert counts(group) == [("f1", "resolved", 2, 0)]
    assert (group.touched["f1"].kind, group.touched["f1"].reason) == ("out_of_stock", "40 units again")
    assert moments(group) == [("f1", "opened", True), ("f1", "escalated", True), ("f1", "resolved", True)]
    assert {key: alert_id for key, (_, alert_id) in group.taken.items()} == {
        "f9": None,
        "f1": "f1",
        "f2": "f1",
        "f10": None,
    }


def test_an_all_clear_taken_back_changes_no_alert() -> None:
    off = finding(9, kind="back_in_stock", verdict="retracted")
    group = taken(off, group=grouping(members={"f9": Member(None, "raised")}))
    assert (counts(group), group.changes) == ([], [])


def test_the_last_retraction_closes_the_alert_with_its_reason() -> None:
    off = [finding(n, verdict="retracted", detail="the price had changed") for n in (1, 2)]
    group = taken(finding(1), finding(2), off[0])
    assert counts(group) == [("f1", "open", 1, 1)]
    group.take(off[1], NOW)
    assert counts(group) == [("f1", "resolved", 0, 2)]
    assert group.touched["f1"].reason == "the price had changed"
    assert moments(group) == [("f1", "opened", True), ("f1", "resolved", True)]


def test_a_retraction_is_final_also_when_it_comes_first_or_twice() -> None:
    off = finding(verdict="retracted")
    group = taken(off, finding(), off, finding(verdict="confirmed"))
    assert (counts(group), group.changes) == ([], [])
    assert group.taken["f1"] == (off, None)


def test_a_retraction_of_one_that_a_person_resolved_only_counts() -> None:
    group = taken(finding())
    alert = group.touched["f1"]
    alert.resolve("restocked", "ana", NOW)
    group = taken(finding(verdict="retracted"), group=grouping(alert, members={"f1": Member("f1", "raised")}))
    assert counts(group) == [("f1", "resolved", 0, 1)]
    assert group.touched["f1"].reason == "restocked"
    assert group.changes == []


def test_resolved_and_again_is_a_new_alert_linked_to_the_old() -> None:
    group = taken(finding(2), group=grouping(resolved={"low_stock|P1": "f1"}))
    assert counts(group) == [("f2", "open", 1, 0)]
    assert group.touched["f2"].previous_alert_id == "f1"


def test_a_worse_finding_raises_the_severity_and_is_told() -> None:
    group = taken(finding(1), finding(2, severity="critical"), finding(3, severity="info"))
    assert group.touched["f1"].severity == "critical"
    assert moments(group) == [("f1", "opened", True), ("f1", "escalated", True)]


def _snoozed() -> Alert:
    alert = taken(finding()).touched["f1"]
    alert.snooze(NOW + timedelta(hours=4), "ana", NOW)
    return alert


def test_a_snoozed_alert_counts_in_silence_until_its_time_even_beyond_the_window() -> None:
    again = finding(2, minutes=200, severity="critical")
    group = taken(again, now=NOW + timedelta(hours=3), group=grouping(_snoozed()))
    assert counts(group) == [("f1", "snoozed", 2, 0)]
    assert group.changes == []


def test_a_snoozed_alert_that_comes_again_after_its_time_opens_again() -> None:
    group = taken(finding(2, minutes=240), now=NOW + timedelta(hours=4), group=grouping(_snoozed()))
    assert counts(group) == [("f1", "open", 2, 0)]
    assert group.touched["f1"].snoozed_until is None
    assert moments(group) == [("f1", "reopened", True)]


def test_an_acknowledged_alert_counts_on_without_a_word_within_the_window() -> None:
    alert = taken(finding()).touched["f1"]
    alert.acknowledge("ana", NOW)
    group = taken(finding(2, minutes=5), group=grouping(alert))
    assert counts(group) == [("f1", "acknowledged", 2, 0)]
    assert group.changes == []


def test_what_is_taken_at_once_or_one_by_one_gives_the_same_alerts() -> None:
    stream = [finding(n, minutes=n * 13, verdict="retracted" if n % 7 == 0 else "raised") for n in range(40)]
    at_once = taken(*stream)
    one_by_one: dict[str, Alert] = {}
    members: dict[str, Member] = {}
    resolved: dict[str, str] = {}
    for one in stream:
        group = taken(one, group=grouping(*one_by_one.values(), members=members, resolved=resolved))
        one_by_one |= group.touched
        members |= {key: Member(alert_id, told.verdict) for key, (told, alert_id) in group.taken.items()}
        resolved |= {a.fingerprint: a.alert_id for a in group.touched.values() if a.state == "resolved"}
    assert one_by_one == at_once.touched
