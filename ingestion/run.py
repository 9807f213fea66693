"""One generator run from its options to its report: traffic, records, faults, producers and truth ledger wired together."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ingestion.drops import SentDrops
from ingestion.events import Events
from ingestion.known import Known, known_ids, remember
from ingestion.labels import Label
from ingestion.options import RunOptions
from ingestion.producers import Producers
from ingestion.records import Records, time_texts
from ingestion.source import Source
from ingestion.topics import INPUT_NAMES, MARKERS, PRODUCTS, USERS, apply_topics
from ingestion.truth import TruthLedger
from ingestion.world import PRODUCT_COUNT, USER_COUNT
from lakehouse.errors import KafkaError
from lakehouse.heartbeat import beat
from lakehouse.settings import Settings

_BEHIND_SECONDS = 1.0
_LAST_WAIT_SECONDS = 10.0
_LIVE_BLOCK_SECONDS = 0.25
_TELL_SECONDS = 0.2
_BEAT_SECONDS = 5.0


@dataclass(frozen=True)
class Progress:
    """How far a run is. `done` is the share of its event time, 0 to 1."""

    done: float
    produced: int
    acknowledged: int
    seconds: float
    phase: str


@dataclass
class Report:
    """What a run did. Times of events and of the run are RFC 3339 texts; counts are by topic or by fault."""

    run_id: str
    mode: str
    seed: int
    start: str
    end: str
    started_at: str
    truth: str
    options: dict[str, Any]
    ended_at: str | None = None
    complete: bool = False
    interrupted: bool = False
    error: str | None = None
    seconds: float = 0.0
    events_per_second: float = 0.0
    last_event_time: str | None = None
    produced: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    unacknowledged: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    next_offsets: dict[str, int] = field(default_factory=dict)
    regional_drops: list[dict[str, Any]] = field(default_factory=list)
    most_seconds_behind: float = 0.0
    times_behind: int = 0

    @property
    def total(self) -> int:
        return sum(self.produced.values())


def _ignore(_: Any) -> None:
    """Nobody listens."""


def run(
    settings: Settings,
    options: RunOptions,
    *,
    on_progress: Callable[[Progress], None] = _ignore,
    say: Callable[[str], None] = _ignore,
    stop: threading.Event | None = None,
) -> Report:
    """Generate and send what `options` ask for; the report is also in `truth_dir/<run_id>/run.json`.

    `stop`, once set, ends the run early and cleanly (`interrupted`). Raises KafkaError where no broker answers at the start
    or it refuses a record for good; an outage in between only pauses the run.
    """
    apply_topics(settings)
    stop = stop or threading.Event()
    ledger = TruthLedger(_free_folder(settings.truth_dir / options.run_id))
    report = _new_report(options, ledger.folder)
    ledger.describe(asdict(report))
    producers = Producers(settings, ledger, options.truth == "full", say, stop)
    task = _Run(settings, options, producers, report, on_progress, say, stop)
    try:
        gc.collect()
        gc.freeze()  # the world's tables live as long as the run; looking through them again costs a tenth of the rate
        task.send_all()
    except KafkaError as error:
        report.error = str(error)
        raise
    finally:
        gc.unfreeze()
        task.finish(ledger)
    return report


class _Run:
    """The state of one run."""

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        producers: Producers,
        report: Report,
        on_progress: Callable[[Progress], None],
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self.options = options
        self.producers = producers
        self.report = report
        self.on_progress = on_progress
        self.say = say
        self.stop = stop
        self.settings = settings
        self.users = known_ids(settings, USERS.name, USER_COUNT)
        self.products: Known | None = None
        catalogued = np.full(PRODUCT_COUNT, options.catalogue is False)
        if options.catalogue is None:
            self.products = known_ids(settings, PRODUCTS.name, PRODUCT_COUNT)
            catalogued = self.products.ids
        self.source = Source(options, producers.partition_counts, self.users.ids, catalogued)
        self.drops = SentDrops()
        self.started = time.monotonic()
        self._told = self._beaten = 0.0
        self._is_behind = False

    def send_all(self) -> None:
        for events in self.source.catalogue():
            self._send(events, "catalogue", 0.0)
            if self.stop.is_set():
                return
        if self.options.mode == "history":
            self._send_history()
        else:
            self._send_live()
        if not self.stop.is_set():
            records, labels = self.source.rest()
            self.producers.send(records, labels, 0, len(records))
        self.producers.wait_for_all()
        if not self.stop.is_set():
            self.producers.mark(self._marker())
            self.report.complete = not self.producers.waiting
            self._remember()

    def _remember(self) -> None:
        """Keep what Kafka now knows for the next run. The ids are up to date: the traffic has marked what it sent."""
        for known in (self.users, self.products):
            if known is not None and known.topic in self.options.streams:
                offsets = self.producers.next_offsets
                ends = [offsets.get(f"{known.topic}/{p}", int(end)) for p, end in enumerate(known.ends)]
                remember(self.settings, known, np.array(ends, dtype=np.int64), self.producers.acknowledged[known.topic])

    def _send_history(self) -> None:
        start, end = self.options.start_ms, self.options.end_ms
        if self.options.speed is not None:
            self._send_at_speed(self.options.speed)
            return
        for events in self.source.blocks():
            self._send(events, "history", (int(events.arrival[-1]) - start) / (end - start))
            if self.stop.is_set():
                return

    def _send_at_speed(self, speed: float) -> None:
        """Send a history by the clock: what arrives `speed` seconds of event time after the start is due one second after it."""
        clock_start = time.monotonic()
        start, width = self.options.start_ms, round(speed * _LIVE_BLOCK_SECONDS * 1000)
        self._tell("history", 0.0)
        for whole in self.source.blocks():
            slices = (whole.arrival - start) // width
            for number in np.unique(slices).tolist():
                events = whole.pick(slices == number)
                self.drops.note(self.source.traffic.drops, events.at, events.at)
                records, labels = self.source.records(events)
                due = number * _LIVE_BLOCK_SECONDS
                self._pace(records, labels, clock_start, due, due + _LIVE_BLOCK_SECONDS)
                if self.stop.is_set():
                    return

    def _send(self, events: Events, phase: str, done: float) -> None:
        self.drops.note(self.source.traffic.drops, events.at, events.at)
        records, labels = self.source.records(events)
        for first in range(0, len(records), 5_000):
            self.producers.send(records, labels, first, min(first + 5_000, len(records)))
            self._tell(phase, min(done, 1.0))

    def _send_live(self) -> None:
        """Send at the rate asked for: the n-th record is due at start + n / rate and dated so, by a clock that cannot jump."""
        clock_start = time.monotonic()
        date_start = time.time() * 1000
        rate, seconds = self.options.rate, self.options.seconds
        size = max(1, int(rate * _LIVE_BLOCK_SECONDS))
        sent, due = 0, 0.0
        for whole in self.source.blocks():
            for first in range(0, len(whole), size):
                events = whole.pick(np.arange(first, min(first + size, len(whole))))
                # What faults added so far counts as sent, so that the rate holds for all records together.
                until = min(max((sent + len(events)) / rate, due), seconds)
                kept = min(len(events), max(1, round((seconds - due) * rate)))
                events = events.pick(np.arange(kept))
                planned = events.at
                events.at = (date_start + np.linspace(due, until, kept, endpoint=False) * 1000).astype(np.int64)
                events.arrival = events.at
                self.drops.note(self.source.traffic.drops, planned, events.at)
                records, labels = self.source.records(events)
                self._pace(records, labels, clock_start, due, until)
                sent, due = sent + len(records), until
                if due >= seconds or self.stop.is_set():
                    return

    def _pace(self, records: Records, labels: dict[int, Label], clock_start: float, due: float, until: float) -> None:
        place = 0
        while place < len(records) and not self.stop.is_set():
            now = time.monotonic() - clock_start
            share = (now - due) / (until - due) if until > due else 1.0
            ready = min(len(records), int(share * len(records)) + 1) if now >= due else 0
            if ready > place:
                self._watch_lag(now - (due + (until - due) * place / len(records)))
                self.producers.send(records, labels, place, ready)
                place = ready
                self._tell(self.options.mode, min(now / self.options.clock_seconds, 1.0))
            else:
                self.stop.wait(0.005)
        while time.monotonic() - clock_start < until and not self.stop.is_set():
            self.stop.wait(min(0.005, max(0.0, until - (time.monotonic() - clock_start))))

    def _watch_lag(self, behind: float) -> None:
        self.report.most_seconds_behind = max(self.report.most_seconds_behind, behind)
        if behind > _BEHIND_SECONDS and not self._is_behind:
            self._is_behind = True
            self.report.times_behind += 1
            asked = "the speed asked for is" if self.options.speed else f"{self.options.rate:g} records a second are"
            self.say(f"Behind the clock by {behind:.1f} s: {asked} more than goes through.")
        elif behind < _BEHIND_SECONDS / 2 and self._is_behind:
            self._is_behind = False
            self.say("Caught up with the clock.")

    def _tell(self, phase: str, done: float) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self.producers.collect()
            produced, acknowledged = self.producers.produced.total(), self.producers.acknowledged.total()
            self.on_progress(Progress(done, produced, acknowledged, now - self.started, phase))
        if now - self._beaten >= _BEAT_SECONDS:
            self._beaten = now
            self._beat("running")

    def _beat(self, state: str) -> None:
        """For the monitor; no reason to end a run."""
        produced, acknowledged = self.producers.produced.total(), self.producers.acknowledged.total()
        with suppress(OSError):
            beat(self.settings, "generator", state, produced=produced, acknowledged=acknowledged)

    def _marker(self) -> dict[str, Any]:
        return {
            "run_id": self.report.run_id,
            "kind": "end",
            "mode": self.options.mode,
            "last_event_time": _text(self.source.last_event_ms),
            "counts": {name: self.producers.produced[name] for name in INPUT_NAMES},
            "next_offsets": dict(sorted(self.producers.next_offsets.items())),
        }

    def finish(self, ledger: TruthLedger) -> None:
        """Wait a little for what is under way, then close and write down how it ended."""
        producers, report = self.producers, self.report
        if not report.error and producers.waiting:
            producers.wait_for_all(_LAST_WAIT_SECONDS)
        report.unacknowledged = producers.waiting
        producers.close()
        ledger.flush()
        report.interrupted = self.stop.is_set() and not report.complete
        report.seconds = round(time.monotonic() - self.started, 3)
        report.produced = {name: producers.produced[name] for name in INPUT_NAMES}
        report.acknowledged = {name: producers.acknowledged[name] for name in INPUT_NAMES}
        report.faults = dict(sorted(producers.faults.items()))
        report.regional_drops = [drop.to_truth() for drop in self.drops.all()]
        report.next_offsets = {
            k: v for k, v in sorted(producers.next_offsets.items()) if not k.startswith(MARKERS.name)
        }
        report.events_per_second = round(sum(report.acknowledged.values()) / max(report.seconds, 1e-3), 1)
        report.last_event_time = _text(self.source.last_event_ms)
        report.most_seconds_behind = round(report.most_seconds_behind, 3)
        report.ended_at = datetime.now(UTC).isoformat()
        ledger.describe(asdict(report))
        self._beat("failed" if report.error else "ended")


def _new_report(options: RunOptions, folder: Path) -> Report:
    end_ms = options.end_ms
    return Report(
        run_id=folder.name,
        mode=options.mode,
        seed=options.seed,
        start=_text(options.start_ms),
        end=_text(end_ms),
        started_at=datetime.now(UTC).isoformat(),
        truth=str(folder),
        options=asdict(options),
    )


def _free_folder(folder: Path) -> Path:
    """`folder`, or with a number behind it where the very same run was made before."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _text(at_ms: int) -> str:
    return time_texts(np.array([at_ms]))[0]
