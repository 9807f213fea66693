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

from lakehouse.quality.rules import Allowed, Between, Rule, rules
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


def suite(table: Table) -> ExpectationSuite:
    """Every expectation about the values of `table`."""
    present = [
        gxe.ExpectColumnValuesToNotBeNull(column=c.name, description=f"{c.name} is present")
        for c in table.columns
        if not c.nullable
    ]
    return ExpectationSuite(name=table.path, expectations=[*present, *map(_expectation, rules(table))])


def batch_of(rows: DataFrame) -> Batch:
    """`rows` as a batch of an ephemeral context: nothing is stored, cached or sent anywhere."""
    context = get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark("lake", persist=False)
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": rows})


def _expectation(rule: Rule) -> Expectation:
    if isinstance(rule, Allowed):
        return gxe.ExpectColumnValuesToBeInSet(
            column=rule.column, value_set=list(rule.values), description=f"{rule.column} is one of its known values"
        )
    if isinstance(rule, Between):
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
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=rule.query, description=rule.name)
