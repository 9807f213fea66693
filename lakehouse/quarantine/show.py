"""How `globalmart quarantine` prints what it found: tables for people, one JSON object for programs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from lakehouse.quarantine.desk import Tried, replay_positions
from lakehouse.quarantine.listing import STATES, Listing
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.repair import Trial
from lakehouse.quarantine.replay import Replayed
from lakehouse.quarantine.rules import Change
from lakehouse.quarantine.store import Decision
from lakehouse.quarantine.trace import Trace
from lakehouse.quarantine.words import as_json as bytes_as_json
from lakehouse.quarantine.words import safe, show_time

_OUTCOMES = {
    "silver": "would be recovered: valid, and first of their id",
    "duplicates": "would be duplicates of records that silver has",
    "conflict": "would be conflicts with records that silver has",
    "broken": "would still break their contract",
    "unreadable": "cannot be changed by a rule",
    "untouched": "are not touched by the rules",
}


def _print_json(body: dict[str, Any]) -> None:
    print(orjson.dumps(body, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:.2f}")
    if isinstance(value, Position):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _console() -> Console:
    # rich would cut a pipe at 80 columns
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)


def _line(text: str = "") -> None:
    _console().print(text, soft_wrap=True)


def listing(found: Listing, as_json: bool) -> None:
    if as_json:
        _print_json({"record_count": found.record_count, "states": _states(found.states), "groups": _groups(found)})
        return
    periods = any(group.period for group in found.groups)
    table = Table(box=None, pad_edge=False)
    for title in ("reason", "topic", *(("from",) if periods else ()), "records", *STATES, "first (UTC)", "last (UTC)"):
        table.add_column(title, justify="right" if title in ("records", *STATES) else "left", no_wrap=title == "reason")
    for group in found.groups:
        counts = [f"{group.states[state]:,}" if group.states[state] else "" for state in STATES]
        period = (show_time(group.period)[:16],) if periods else ()
        table.add_row(
            group.reason,
            group.topic,
            *period,
            f"{group.count:,}",
            *counts,
            show_time(group.first_at),
            show_time(group.last_at),
        )
    _console().print(table)
    for group in found.groups:
        if group.positions:
            _line(f"\n{group.reason} ({group.topic}): {group.words}")
        for position in group.positions:
            example = found.examples[position]
            _line(
                f"  {position}  {show_time(example.kafka_at)}  {found.state_of[position]}  key {safe(example.key, 40)}"
            )
            _line(f"    {safe(example.value)}")
    states = ", ".join(f"{count:,} {state}" for state, count in _states(found.states).items() if count)
    _line(f"\n{found.record_count:,} records in quarantine{': ' + states if states else ''}.")


def _states(states: Counter[str]) -> dict[str, int]:
    return {state: states[state] for state in STATES}


def _groups(found: Listing) -> list[dict[str, Any]]:
    return [
        {
            "reason": group.reason,
            "words": group.words,
            "topic": group.topic,
            "period": group.period,
            "count": group.count,
            "states": _states(group.states),
            "first_at": group.first_at,
            "last_at": group.last_at,
            "examples": [
                {
                    "position": str(position),
                    "state": found.state_of[position],
                    "kafka_at": found.examples[position].kafka_at,
                    "reason_codes": list(found.examples[position].reason_codes),
                    "key": bytes_as_json(found.examples[position].key),
                    "value": bytes_as_json(found.examples[position].value),
                }
                for position in group.positions
            ],
        }
        for group in found.groups
    ]


def trace(found: Trace, as_json: bool) -> None:
    if as_json:
        _print_json(_trace_body(found))
        return
    _line(f"{found.position}  {found.outcome}")
    _line(
        f"  in Kafka     {show_time(found.kafka_at)} UTC, taken by batch {found.batch_id} at {show_time(found.ingested_at)} UTC"
    )
    if found.origin is not None:
        _line(f"  replay of    {found.origin}, by {found.repair}")
    if found.winner is not None:
        _line(f"  repeats      {found.winner}")
    for code, words in found.reasons:
        _line(f"  reason       {code}: {words}")
    _line(f"  key          {safe(found.key, 2000)}")
    for name, value in found.headers:
        _line(f"  header       {safe(name.encode())}: {safe(value)}")
    _line(f"  value        {safe(found.value, 20_000)}")
    for step in found.steps:
        decision, place = step.decision, step.record.replay
        why = f": {decision.why}" if decision.why else ""
        _line(
            f"  {decision.action:<12} {decision.decision_id} by {decision.made_by}, {show_time(decision.made_at)} UTC{why}"
        )
        if decision.action == "repair":
            _line(f"    change     {'; '.join(decision.change)}")
            _line(f"    replay     {place or 'not in Kafka yet: run `globalmart quarantine replay`'}  {step.outcome}")
    if found.row is not None:
        _line("  silver row   " + "  ".join(f"{name}={value}" for name, value in found.row.items()))


def _trace_body(found: Trace) -> dict[str, Any]:
    return {
        "position": str(found.position),
        "outcome": found.outcome,
        "reasons": [{"reason": code, "words": words} for code, words in found.reasons],
        "kafka_at": found.kafka_at,
        "ingested_at": found.ingested_at,
        "batch_id": found.batch_id,
        "key": bytes_as_json(found.key),
        "value": bytes_as_json(found.value),
        "headers": [{"key": name, "value": bytes_as_json(value)} for name, value in found.headers],
        "winner": found.winner and str(found.winner),
        "origin": found.origin and str(found.origin),
        "repair": found.repair or None,
        "silver": found.row,
        "decisions": [
            _decision(step.decision)
            | {"replay": step.record.replay and str(step.record.replay), "outcome": step.outcome}
            for step in found.steps
        ],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    shown = ("decision_id", "action", "made_at", "made_by", "why", "change", "selection", "counts")
    return {name: getattr(decision, name) for name in shown}


def dry_run(tried: Tried, change: Change, examples: int, as_json: bool) -> None:
    if as_json:
        _print_json({"applied": False} | _trial_body(tried, change, examples))
        return
    _print_trials(tried, examples)
    count = len(tried.report.replayed)
    _line(
        f"\nNothing was written. --apply puts the decision on record and replays {count:,} records."
        if count
        else "\nNothing was written."
    )


def _print_trials(tried: Tried, examples: int) -> None:
    counts = tried.report.counts()
    _line(
        f"{counts['selected']:,} records selected{f', {tried.skipped:,} more are decided already' if tried.skipped else ''}."
    )
    for outcome, words in _OUTCOMES.items():
        if counts[outcome] or outcome == "silver":
            _line(f"  {counts[outcome]:>9,}  {words}")
    for trial in tried.report.replayed[:examples]:
        _line(f"\n  {trial.record.position}")
        _line(f"    before  {safe(trial.record.value, 1000)}")
        _line(f"    after   {safe(trial.value, 1000)}")
    failures = tried.report.failures()
    if failures:
        _line("\nNot recovered:")
    for why, count, first in failures:
        _line(f"  {count:>9,}  {why}, such as {first.position}")


def _trial_body(tried: Tried, change: Change, examples: int) -> dict[str, Any]:
    return {
        "change": change.describe(),
        "counts": tried.report.counts(),
        "already_decided": tried.skipped,
        "examples": [_example(trial) for trial in tried.report.replayed[:examples]],
        "failures": [
            {"why": why, "count": count, "example": str(first.position)}
            for why, count, first in tried.report.failures()
        ],
    }


def _example(trial: Trial) -> dict[str, Any]:
    return {
        "position": str(trial.record.position),
        "outcome": trial.outcome,
        "before": bytes_as_json(trial.record.value),
        "after": bytes_as_json(trial.value),
    }


def applied(
    tried: Tried,
    change: Change,
    examples: int,
    decision: str,
    done: Replayed,
    outcomes: Mapping[Position, str],
    as_json: bool,
) -> None:
    if as_json:
        body = {"applied": bool(decision), "decision_id": decision or None} | _trial_body(tried, change, examples)
        _print_json(body | _replay_body(done, outcomes))
        return
    _print_trials(tried, examples)
    if not decision:
        _line("\nNothing is recovered, so nothing was written.")
        return
    _line(f"\nDecision {decision} is on record.")
    _print_replay(done, outcomes)


def replayed(done: Replayed, outcomes: Mapping[Position, str], as_json: bool) -> None:
    if as_json:
        _print_json(_replay_body(done, outcomes))
    elif not done.sent and not done.found:
        _line("Nothing is waiting for its replay.")
    else:
        _print_replay(done, outcomes)


def _ended(done: Replayed, outcomes: Mapping[Position, str]) -> Counter[str]:
    return Counter(outcomes.get(place, "in flight") for place in replay_positions(done))


def _print_replay(done: Replayed, outcomes: Mapping[Position, str]) -> None:
    before = f"; {len(done.found):,} more had reached Kafka before" if done.found else ""
    ended = ", ".join(
        f"{count:,} in {outcome.removeprefix('in ')}" for outcome, count in sorted(_ended(done, outcomes).items())
    )
    _line(f"{len(done.sent):,} records replayed{before}: {ended}.")


def _replay_body(done: Replayed, outcomes: Mapping[Position, str]) -> dict[str, Any]:
    return {
        "sent": len(done.sent),
        "found": len(done.found),
        "outcomes": dict(_ended(done, outcomes)),
        "replays": [
            {"origin": str(one.position), "replay": str(one.replay), "outcome": outcomes.get(one.replay, "in flight")}
            for one in (*done.sent, *done.found)
            if one.replay is not None
        ],
    }


def discarded(decision: str, positions: Sequence[Position], skipped: int, as_json: bool) -> None:
    if as_json:
        body = {"decision_id": decision or None, "discarded": len(positions), "already_decided": skipped}
        _print_json(body | {"positions": [str(position) for position in positions]})
        return
    more = f"; {skipped:,} more are decided already" if skipped else ""
    _line(
        f"{len(positions):,} records discarded{' by ' + decision if decision else ''}{more}. They stay in silver/quarantine."
    )
