"""One function that judges the rows of a table by its suite and reports per expectation; personal data stays masked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.errors import GlobalMartError
from lakehouse.quality.rules import PERSONAL_COLUMNS
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
    from lakehouse.quality.suites import batch_of, structure, suite

    started = time.monotonic()
    for name, frame in (views or {}).items():
        frame.createOrReplaceTempView(name)
    batch = batch_of(rows)
    outcomes: list[Outcome] = []
    for expectation in structure(table):
        outcomes += _run(batch, [expectation])
        if not outcomes[-1].success:
            break
    else:
        outcomes += _run(batch, suite(table).expectations)
    return Report(table.path, rows.count(), tuple(outcomes), time.monotonic() - started)


def _run(batch: Any, expectations: list[Any]) -> list[Outcome]:
    """A first, cheap pass says which expectations fail; only those are run again for counts and samples."""
    from great_expectations import ExpectationSuite

    first = batch.validate(ExpectationSuite(name="first", expectations=expectations), result_format="BOOLEAN_ONLY")
    outcomes = []
    for result in first.results:
        config = result.expectation_config
        _raise_if_broken(result)
        if result.success:
            outcomes.append(Outcome(config.description, True))
            continue
        is_query = config.type == "unexpected_rows_expectation"
        detail: Any = "COMPLETE" if is_query else {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_COUNT}
        again = batch.validate(config.to_domain_obj(), result_format=detail)
        _raise_if_broken(again)
        outcomes.append(_failure(config, again.result))
    return outcomes


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
