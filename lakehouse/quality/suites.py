"""Great Expectations suites, built in code from `lakehouse.tables` and `lakehouse.quality.rules`.

Importing Great Expectations takes seconds, so nothing imports this module until a check runs.
"""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, ClassVar

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when Great Expectations is imported: it must not call home

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite, get_context
from great_expectations.core.batch import Batch
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_type

from lakehouse.quality.kinds import Allowed, Between, Holds, NoRows, Present, RowRule, Rule
from lakehouse.quality.rules import rules
from lakehouse.tables import Table

ROW_COUNT = ""  # stands in place of a rule's name where a query says how many rows there are


class BrokenRules(gxe.UnexpectedRowsExpectation):  # type: ignore[misc]  # the library has no types
    """The query returns a row with `rule` and `offender_count` for each broken rule, and one with `ROW_COUNT` and the number of rows.

    Great Expectations' own class would run the query twice, once for the rows and once to count them.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        del runtime_configuration, execution_engine
        found = [dict(row) for row in metrics["unexpected_rows_query.table"]]
        broken = [row["rule"] for row in found if row["rule"] != ROW_COUNT]
        rows = sum(row["offender_count"] for row in found if row["rule"] == ROW_COUNT)
        return {"success": not broken, "result": {"observed_value": rows, "details": {"broken": broken}}}


def structure(table: Table) -> list[Expectation]:
    """Columns, then their exact types: while one fails, the rules about values cannot be judged."""
    wrong = [f"typeof(`{c.name}`) <> '{from_arrow_type(c.type).simpleString()}'" for c in table.columns]
    found = ", ".join(f"typeof(`{c.name}`) AS `{c.name}`" for c in table.columns)
    return [
        gxe.ExpectTableColumnsToMatchSet(
            column_set=[c.name for c in table.columns],
            exact_match=True,
            description="the columns are the declared ones",
        ),
        gxe.UnexpectedRowsExpectation(
            description="each column has its declared type",
            unexpected_rows_query=f"SELECT {found} FROM {{batch}} WHERE {' OR '.join(wrong)} LIMIT 1",
        ),
    ]


def of_rows(table: Table, holds: dict[str, Holds]) -> ExpectationSuite:
    """What is said of single rows; Great Expectations judges it all in one pass. `holds` are the conditions by column."""
    values = [_of_column(rule) for rule in rules(table) if isinstance(rule, Present | Allowed | Between)]
    conditions = [
        gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[True], description=rule.name)
        for column, rule in holds.items()
    ]
    return ExpectationSuite(name=f"{table.path} rows", expectations=[*values, *conditions])


def of_sets(own: Iterable[NoRows]) -> Expectation:
    """A table's rules over several rows, the quick form of each where it has one, as one query, which also counts the rows."""
    counts = [
        f"SELECT '{rule.name}' AS rule, count(*) AS offender_count FROM ({rule.quick or rule.query})" for rule in own
    ]
    union = " UNION ALL ".join([f"SELECT '{ROW_COUNT}' AS rule, count(*) AS offender_count FROM {{batch}}", *counts])
    query = f"SELECT rule, offender_count FROM ({union}) WHERE offender_count > 0"
    return BrokenRules(unexpected_rows_query=query, description="rules over several rows")


def expectation(table: Table, rule: Rule) -> Expectation:
    """One rule alone: of a column where it is about one, else as the query that returns its offenders."""
    return offenders(table, rule) if isinstance(rule, Holds | NoRows) else _of_column(rule)


def offenders(table: Table, rule: Rule) -> Expectation:
    """One rule alone, as the query that returns its offenders, each with the table's key."""
    query = rule.query if isinstance(rule, NoRows) else _query(table, rule)
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=rule.name)


def _query(table: Table, rule: RowRule) -> str:
    shown = rule.shown if isinstance(rule, Holds) else dict.fromkeys((*table.key, rule.column))
    return f"SELECT {', '.join(f'`{name}`' for name in shown)} FROM {{batch}} WHERE {rule.broken}"


def batch_of(rows: DataFrame) -> Batch:
    """`rows` as a batch of an ephemeral context: nothing is stored, cached or sent anywhere."""
    context = get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark("lake", persist=False)
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": rows})


def _of_column(rule: Present | Allowed | Between) -> Expectation:
    if isinstance(rule, Present):
        return gxe.ExpectColumnValuesToNotBeNull(column=rule.column, description=rule.name)
    if isinstance(rule, Allowed):
        return gxe.ExpectColumnValuesToBeInSet(column=rule.column, value_set=list(rule.values), description=rule.name)
    return gxe.ExpectColumnValuesToBeBetween(
        column=rule.column, min_value=rule.minimum, max_value=rule.maximum, description=rule.name
    )
