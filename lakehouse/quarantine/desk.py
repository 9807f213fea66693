"""What an operator does, step by step: try a repair and apply it, discard, replay. Wires lake, trial, books and Kafka."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lakehouse.quarantine.forecast import forecast
from lakehouse.quarantine.lake import BadRecord, Filters, QuarantineLake
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.repair import Report, attempt
from lakehouse.quarantine.replay import Replayed, replay_pending
from lakehouse.quarantine.rules import Change
from lakehouse.quarantine.store import Decided, Decision, Store
from lakehouse.settings import Settings


@dataclass(frozen=True)
class Choice:
    """Which records a decision is about: `filters`, the first `limit` of them; `again` takes those that were decided before too."""

    filters: Filters
    limit: int | None = None
    again: bool = False


@dataclass(frozen=True)
class Author:
    """Who decides, when, and why in their own words."""

    name: str
    at: datetime
    why: str


@dataclass(frozen=True)
class Tried:
    """The dry run of a repair; `skipped` records are left out because there is a decision about them."""

    report: Report
    skipped: int
    lake: QuarantineLake


def try_repair(settings: Settings, store: Store, choice: Choice, change: Change, now: datetime) -> Tried:
    """What `change` would do to the chosen records, judged as of `now`."""
    lake = QuarantineLake(settings)
    records = lake.records(choice.filters)
    free = _free(store, choice, records)
    report = attempt(
        free[: choice.limit], change, now, lambda repaired: forecast(lake, repaired), settings.too_old_days
    )
    return Tried(report, len(records) - len(free), lake)


def apply_repair(
    settings: Settings, store: Store, choice: Choice, change: Change, author: Author
) -> tuple[Tried, str, Replayed]:
    """Try, put the decision on record, and replay what it recovers. Returns the decision's id, empty where nothing is recovered.

    Raises KafkaError when the records could not be played; the decision stands and `replay` finishes it.
    """
    with store.alone():
        tried = try_repair(settings, store, choice, change, author.at)
        chosen = tried.report.replayed
        if not chosen:
            return tried, "", Replayed([], [])
        positions = [one.record.position for one in chosen]
        decision = _decision("repair", choice, author, tried.report.counts(), change, tried.lake.ends(positions))
        records = [Decided(decision.decision_id, one.record.position, one.record.key, one.value) for one in chosen]
        store.record(decision, records)
        return tried, decision.decision_id, replay_pending(settings, store, author.at, decision.decision_id)


def discard(settings: Settings, store: Store, choice: Choice, author: Author) -> tuple[str, list[Position], int]:
    """Put on record that the chosen records are not wanted; they stay in quarantine. Returns (decision, positions, skipped)."""
    with store.alone():
        lake = QuarantineLake(settings)
        rows = lake.records(choice.filters)
        free = _free(store, choice, rows)
        positions = [one.position for one in free[: choice.limit]]
        if not positions:
            return "", [], len(rows) - len(free)
        decision = _decision("discard", choice, author, {"selected": len(positions)}, None, {})
        store.record(decision, [Decided(decision.decision_id, position) for position in positions])
        return decision.decision_id, positions, len(rows) - len(free)


def replay(settings: Settings, store: Store, now: datetime) -> Replayed:
    """Play what was decided and is not known to be in Kafka."""
    with store.alone():
        return replay_pending(settings, store, now)


def _free(store: Store, choice: Choice, records: list[BadRecord]) -> list[BadRecord]:
    """The records that no decision is about yet."""
    decided = {} if choice.again else store.states()
    return [one for one in records if one.position not in decided]


def _decision(
    action: str,
    choice: Choice,
    author: Author,
    counts: dict[str, int],
    change: Change | None,
    scan_from: dict[str, int],
) -> Decision:
    selection = choice.filters.as_dict() | ({"limit": choice.limit} if choice.limit is not None else {})
    return Decision(
        decision_id=f"{action}-{author.at:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        action=action,
        made_at=author.at,
        made_by=author.name,
        why=author.why,
        change=[] if change is None else change.describe(),
        selection=selection,
        counts=counts,
        scan_from=scan_from,
    )


def replay_positions(replayed: Replayed) -> Sequence[Position]:
    return [one.replay for one in (*replayed.sent, *replayed.found) if one.replay is not None]
