"""One function that judges the rows of a table by its suite and reports per expectation; personal data stays masked."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse.errors import GlobalMartError
from lakehouse.quality.kinds import Holds, NoRows, Rule
from lakehouse.quality.rules import PERSONAL_COLUMNS, rules
from lakehouse.tables import Table

WHOLE = "whole_table"
SAMPLE_COUNT = 5
MOST_OFFENDERS = 200  # what Great Expectations fetches of a query's rows

MASK = "•••"


class QualityError(GlobalMartError):
    """An expectation could not be evaluated: a fault of the rule or of the engine, not of the data."""


@dataclass(frozen=True)
class Outcome:
    """How one expectation fared. `unexpected_count` is 0 where it held; `offenders` are some of the rows that broke it, masked.

    `kind` and `arguments` are the expectation as Great Expectations names it.
    """

    expectation: str
    success: bool
    unexpected_count: int = 0
    offenders: tuple[dict[str, Any], ...] = ()
    kind: str = ""
    arguments: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def samples(self) -> tuple[str, ...]:
        """At most five offenders as `name=value` pairs."""
        return tuple(
            ", ".join(f"{name}={value}" for name, value in row.items()) for row in self.offenders[:SAMPLE_COUNT]
        )


@dataclass(frozen=True)
class Report:
    """All outcomes for one table; `seconds` is the time that judging took, without the import of Great Expectations."""

    table: str
    row_count: int
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.success)

    @property
    def passed(self) -> bool:
        return not self.failed


def validate(rows: DataFrame, table: Table, views: Mapping[str, DataFrame] | None = None) -> Report:
    """Judge `rows` as content of `table`; `views` are the other tables that its rules name, by view name.

    Where `rows` are a part of the table, the view WHOLE has all of it: rules over several rows then judge a row together with all that
    belong to it.

    Raises QualityError when an expectation itself breaks, so that a bug never looks like bad data.
    """
    from lakehouse.quality.suites import batch_of, structure

    started = time.monotonic()
    for name, frame in (views or {}).items():
        frame.createOrReplaceTempView(name)
    batch = batch_of(rows)
    outcomes = []
    for expectation in structure(table):
        outcomes.append(_of_structure(batch, expectation))
        if not outcomes[-1].success:
            return Report(table.path, rows.count(), tuple(outcomes), time.monotonic() - started)
    own = [rule for rule in rules(table) if isinstance(rule, NoRows)]
    with ExitStack() as held:
        if views and WHOLE in views:
            near = groups_near(rows, views[WHOLE], own).persist()
            held.callback(near.unpersist)
            near.createOrReplaceTempView(WHOLE)
            own = [rule.of_groups_in(WHOLE) for rule in own]
        count, of_sets = _of_sets(batch, table, own)
    outcomes += _of_rows(rows, table) + of_sets
    return Report(table.path, count, tuple(outcomes), time.monotonic() - started)


def groups_near(rows: DataFrame, whole: DataFrame, own: Sequence[NoRows]) -> DataFrame:
    """Of `whole` all rows of each group, by any of the rules, that one of `rows` belongs to, in the columns that the rules name.

    In one pass: the keys of the groups go to every task, as 64-bit hashes, which are found faster than strings. So rows of a group whose
    hash is the same may be among them; `NoRows.of_groups_in` leaves them out.
    """
    words = set(re.findall(r"\w+", " ".join(rule.query for rule in own)))
    found = whole.select(*[name for name in whole.columns if name in words])
    flags = []
    for number, by in enumerate(dict.fromkeys(rule.by for rule in own if rule.by)):
        flags.append(f"_near_{number}")
        key, hash_of_key = f"_key_{number}", F.xxhash64(*by)
        keys = rows.select(hash_of_key.alias(key)).distinct().withColumn(flags[-1], F.lit(True))
        found = found.withColumn(key, hash_of_key).join(F.broadcast(keys), key, "left").drop(key)
    is_near = F.coalesce(*[F.col(flag) for flag in flags], F.lit(False))
    return found.where(is_near).drop(*flags)


def _of_structure(batch: Any, expectation: Any) -> Outcome:
    result = batch.validate(expectation, result_format="COMPLETE")
    _raise_if_broken(result)
    config = expectation.configuration
    if result.success:
        return Outcome(config.description, True, kind=config.type, arguments=config.kwargs)
    found = result.result.get("details", {}).get("unexpected_rows") or [{"observed": result.result["observed_value"]}]
    offenders = tuple(dict(row) for row in found)
    return Outcome(config.description, False, len(offenders), offenders, config.type, config.kwargs)


def _of_rows(rows: DataFrame, table: Table) -> list[Outcome]:
    """One pass says which expectations fail; only those are run again for counts and offenders."""
    from lakehouse.quality.suites import batch_of, of_rows

    by_name = {rule.name: rule for rule in rules(table) if not isinstance(rule, NoRows)}
    holds = {f"_holds_{i}": rule for i, rule in enumerate(r for r in by_name.values() if isinstance(r, Holds))}
    batch = batch_of(rows.withColumns({column: F.expr(rule.condition) for column, rule in holds.items()}))
    outcomes = []
    for result in batch.validate(of_rows(table, holds), result_format="BOOLEAN_ONLY").results:
        _raise_if_broken(result)
        outcomes.append(_outcome(batch, table, by_name[result.expectation_config.description], bool(result.success)))
    return outcomes


def _of_sets(batch: Any, table: Table, own: Sequence[NoRows]) -> tuple[int, list[Outcome]]:
    """One query counts the rows and names the broken ones of the table's `own` rules; only those are run again."""
    from lakehouse.quality.suites import of_sets

    result = batch.validate(of_sets(own), result_format="COMPLETE")
    _raise_if_broken(result)
    broken = result.result["details"]["broken"]
    outcomes = [_outcome(batch, table, rule, rule.name not in broken) for rule in own]
    return int(result.result["observed_value"]), outcomes


def _outcome(batch: Any, table: Table, rule: Rule, success: bool) -> Outcome:
    """What came of `rule`; where it seems broken, a run of it alone has the last word, and finds the offenders."""
    from lakehouse.quality.suites import expectation, offenders

    config = expectation(table, rule).configuration
    if not success:
        again = batch.validate(offenders(table, rule), result_format="COMPLETE")
        _raise_if_broken(again)
        if not again.success:  # else only hashes of the quick query were equal
            found = tuple(_masked(dict(row)) for row in again.result["details"]["unexpected_rows"])
            return Outcome(rule.name, False, again.result["observed_value"], found, config.type, config.kwargs)
    return Outcome(rule.name, True, kind=config.type, arguments=config.kwargs)


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    """Of personal data only that there is a value."""
    return {k: MASK if k in PERSONAL_COLUMNS and v is not None else v for k, v in row.items()}


def _raise_if_broken(result: Any) -> None:
    info = result.exception_info or {}
    broken = [info] if "raised_exception" in info else list(info.values())
    for entry in broken:
        if entry.get("raised_exception"):
            message = str(entry["exception_message"]).splitlines()[0]
            raise QualityError(
                f"The expectation '{result.expectation_config.description}' could not be evaluated: {message}"
            )
