"""Great Expectations suites, built in code from `lakehouse.tables` and `lakehouse.quality.rules`.

Importing Great Expectations takes seconds, so nothing imports this module until a check runs.
"""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

import os

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when Great Expectations is imported: it must not call home

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite, get_context
from great_expectations.core.batch import Batch
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_type

from lakehouse.quality.kinds import Allowed, Between, Holds, NoRows
from lakehouse.quality.rules import rules
from lakehouse.tables import Table


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
    present = [
        gxe.ExpectColumnValuesToNotBeNull(column=c.name, description=f"{c.name} is present")
        for c in table.columns
        if not c.nullable
    ]
    values = [_of_column(rule) for rule in rules(table) if isinstance(rule, Allowed | Between)]
    conditions = [
        gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[True], description=rule.name)
        for column, rule in holds.items()
    ]
    return ExpectationSuite(name=f"{table.path} rows", expectations=[*present, *values, *conditions])


def of_sets(table: Table) -> Expectation:
    """All rules over several rows as one query, which returns the names of those that are broken."""
    counts = [
        f"SELECT '{rule.name}' AS rule, count(*) AS offender_count FROM ({rule.query})"
        for rule in rules(table)
        if isinstance(rule, NoRows)
    ]
    query = f"SELECT rule FROM ({' UNION ALL '.join(counts)}) WHERE offender_count > 0"
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description="rules over several rows")


def offenders(rule: Holds | NoRows) -> Expectation:
    """One rule alone, as the query that returns its offenders."""
    query = rule.query if isinstance(rule, NoRows) else _query(rule)
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=rule.name)


def _query(rule: Holds) -> str:
    return f"SELECT {', '.join(rule.shown)} FROM {{batch}} WHERE NOT ({rule.condition})"


def batch_of(rows: DataFrame) -> Batch:
    """`rows` as a batch of an ephemeral context: nothing is stored, cached or sent anywhere."""
    context = get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark("lake", persist=False)
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": rows})


def _of_column(rule: Allowed | Between) -> Expectation:
    if isinstance(rule, Allowed):
        return gxe.ExpectColumnValuesToBeInSet(
            column=rule.column, value_set=list(rule.values), description=f"{rule.column} is one of its known values"
        )
    limits = [
        f"{word} {limit}"
        for word, limit in (("at least", rule.minimum), ("at most", rule.maximum))
        if limit is not None
    ]
    return gxe.ExpectColumnValuesToBeBetween(
        column=rule.column,
        min_value=rule.minimum,
        max_value=rule.maximum,
        description=f"{rule.column} is {' and '.join(limits)}",
    )
