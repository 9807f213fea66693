"""The scorecard of the detectors: runs made in process, the anomaly view over them in micro-batches, and the truth beside its findings.

What a detector finds counts as right where the event belongs to an anomaly of its kind, as wrong where it is ordinary. A finding
about an anomaly of another kind is neither, and is counted apart. An anomaly of several events is found with any of them, or with
another event of its customer among them: a detector of bursts names the last event that it saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median

import numpy as np
import pyarrow as pa

from ingestion import silver_rows
from ingestion.drops import SentDrops
from ingestion.events import PRODUCT_VIEW, TRANSACTION
from ingestion.labels import Label
from ingestion.options import RunOptions, parse_start
from ingestion.records import Records
from ingestion.shares import Shares
from ingestion.source import Source
from ingestion.topics import INPUT_NAMES
from ingestion.world import World
from lakehouse.catalogue import Catalogue
from lakehouse.findings import Finding
from lakehouse.live.anomalies.rules import (
    CARD_TESTING,
    DROP_WINDOWS,
    PURCHASE_BURST,
    PURCHASE_MINUTES,
    REGIONAL_DROP,
    STATEFUL,
    STATELESS,
    VIEW_BOT,
)
from lakehouse.live.anomalies.view import AnomaliesView
from lakehouse.live.base import Batch
from lakehouse.tables import PRODUCT_VIEWS, PRODUCTS, TRANSACTIONS

TUNING_SEEDS = (1, 2, 3)
"""Seeds that thresholds were chosen with."""
TEST_SEEDS = (101, 102, 103)
"""Seeds that nothing was chosen with; the gate is about these."""
DETECTORS = tuple(rule.kind for rule in (*STATELESS, *STATEFUL))

_START = parse_start("2026-05-29T12:00:00Z")
_SHARES = Shares(anomalies=0.005, late=0.003)
_STREAMS = ("transactions", "product_views")
_DELAY = timedelta(minutes=10)  # of the watermark, as the streaming service has it by default
_BURSTS = (PURCHASE_BURST.kind, CARD_TESTING.kind, VIEW_BOT.kind)
# How far from a burst or drop the event or window that a right finding names may lie: the windows' length.
_SLACK = {
    PURCHASE_BURST.kind: timedelta(minutes=PURCHASE_MINUTES),
    CARD_TESTING.kind: timedelta(minutes=PURCHASE_MINUTES),
    VIEW_BOT.kind: timedelta(minutes=1),
    REGIONAL_DROP.kind: timedelta(minutes=max(DROP_WINDOWS)),
}


@dataclass(frozen=True)
class Scenario:
    """A run to score by, and how it is cut: batches of `batch_records` records, or of `batch_blocks` half seconds live."""

    name: str
    options: RunOptions
    batch_records: int


def scenarios(seed: int) -> tuple[Scenario, Scenario]:
    """Six hours of the shop at its full 100,000 orders a day; and five minutes of 1,000 records a second, taken in every two
    seconds, which tell how soon things are found."""
    common = {
        "start_ms": _START,
        "seed": seed,
        "scale": 1.0,
        "shares": _SHARES,
        "streams": _STREAMS,
        "catalogue": False,
    }
    return (
        Scenario("history", RunOptions("history", 6 * 3600.0, **common), 1_000),  # type: ignore[arg-type]
        Scenario("live", RunOptions("live", 300.0, rate=1_000.0, **common), 0),  # type: ignore[arg-type]
    )


@dataclass
class Anomaly:
    """One injected anomaly: its kind, its events (a drop has none), when it began, and when it was found first."""

    kind: str
    began_at: datetime
    user_id: str | None = None
    event_ids: set[str] = field(default_factory=set)
    country: str | None = None
    ended_at: datetime | None = None
    found_at: datetime | None = None


@dataclass(frozen=True)
class Score:
    """One detector's counts. `seconds` is the median time from the event that a right finding names to the start of the
    micro-batch that found it, in the live run; None where it found nothing there."""

    detector: str
    anomaly_count: int
    found_count: int
    false_count: int
    crossed_count: int
    seconds: float | None

    @property
    def precision(self) -> float:
        said = self.found_count + self.false_count
        return self.found_count / said if said else 1.0

    @property
    def recall(self) -> float:
        return self.found_count / self.anomaly_count if self.anomaly_count else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


class Tally:
    """Counts over the runs of several seeds."""

    def __init__(self) -> None:
        self.anomalies: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.false: Counter[str] = Counter()
        self.crossed: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {name: [] for name in DETECTORS}
        self.naive: Counter[str] = Counter()
        self.order_count = 0
        self.odd_order_count = 0

    def run(self, scenario: Scenario) -> tuple[list[Finding], list[Anomaly]]:
        """Score one run; its findings, right and wrong, and its anomalies, found and not."""
        source = Source(scenario.options, dict.fromkeys(INPUT_NAMES, 1))
        view = AnomaliesView()
        at = datetime.fromtimestamp(scenario.options.start_ms / 1000, UTC)
        products = silver_rows.catalogue(World(scenario.options.seed), scenario.options.start_ms)
        view.apply(Batch(0, at, {PRODUCTS.path: products}, None, Catalogue()))
        truth = _Truth()
        findings: list[Finding] = []
        for batch in _batches(scenario, source, truth):
            findings += view.apply(batch).findings
        truth.add_drops()
        self._count(truth, findings, scenario.options.mode == "live")
        return findings, list(truth.anomalies.values())

    def _count(self, truth: _Truth, findings: list[Finding], is_live: bool) -> None:
        for finding in findings:
            anomaly = truth.of(finding)
            if anomaly is None:
                self.false[finding.kind] += 1
            elif anomaly.kind != finding.kind:
                self.crossed[finding.kind] += 1
            elif anomaly.found_at is None:
                anomaly.found_at = finding.detected_at
                if is_live:
                    self.seconds[finding.kind].append((finding.detected_at - finding.event_at).total_seconds())
        for anomaly in truth.anomalies.values():
            self.anomalies[anomaly.kind] += 1
            self.found[anomaly.kind] += anomaly.found_at is not None
        self.order_count += len(truth.amounts)
        self.odd_order_count += truth.odd_order_count
        self.naive += truth.naive()

    def scores(self) -> list[Score]:
        """One for each detector and, last, `overall` and the `naive` baseline: orders above the mean amount plus three
        standard deviations of the run."""
        rows = [
            Score(
                name,
                self.anomalies[name],
                self.found[name],
                self.false[name],
                self.crossed[name],
                median(self.seconds[name]) if self.seconds[name] else None,
            )
            for name in DETECTORS
        ]
        seconds = [one for name in DETECTORS for one in self.seconds[name]]
        total = self.anomalies.total()
        overall = Score(
            "overall",
            total,
            self.found.total(),
            self.false.total(),
            self.crossed.total(),
            median(seconds) if seconds else None,
        )
        naive = Score("naive", total, self.naive["found"], self.naive["false"], 0, None)
        return [*rows, overall, naive]


class _Truth:
    """What a run knows of its own anomalies."""

    def __init__(self) -> None:
        self.anomalies: dict[str, Anomaly] = {}
        self.amounts: list[float] = []
        self.odd_order_count = 0
        self.sent_drops = SentDrops()
        self._of_event: dict[str, Anomaly] = {}
        self._of_customer: dict[tuple[str, str], list[Anomaly]] = {}
        self._order_ids: list[str] = []

    def add(self, label: Label, user_id: str, is_order: bool) -> None:
        """A record's label, where it is an anomaly's."""
        if not (label.fault or "").startswith("anomaly:"):
            return
        at = datetime.fromtimestamp((label.at_ms or 0) / 1000, UTC)
        first, event_id = str(label.of_event_id), str(label.event_id)
        anomaly = self.anomalies.setdefault(first, Anomaly(str(label.fault).removeprefix("anomaly:"), at, user_id))
        anomaly.began_at = min(anomaly.began_at, at)
        anomaly.ended_at = max(anomaly.ended_at or at, at)
        anomaly.event_ids.add(event_id)
        self._of_customer.setdefault((anomaly.kind, user_id), []).append(anomaly)
        self._of_event[event_id] = anomaly
        self.odd_order_count += is_order

    def add_orders(self, rows: pa.Table) -> None:
        self.amounts += [float(amount) for amount in rows["total_amount"].to_pylist()]
        self._order_ids += rows["event_id"].to_pylist()

    def add_drops(self) -> None:
        for drop in self.sent_drops.all():
            began, ended = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (drop.from_ms, drop.to_ms))
            truth = drop.to_truth()
            key = f"{truth['country']} {truth['from']}"
            self.anomalies[key] = Anomaly(REGIONAL_DROP.kind, began, country=truth["country"], ended_at=ended)

    def of(self, finding: Finding) -> Anomaly | None:
        """The anomaly that a finding is about; None where it is about nothing."""
        if finding.kind == REGIONAL_DROP.kind:
            near = [one for one in self.anomalies.values() if one.country == finding.country]
        elif str(finding.event_id) in self._of_event:
            return self._of_event[str(finding.event_id)]
        else:
            near = self._of_customer.get((finding.kind, str(finding.user_id)), []) if finding.kind in _BURSTS else []
        slack = _SLACK.get(finding.kind, timedelta(0))
        for one in near:
            if one.ended_at and one.began_at - slack < finding.event_at < one.ended_at + slack:
                return one
        return None

    def naive(self) -> Counter[str]:
        amounts = np.array(self.amounts)
        is_high = amounts > amounts.mean() + 3 * amounts.std()
        hits = [self._of_event.get(self._order_ids[place]) for place in np.flatnonzero(is_high).tolist()]
        return Counter(found=len({id(hit) for hit in hits if hit}), false=sum(hit is None for hit in hits))


def _batches(scenario: Scenario, source: Source, truth: _Truth) -> Iterator[Batch]:
    """The run's good records in micro-batches, its labels told to `truth`."""
    newest, number = 0, 0
    waiting: list[tuple[int, bytes]] = []
    end_ms = scenario.options.end_ms
    until = scenario.options.start_ms

    def batch() -> Batch:
        nonlocal number, waiting
        number += 1
        rows = {
            TRANSACTIONS.path: silver_rows.orders([value for kind, value in waiting if kind == TRANSACTION]),
            PRODUCT_VIEWS.path: silver_rows.views([value for kind, value in waiting if kind == PRODUCT_VIEW]),
        }
        truth.add_orders(rows[TRANSACTIONS.path])
        waiting = []
        at = datetime.fromtimestamp(newest / 1000, UTC)
        return Batch(number, at, rows, at - _DELAY, Catalogue())

    for events in source.blocks():
        if scenario.options.mode == "live" and int(events.at[0]) >= end_ms:
            break
        truth.sent_drops.note(source.traffic.drops, events.at, events.at)
        records, labels = source.records(events)
        for place, one in enumerate(_good(records)):
            label = labels.get(place)
            if label is not None:
                truth.add(label, records.keys[place].decode(), one[0] == TRANSACTION)
            waiting.append(one)
            if scenario.batch_records and len(waiting) >= scenario.batch_records:
                newest = max(newest, int(np.quantile(events.arrival, (place + 1) / len(records))))
                yield batch()
        newest = max(newest, int(events.arrival.max()))
        if not scenario.batch_records and newest >= until + 2_000:
            until = newest
            yield batch()
    if waiting:
        yield batch()


def _good(records: Records) -> list[tuple[int, bytes]]:
    return [(kind, value or b"") for kind, value in zip(records.kinds, records.values, strict=True)]
