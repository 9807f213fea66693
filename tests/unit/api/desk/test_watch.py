"""Conditions to findings, and the sources that need no server: heartbeats, restarts, lag, data quality."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.desk.rules import Watch as WatchRules
from api.desk.sources import lag, quality
from api.desk.sources.base import Condition
from api.desk.sources.heartbeats import Heartbeats
from api.desk.sources.recent import RecentLedger
from api.desk.sources.services import Services
from api.desk.watch import Watch
from infra.supervision import starts_file
from lakehouse.errors import KafkaError
from lakehouse.findings import Finding, finding_id
from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import LEDGER_STREAMING

AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
HOLD = timedelta(seconds=20)
DOWN = Condition("service_down", "minio", "critical", "minio is down", "It does not answer.", {"pid": 0})


class Scripted:
    """A source that says what the test wrote down."""

    kinds = ("service_down",)

    def __init__(self) -> None:
        self.now_wrong: list[Condition] | None = []

    def conditions(self, now: datetime) -> list[Condition]:  # noqa: ARG002 one signature for all sources
        if self.now_wrong is None:
            raise KafkaError("no answer")
        return self.now_wrong


@pytest.fixture
def source() -> Scripted:
    return Scripted()


def look(watch: Watch, seconds: int) -> list[tuple[str, str, str]]:
    found = watch.look(AT + timedelta(seconds=seconds))
    return [(one.finding_id, one.verdict, one.detail) for one in found]


ID = finding_id("service_down", "minio", "critical", AT.isoformat())


def test_a_condition_is_told_once_it_has_lasted_and_once_it_is_over_for_as_long(source: Scripted) -> None:
    watch = Watch(source, HOLD)
    source.now_wrong = [DOWN]
    assert [look(watch, s) for s in (0, 10, 20, 30)] == [[], [], [(ID, "raised", "It does not answer.")], []]
    source.now_wrong = []
    assert [look(watch, s) for s in (40, 50, 60, 70)] == [[], [], [(ID, "retracted", "over after 0:00:40")], []]


def test_a_condition_that_flickers_is_not_told(source: Scripted) -> None:
    watch = Watch(source, HOLD)
    for second in range(0, 200, 10):
        source.now_wrong = [DOWN] if second % 20 else []
        assert look(watch, second) == []


def test_a_pause_shorter_than_the_hold_is_the_same_episode(source: Scripted) -> None:
    watch = Watch(source, HOLD)
    source.now_wrong = [DOWN]
    look(watch, 0)
    assert len(look(watch, 20)) == 1
    for second, wrong in ((30, []), (40, [DOWN]), (60, []), (70, [DOWN])):
        source.now_wrong = wrong
        assert look(watch, second) == []


def test_what_cannot_be_known_changes_nothing(source: Scripted) -> None:
    watch = Watch(source, HOLD)
    source.now_wrong = [DOWN]
    look(watch, 0)
    source.now_wrong = None
    with pytest.raises(KafkaError):
        look(watch, 10)
    source.now_wrong = [DOWN]
    assert look(watch, 20) == [(ID, "raised", "It does not answer.")]


def test_a_condition_told_before_a_restart_is_taken_back_and_not_told_again(source: Scripted) -> None:
    first = Watch(source, HOLD)
    source.now_wrong = [DOWN]
    first.look(AT)
    [told] = first.look(AT + HOLD)
    second = Watch(source, HOLD, [told])
    assert look(second, 30) == []
    source.now_wrong = []
    assert [look(second, s) for s in (40, 60)] == [[], [(ID, "retracted", "over after 0:00:40")]]


def test_a_finding_of_a_condition_has_its_fingerprint_and_times(source: Scripted) -> None:
    source.now_wrong = [DOWN]
    watch = Watch(source, HOLD)
    watch.look(AT)
    assert watch.look(AT + HOLD) == [
        Finding(
            ID, "service_down", "critical", "service_down|minio", "minio is down", "It does not answer.", AT, AT + HOLD,
            evidence={"pid": 0},
        )
    ]  # fmt: skip


def entry(**changes: object) -> LedgerEntry:
    made = LedgerEntry(1, 7, 7, AT, AT, {"users/0": 100}, {}, {}, dict.fromkeys(
        ("record_count", "accepted_count", "quarantined_count", "duplicate_count", "warning_count"), 0
    ))  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "seconds", "kinds"),
    [
        (100, 10_000, []),  # nothing waits, however quiet
        (300_100, 1, []),
        (300_101, 1, ["stream_behind"]),
        (101, 120, []),
        (101, 121, ["stream_stalled"]),
        (400_100, 121, ["stream_behind", "stream_stalled"]),
    ],
)
def test_lag_is_told_by_count_and_by_standstill(end: int, seconds: int, kinds: list[str]) -> None:
    found = lag.judge(entry(), {"users/0": end}, WatchRules(), AT + timedelta(seconds=seconds))
    assert [one.kind for one in found] == kinds


@pytest.mark.parametrize(
    ("records", "bad", "severities"),
    [
        (499, 499, []),
        (1_000, 49, []),
        (1_000, 50, ["warning"]),
        (1_000, 249, ["warning"]),
        (1_000, 250, ["warning", "critical"]),
    ],
)
def test_data_quality_is_the_share_of_quarantined_records(records: int, bad: int, severities: list[str]) -> None:
    found = quality.judge(records, bad, WatchRules())
    assert [one.severity for one in found] == severities
    assert {one.fingerprint for one in found} <= {"data_quality|quarantine"}


def test_the_ledger_s_counts_are_those_of_the_window(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    settings = Settings(_env_file=None, state_dir=tmp_path / "state", lake_uri=(tmp_path / "lake").as_uri())
    ledger = RecentLedger(settings)
    assert (ledger.last(), ledger.counts(AT, timedelta(minutes=5))) == (
        None,
        {"record_count": 0, "quarantined_count": 0},
    )
    for number, minutes in ((1, -6), (2, -4), (3, -1)):
        counts = {**entry().counts, "record_count": 10**number, "quarantined_count": number}
        one = entry(batch_id=number, committed_at=AT + timedelta(minutes=minutes), counts=counts)
        write_deltalake(delta_uri(settings, LEDGER_STREAMING), one.to_rows(), mode="append")
    last = ledger.last()
    assert last is not None
    assert last.batch_id == 3
    assert ledger.counts(AT, timedelta(minutes=5)) == {"record_count": 1_100, "quarantined_count": 5}


def beat(settings: Settings, service: str, state: str, updated: int, **details: object) -> None:
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    body = {
        "service": service,
        "state": state,
        "pid": 1,
        "updated_at": (AT + timedelta(seconds=updated)).isoformat(),
        **details,
    }
    (settings.run_dir / f"{service}.json").write_text(json.dumps(body))


def test_heartbeats_that_stop_fail_wait_or_mean_nothing_are_told(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    beat(settings, "desk", "failed", 0)  # itself
    beat(settings, "somebody", "failed", 0)  # no service that was asked for
    beat(settings, "api", "running", -1)
    beat(settings, "minio", "running", -16)
    beat(settings, "streaming", "waiting", -1, reason="Kafka does not answer.")
    beat(settings, "refresher", "running", -1, checked_at=(AT - timedelta(seconds=121)).isoformat())
    found = Heartbeats(settings, "desk").conditions(AT)
    assert [(one.subject, one.severity, one.detail) for one in found] == [
        ("minio", "critical", "minio has stopped beating."),
        ("refresher", "critical", "refresher beats, and has done nothing for a while."),
        ("streaming", "critical", "streaming is waiting: Kafka does not answer."),
    ]


def test_where_no_supervisor_runs_there_is_nothing_to_say_of_services(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    starts_file(settings, "kafka").write_text(f"{AT.timestamp()}\n" * 9)
    assert Services(settings, WatchRules(), "desk").conditions(AT) == []
