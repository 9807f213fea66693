"""One function that judges the rows of a table by its suite and reports per expectation; personal data stays masked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse.errors import GlobalMartError
from lakehouse.quality.kinds import Holds, NoRows
from lakehouse.quality.rules import PERSONAL_COLUMNS, rules
from lakehouse.tables import Table

SAMPLE_COUNT = 5


class QualityError(GlobalMartError):
    """An expectation could not be evaluated: a fault of the rule or of the engine, not of the data."""


@dataclass(frozen=True)
class Outcome:
    """How one expectation fared. `unexpected_count` is 0 where it held; `samples` are at most five offenders, masked."""

    expectation: str
    success: bool
    unexpected_count: int = 0
    samples: tuple[str, ...] = ()


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

    Raises QualityError when an expectation itself breaks, so that a bug never looks like bad data.
    """
    from lakehouse.quality.suites import batch_of, structure

    started = time.monotonic()
    for name, frame in (views or {}).items():
        frame.createOrReplaceTempView(name)
    batch = batch_of(rows)
    outcomes: list[Outcome] = []
    for expectation in structure(table):
        outcomes.append(_outcome(batch, expectation, batch.validate(expectation, result_format="BOOLEAN_ONLY")))
        if not outcomes[-1].success:
            break
    else:
        outcomes += _of_rows(rows, table) + _of_sets(batch, table)
    return Report(table.path, rows.count(), tuple(outcomes), time.monotonic() - started)


def _of_rows(rows: DataFrame, table: Table) -> list[Outcome]:
    """One pass says which expectations fail; only those are run again for counts and samples."""
    from lakehouse.quality.suites import batch_of, of_rows, offenders

    holds = {f"_holds_{i}": rule for i, rule in enumerate(r for r in rules(table) if isinstance(r, Holds))}
    batch = batch_of(rows.withColumns({column: F.expr(rule.condition) for column, rule in holds.items()}))
    outcomes = []
    for result in batch.validate(of_rows(table, holds), result_format="BOOLEAN_ONLY").results:
        config = result.expectation_config
        rule = holds.get(config.kwargs.get("column"))
        outcomes.append(_outcome(batch, offenders(rule) if rule else config.to_domain_obj(), result))
    return outcomes


def _of_sets(batch: Any, table: Table) -> list[Outcome]:
    """One query names the broken rules; only those are run again."""
    from lakehouse.quality.suites import of_sets, offenders

    result = batch.validate(of_sets(table), result_format="COMPLETE")
    _raise_if_broken(result)
    broken = {dict(row)["rule"] for row in result.result["details"]["unexpected_rows"]}
    return [
        _outcome(batch, offenders(rule), None) if rule.name in broken else Outcome(rule.name, True)
        for rule in rules(table)
        if isinstance(rule, NoRows)
    ]


def _outcome(batch: Any, expectation: Any, first: Any) -> Outcome:
    """What came of `expectation`: `first` where that is a success, else from a run with counts and samples."""
    if first is not None:
        _raise_if_broken(first)
        if first.success:
            return Outcome(first.expectation_config.description, True)
    is_query = expectation.configuration.type == "unexpected_rows_expectation"
    detail: Any = "COMPLETE" if is_query else {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_COUNT}
    again = batch.validate(expectation, result_format=detail)
    _raise_if_broken(again)
    return _failure(again.expectation_config, again.result)


def _failure(config: Any, result: dict[str, Any]) -> Outcome:
    column = config.kwargs.get("column", "")
    if "unexpected_count" in result:
        values = [{column: value} for value in result["partial_unexpected_list"]]
        count = result["unexpected_count"]
    elif "details" in result and "unexpected_rows" in result["details"]:
        values = [dict(row) for row in result["details"]["unexpected_rows"][:SAMPLE_COUNT]]
        count = result["observed_value"]
    else:
        values, count = [{"observed": result.get("observed_value")}], 1
    return Outcome(config.description, False, count, tuple(_masked(value) for value in values[:SAMPLE_COUNT]))


def _masked(row: dict[str, Any]) -> str:
    """`name=value` pairs; of personal data only that there is a value."""
    shown = {k: "•••" if k in PERSONAL_COLUMNS and v is not None else v for k, v in row.items()}
    return ", ".join(f"{name}={value}" for name, value in shown.items())


def _raise_if_broken(result: Any) -> None:
    info = result.exception_info or {}
    broken = [info] if "raised_exception" in info else list(info.values())
    for entry in broken:
        if entry.get("raised_exception"):
            message = str(entry["exception_message"]).splitlines()[0]
            raise QualityError(
                f"The expectation '{result.expectation_config.description}' could not be evaluated: {message}"
            )
