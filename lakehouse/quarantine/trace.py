"""One record from end to end: what it was, where it ended and why, what was decided about it, where its replay went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import explain
from lakehouse.errors import GlobalMartError
from lakehouse.quarantine.lake import QuarantineLake, at
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.replay import link
from lakehouse.quarantine.store import Decided, Decision, Store

_BRONZE = ["key", "value", "headers", "kafka_at", "ingested_at", "batch_id"]


class NoSuchRecordError(GlobalMartError):
    """Bronze has no record at the position."""


@dataclass(frozen=True)
class Step:
    """A decision about the record and, where it was played again, the place and the outcome of that."""

    decision: Decision
    record: Decided
    outcome: str


@dataclass(frozen=True)
class Trace:
    """`reasons` are (id, words). `origin` and `repair` are set where the record is itself a replay; `row` is its silver row."""

    position: Position
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    kafka_at: datetime
    ingested_at: datetime
    batch_id: int
    outcome: str
    reasons: list[tuple[str, str]]
    winner: Position | None
    row: dict[str, Any] | None
    origin: Position | None
    repair: str
    steps: list[Step]


def trace(lake: QuarantineLake, store: Store, position: Position) -> Trace:
    """Everything about one record. Raises NoSuchRecordError."""
    bronze = lake.read(t.BRONZE_EVENTS, _BRONZE, at(position)).to_pylist()
    if not bronze:
        end = lake.cut.next_offsets.get(f"{position.topic}/{position.partition}", 0)
        raise NoSuchRecordError(
            f"There is no record at {position}: of {position.topic}/{position.partition} the lake holds offsets below {end}."
        )
    raw = bronze[0]
    headers = [(header["key"], header["value"]) for header in raw["headers"] or ()]
    origin, repair = link(headers)
    outcome, reasons, winner, row = _ended(lake, position)
    decided = store.of(position)
    replays = [one.replay for _, one in decided if one.replay is not None]
    outcomes = lake.outcomes(replays) if replays else {}
    return Trace(
        position=position,
        key=raw["key"],
        value=raw["value"],
        headers=headers,
        kafka_at=raw["kafka_at"],
        ingested_at=raw["ingested_at"],
        batch_id=raw["batch_id"],
        outcome=outcome,
        reasons=reasons,
        winner=winner,
        row=row,
        origin=origin,
        repair=repair,
        steps=[Step(decision, one, _step_outcome(decision, one, outcomes)) for decision, one in decided],
    )


def _ended(
    lake: QuarantineLake, position: Position
) -> tuple[str, list[tuple[str, str]], Position | None, dict[str, Any] | None]:
    contract = CONTRACTS[position.topic]
    bad = lake.read(t.QUARANTINE, ["reason_codes"], at(position)).to_pylist()
    if bad:
        return "quarantine", [(code, explain(contract, [code])) for code in bad[0]["reason_codes"]], None, None
    again = lake.read(t.DUPLICATES, ["winner_topic", "winner_partition", "winner_offset"], at(position)).to_pylist()
    if again:
        return "duplicates", [], Position(*again[0].values()), None
    fields = [item.name for item in contract.fields]
    good = lake.read(t.BY_PATH[f"silver/{position.topic}"], fields, at(position)).to_pylist()
    return ("silver", [], None, good[0]) if good else ("nowhere", [], None, None)


def _step_outcome(decision: Decision, record: Decided, outcomes: dict[Position, str]) -> str:
    if decision.action == "discard":
        return "discarded"
    return "pending" if record.replay is None else outcomes.get(record.replay, "in flight")
