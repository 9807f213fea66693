"""What the monitor sees of a lake, of notes and of the host, and what it says when it cannot see."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ledger_rows import BEGAN, commit, entry
from prometheus_client import CollectorRegistry, generate_latest

from infra.monitoring.collectors.host import Host
from infra.monitoring.collectors.kafka import Kafka
from infra.monitoring.collectors.ledger import Ledger
from infra.monitoring.collectors.notes import Notes
from infra.monitoring.collectors.services import Services, Spending
from infra.monitoring.collectors.tables import Tables
from infra.monitoring.monitor import Snapshot, collectors
from lakehouse.books.prove import Books
from lakehouse.books.record import write_proof
from lakehouse.errors import StorageError
from lakehouse.heartbeat import beat
from lakehouse.ledger import LedgerEntry
from lakehouse.metrics import names
from lakehouse.metrics.base import Metric, Sample
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING, TABLES

NOW = datetime(2026, 3, 14, 0, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: pytest.TempPathFactory) -> Settings:
    return Settings(_env_file=None, state_dir=f"{tmp_path}/state", lake_uri=f"file://{tmp_path}/lake")


def batch(number: int, records: int, accepted: int, quarantined: int) -> LedgerEntry:
    made = entry(number, "2026-03-13T23:50:00+00:00")
    counts = {**made.counts, "record_count": records, "accepted_count": accepted, "quarantined_count": quarantined}
    return replace(made, counts=counts, committed_at=BEGAN + timedelta(seconds=2), lag_seconds={"transactions": 1.5})


def values(samples: list[Sample], metric: Metric) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples if sample.metric is metric}


def test_a_lake_without_a_ledger_says_nothing(settings: Settings) -> None:
    assert Ledger(settings).collect(NOW) == []


def test_the_ledger_counts_what_comes_after_its_first_look(settings: Settings) -> None:
    ledger = Ledger(settings)
    commit(settings, batch(1, 900, 900, 0), batch(2, 500, 500, 0))
    first = ledger.collect(NOW)
    assert values(first, names.LEDGER_BATCH) == {(): 2}
    assert values(first, names.LEDGER_BATCH_SECONDS) == {(): 2}
    assert values(first, names.LEDGER_RECORDS)[("accepted",)] == 0
    assert values(first, names.LEDGER_LAG_SECONDS) == {("transactions",): 1.5}
    assert values(first, names.WATERMARK_DELAY)[("transactions",)] == 600
    commit(settings, batch(3, 10, 7, 3), batch(4, 10, 7, 1))
    then = ledger.collect(NOW)
    assert values(then, names.LEDGER_BATCH) == {(): 4}
    assert values(then, names.LEDGER_RECORDS) == {("accepted",): 14, ("quarantined",): 4, ("duplicate",): 0}
    assert values(then, names.LEDGER_UNACCOUNTED) == {(): 2}  # of batch 4
    assert ledger.collect(NOW) == then


def test_tables_are_measured_by_their_logs_and_again_once_they_change(settings: Settings) -> None:
    tables = Tables(settings)
    rounds = -(-len(TABLES) // 6)
    commit(settings, batch(1, 1, 1, 0))
    seen = [tables.collect(NOW) for _ in range(rounds)][-1]
    path = (LEDGER_STREAMING.path,)
    assert values(seen, names.TABLE_VERSION) == {path: 0}
    assert values(seen, names.TABLE_FILES) == values(seen, names.TABLE_SMALL_FILES) == {path: 1}
    assert values(seen, names.TABLE_BYTES)[path] > 1000
    assert values(seen, names.TABLE_COMMITTED)[(*path, "streaming")] > 1.7e9
    commit(settings, batch(2, 1, 1, 0))
    seen = [tables.collect(NOW) for _ in range(rounds)][-1]
    assert values(seen, names.TABLE_VERSION) == {path: 1}
    assert values(seen, names.TABLE_FILES) == {path: 2}


def test_a_table_that_is_only_tidied_is_as_old_as_its_rows(settings: Settings) -> None:
    """Or the alert about overdue marts would never come where each night deletes old files."""
    commit(settings, batch(1, 1, 1, 0), batch(2, 1, 1, 0))
    opened = open_table(settings, LEDGER_STREAMING)
    written = opened.history(1)[0]["timestamp"] / 1000
    time.sleep(0.01)
    opened.optimize.compact()
    opened.alter.set_table_properties({"delta.checkpointInterval": "77"})
    opened.vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert len({one["operation"] for one in opened.history(4)} - {"WRITE"}) == 4
    assert opened.history(1)[0]["timestamp"] / 1000 > written
    tables = Tables(settings)
    seen = [tables.collect(NOW) for _ in range(-(-len(TABLES) // 6))][-1]
    assert values(seen, names.TABLE_COMMITTED) == {(LEDGER_STREAMING.path, "streaming"): written}
    assert values(seen, names.TABLE_VERSION) == {(LEDGER_STREAMING.path,): opened.version()}


def test_notes_tell_of_generator_desk_and_the_last_proof(settings: Settings) -> None:
    notes = Notes(settings, Ledger(settings))
    assert notes.collect(NOW) == []
    beat(settings, "generator", "running", produced=50, acknowledged=40)
    beat(settings, "desk", "running", lag_records=3)
    write_proof(settings, Books(False, NOW, 7, [], [], []))
    seen = notes.collect(NOW)
    assert values(seen, names.GENERATOR_RUNNING) == {(): 1}
    assert values(seen, names.GENERATOR_PRODUCED) == {(): 50}
    assert values(seen, names.GENERATOR_ACKNOWLEDGED) == {(): 40}
    assert values(seen, names.DESK_LAG) == {(): 3}
    assert values(seen, names.PROOF_DIFFERENCES) == {(): 1}
    write_proof(settings, Books(True, NOW, 8, [], [], []))
    assert values(notes.collect(NOW), names.PROOF_DIFFERENCES) == {(): 0}


def test_the_host_has_memory_disk_and_processors(settings: Settings) -> None:
    settings.state_dir.mkdir(parents=True)
    seen = Host(settings).collect(NOW)
    for metric in (names.HOST_MEMORY, names.HOST_DISK):
        found = values(seen, metric)
        assert 0 < min(found.values()) < found[("total",)]
    assert values(seen, names.HOST_CPU)[("idle",)] > 0


def test_processor_time_never_falls_when_a_process_ends() -> None:
    """A counter that falls has begun anew, says Prometheus, and takes all of it for spent just then."""
    spending = Spending()
    server, run, later = (10, 1.0), (11, 2.0), (11, 3.0)  # a pid is given again
    looks = [
        {server: ("dagster-daemon", 50.0), run: ("dagster-daemon", 400.0)},
        {server: ("dagster-daemon", 51.0), run: ("dagster-daemon", 405.0)},
        {server: ("dagster-daemon", 52.0)},
        {server: ("dagster-daemon", 52.0), later: ("dagster-daemon", 3.0)},
    ]
    assert [spending.seen(look)["dagster-daemon"] for look in looks] == [0, 6, 7, 10]


def test_gold_is_stale_since_the_last_commit_or_since_records_began_to_wait(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(settings)
    kafka = Kafka(settings, ledger)

    def stale(seconds: int, end: int) -> float:
        monkeypatch.setattr(kafka, "_ends", lambda: {"transactions/0": end})
        return values(kafka.collect(NOW + timedelta(seconds=seconds)), names.GOLD_STALENESS)[()]

    assert stale(0, 5) == 0  # there was no commit yet, and since when they wait is not known
    ledger.newest = {"committed_at": NOW, "next_offsets": [("transactions/0", 5)]}
    assert stale(20, 9) == 20
    assert stale(3600, 5) == 0
    assert stale(3605, 6) == 5  # a first record after a quiet hour
    assert stale(3725, 6) == 125
    ledger.newest = {"committed_at": NOW + timedelta(seconds=3730), "next_offsets": [("transactions/0", 6)]}
    assert stale(3735, 9) == 5


def test_where_no_supervisor_runs_services_are_judged_by_their_heartbeats(settings: Settings) -> None:
    services = Services(settings)
    now = datetime.now(UTC)
    beat(settings, "desk", "running", checked_at=now.isoformat())
    beat(settings, "refresher", "failed", reason="no disk")
    seen = services.collect(now)
    assert values(seen, names.SERVICE_UP) == {("desk",): 1, ("refresher",): 0}
    assert set(values(seen, names.HEARTBEAT_AGE)) == {("desk",), ("refresher",)}
    assert values(seen, names.SERVICE_RESTARTS) == {}


class Moody:
    """A collector that can be made unable to see."""

    name = "moody"
    every = 2

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.looks = 0

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002 one signature for all collectors
        self.looks += 1
        if self.error:
            raise self.error
        return [Sample(names.DESK_LAG, 5)]


def shown(snapshot: Snapshot) -> str:
    registry = CollectorRegistry()
    registry.register(snapshot)
    return generate_latest(registry).decode()


def test_what_cannot_be_seen_is_absent_and_said_to_be() -> None:
    moody = Moody()
    snapshot = Snapshot([moody])
    snapshot.look()
    assert "globalmart_desk_lag_records 5.0" in shown(snapshot)
    moody.error = StorageError("MinIO is away.\nmore")
    snapshot.look()  # not its turn
    assert (moody.looks, snapshot.problems) == (1, {"moody": ""})
    snapshot.look()
    text = shown(snapshot)
    assert "globalmart_desk_lag_records" not in text
    assert 'globalmart_monitor_collect_ok{collector="moody"} 0.0' in text
    assert snapshot.problems == {"moody": "MinIO is away."}
    moody.error = None
    snapshot.look()
    snapshot.look()
    assert 'globalmart_monitor_collect_ok{collector="moody"} 1.0' in shown(snapshot)


def test_a_bug_is_no_blindness() -> None:
    moody = Moody()
    moody.error = KeyError("bug")
    with pytest.raises(KeyError):
        Snapshot([moody]).look()


def test_collectors_have_names_of_their_own(settings: Settings) -> None:
    found = [one.name for one in collectors(settings)]
    assert len(set(found)) == len(found)
