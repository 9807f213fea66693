"""A repair tried out on the selected records: what it would recover, what still fails and why. Nothing is written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import explain, judge
from lakehouse.quarantine.document import UnreadableError, read_draft
from lakehouse.quarantine.forecast import DUPLICATES, SILVER
from lakehouse.quarantine.lake import BadRecord
from lakehouse.quarantine.rules import Change

Forecast = Callable[[Sequence[tuple[str, bytes]]], list[str]]


@dataclass(frozen=True)
class Trial:
    """What a change does to one record.

    outcome: `silver` (recovered), `duplicates` (repeats what silver has), `conflict`, `broken` (still breaks its
    contract), `unreadable` (no rule can be applied) or `untouched` (the rules do not fit it). `why` are the words for the
    last four. `value` is the repaired value where the outcome is one of the first two.
    """

    record: BadRecord
    outcome: str
    value: bytes | None = None
    why: str = ""

    @property
    def is_replayed(self) -> bool:
        return self.outcome in (SILVER, DUPLICATES)


@dataclass(frozen=True)
class Report:
    """The trials of one selection, by position."""

    trials: list[Trial]

    @property
    def replayed(self) -> list[Trial]:
        """What an apply would play again."""
        return [trial for trial in self.trials if trial.is_replayed]

    def counts(self) -> dict[str, int]:
        """Records selected, and how many of them have each outcome."""
        found = Counter(trial.outcome for trial in self.trials)
        outcomes = (SILVER, DUPLICATES, "conflict", "broken", "unreadable", "untouched")
        return {"selected": len(self.trials)} | {outcome: found[outcome] for outcome in outcomes}

    def failures(self) -> list[tuple[str, int, BadRecord]]:
        """(why, how many, the first of them) of what would not be recovered, most frequent first."""
        first: dict[str, BadRecord] = {}
        failed = Counter(trial.why for trial in self.trials if not trial.is_replayed)
        for trial in self.trials:
            first.setdefault(trial.why, trial.record)
        return [(why, count, first[why]) for why, count in failed.most_common()]


def attempt(
    records: Sequence[BadRecord], change: Change, now: datetime, forecast: Forecast, too_old_days: int | None = None
) -> Report:
    """Try `change` on `records`, which are in the order of their positions. `now` is the Kafka time that a replay would get.

    The verdict is that of `lakehouse.contracts.judge`; `forecast` says of what is right where it would end.
    """
    trials: dict[int, Trial] = {}
    right: list[tuple[int, bytes, bytes]] = []
    for number, record in enumerate(records):
        contract = CONTRACTS[record.position.topic]
        if change.replays_unchanged and len(change.rules) == 1:
            value = record.value or b""
        else:
            try:
                value = change.apply(record.value, record.position)
            except UnreadableError as error:
                trials[number] = Trial(record, "unreadable", why=f"no rule can be applied: {error}")
                continue
        verdict = judge(contract, value, now, too_old_days)
        if verdict.cleaned is None:
            trials[number] = Trial(record, "broken", value, explain(contract, verdict.codes))
        elif not change.replays_unchanged and _says_the_same(value, record.value):
            trials[number] = Trial(
                record, "untouched", why="the rules change nothing in it, though its contract holds by now"
            )
        else:
            right.append((number, value, verdict.cleaned))
    for (number, value, _), outcome in zip(
        right, forecast([(records[number].position.topic, cleaned) for number, _, cleaned in right]), strict=True
    ):
        contract = CONTRACTS[records[number].position.topic]
        if outcome in (SILVER, DUPLICATES):
            trials[number] = Trial(records[number], outcome, value)
        else:
            trials[number] = Trial(records[number], "conflict", value, explain(contract, outcome.split("; ")))
    return Report([trials[number] for number in range(len(records))])


def _says_the_same(value: bytes, raw: bytes | None) -> bool:
    """Whether the rules have left the record as it was, but for its spelling."""
    try:
        return value == read_draft(raw).to_bytes()
    except UnreadableError:
        return False
