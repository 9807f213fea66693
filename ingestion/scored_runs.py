"""The runs that detectors are scored by: made in process, cut into micro-batches, and what each run knows of its own anomalies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from ingestion import silver_rows
from ingestion.drops import SentDrops
from ingestion.events import PRODUCT_VIEW, TRANSACTION, Events
from ingestion.labels import Label
from ingestion.options import RunOptions, parse_start
from ingestion.records import Records
from ingestion.shares import Shares
from ingestion.source import Source
from lakehouse.catalogue import Catalogue
from lakehouse.findings import Finding
from lakehouse.live.anomalies.rules import (
    CARD_TESTING,
    DROP_WINDOWS,
    PURCHASE_BURST,
    PURCHASE_MINUTES,
    REGIONAL_DROP,
    VIEW_BOT,
)
from lakehouse.live.base import Batch
from lakehouse.tables import PRODUCT_VIEWS, TRANSACTIONS

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
    """A run to score by, cut into batches of `batch_ms` of arrival."""

    name: str
    options: RunOptions
    batch_ms: int


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
        Scenario("history", RunOptions("history", 6 * 3600.0, **common), 60_000),  # type: ignore[arg-type]
        Scenario("live", RunOptions("live", 300.0, rate=1_000.0, **common), 2_000),  # type: ignore[arg-type]
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


class Truth:
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


def batches(scenario: Scenario, source: Source, truth: Truth) -> Iterator[Batch]:
    """The run's records, all of them good, in micro-batches; what is odd about them is told to `truth`."""
    number, waiting, began = 0, Records([], [], [], []), scenario.options.start_ms
    newest = began
    for at, records, place, label in _arrivals(scenario, source, truth):
        if at >= began + scenario.batch_ms and waiting:
            number += 1
            yield _batch(number, waiting, newest, truth)
            waiting, began = Records([], [], [], []), at
        newest = max(newest, at)
        for column, values in zip(vars(waiting).values(), vars(records).values(), strict=True):
            column.append(values[place])
        if label is not None:
            truth.add(label, records.keys[place].decode(), records.kinds[place] == TRANSACTION)
    if waiting:
        yield _batch(number + 1, waiting, newest, truth)


def _arrivals(scenario: Scenario, source: Source, truth: Truth) -> Iterator[tuple[int, Records, int, Label | None]]:
    """(about when it arrives, records, place in them, label) of each record, in order."""
    for events in source.blocks():
        if scenario.options.mode == "live" and int(events.at[0]) >= scenario.options.end_ms:
            break
        truth.sent_drops.note(source.traffic.drops, events.at, events.at)
        records, labels = source.records(events)
        at = _spread(events, len(records))
        for place in range(len(records)):
            yield at[place], records, place, labels.get(place)
    records, labels = source.rest()
    for place in range(len(records)):
        yield labels[place].at_ms or 0, records, place, labels[place]


def _spread(events: Events, count: int) -> list[int]:
    """When `count` records of a block arrive, those among them that faults added as well."""
    times: list[int] = events.arrival[np.arange(count) * len(events) // max(count, 1)].tolist()
    return times


def _batch(number: int, records: Records, newest: int, truth: Truth) -> Batch:
    """A micro-batch that begins once the record of `newest` is there."""
    values: dict[int, list[bytes]] = {TRANSACTION: [], PRODUCT_VIEW: []}
    for kind, value in zip(records.kinds, records.values, strict=True):
        values[kind].append(value or b"")
    rows = {
        TRANSACTIONS.path: silver_rows.orders(values[TRANSACTION]),
        PRODUCT_VIEWS.path: silver_rows.views(values[PRODUCT_VIEW]),
    }
    truth.add_orders(rows[TRANSACTIONS.path])
    at = datetime.fromtimestamp(newest / 1000, UTC)
    return Batch(number, at, rows, at - _DELAY, Catalogue())
