"""The quarantine summed up: records by reason, topic and time with their state, and examples of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import explain
from lakehouse.quarantine.lake import POSITION, BadRecord, Filters, QuarantineLake
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.store import Decided

By = Literal["reason", "hour", "day"]
State = Literal["open", "pending", "repaired", "failed", "discarded"]
STATES: tuple[State, ...] = ("open", "pending", "repaired", "failed", "discarded")


@dataclass
class Group:
    """Records with one reason, of one topic, of one period (None: of all time). A record with two reasons is in two groups."""

    reason: str
    words: str
    topic: str
    period: datetime | None
    count: int = 0
    states: Counter[str] = field(default_factory=Counter)
    first_at: datetime | None = None
    last_at: datetime | None = None
    positions: list[Position] = field(default_factory=list)  # of the last few, newest first


@dataclass(frozen=True)
class Listing:
    """`record_count` records are meant by the filters; `examples` are raw records by position."""

    record_count: int
    states: Counter[str]
    groups: list[Group]
    examples: dict[Position, BadRecord]
    state_of: dict[Position, str]


def listing(
    lake: QuarantineLake, filters: Filters, decided: Mapping[Position, Decided | None], by: By, limit: int
) -> Listing:
    """Group what `filters` mean; `decided` are the last decisions by position; `limit` examples for each group."""
    rows = lake.quarantined(filters, ["kafka_at"])
    failed = _failed(lake, decided)
    groups: dict[tuple[str, str, datetime | None], Group] = {}
    states: Counter[str] = Counter()
    latest: dict[tuple[str, str, datetime | None], list[tuple[datetime, Position]]] = defaultdict(list)
    columns = (rows[name].to_pylist() for name in (*POSITION, "kafka_at", "reason_codes"))
    for topic, partition, offset, at, codes in zip(*columns, strict=True):
        position = Position(topic, partition, offset)
        state = _state(position, decided, failed)
        states[state] += 1
        for code in codes:
            if filters.reason and code != filters.reason and not code.startswith(f"{filters.reason}."):
                continue
            key = (code, topic, _period(at, by))
            group = groups.get(key)
            if group is None:
                group = groups[key] = Group(code, explain(CONTRACTS[topic], [code]), topic, key[2])
            group.count += 1
            group.states[state] += 1
            group.first_at = min(group.first_at or at, at)
            group.last_at = max(group.last_at or at, at)
            if limit:
                newest = latest[key]
                newest.append((at, position))
                if len(newest) > 4 * limit:
                    latest[key] = sorted(newest, reverse=True)[:limit]
    for key, newest in latest.items():
        groups[key].positions = [position for _, position in sorted(newest, reverse=True)[:limit]]
    wanted = tuple(sorted({position for group in groups.values() for position in group.positions}))
    examples = lake.records(Filters(positions=wanted)) if wanted else []
    ordered = sorted(groups.values(), key=lambda g: (-g.count, g.reason, g.topic, str(g.period)))
    return Listing(
        rows.num_rows,
        states,
        ordered,
        {one.position: one for one in examples},
        {one: _state(one, decided, failed) for one in wanted},
    )


def _period(at: datetime, by: By) -> datetime | None:
    if by == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    return at.replace(hour=0, minute=0, second=0, microsecond=0) if by == "day" else None


def _failed(lake: QuarantineLake, decided: Mapping[Position, Decided | None]) -> set[Position]:
    """Replays that ended in quarantine themselves."""
    replays = {one.replay for one in decided.values() if one is not None and one.replay is not None}
    return quarantined_among(lake, replays)


def quarantined_among(lake: QuarantineLake, positions: Iterable[Position]) -> set[Position]:
    """Which of `positions` are in quarantine."""
    wanted = tuple(sorted(positions))
    if not wanted:
        return set()
    rows = lake.quarantined(Filters(positions=wanted), [])
    return {Position(*row) for row in zip(*(rows[name].to_pylist() for name in POSITION), strict=True)}


def _state(position: Position, decided: Mapping[Position, Decided | None], failed: set[Position]) -> State:
    if position not in decided:
        return "open"
    decision = decided[position]
    if decision is None:
        return "discarded"
    if decision.replay is None:
        return "pending"
    return "failed" if decision.replay in failed else "repaired"
