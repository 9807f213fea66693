"""Which rules of a table some rows break, without Great Expectations: two queries, whatever the number of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse.quality.kinds import NoRows
from lakehouse.quality.rules import rules
from lakehouse.tables import Table

Row = dict[str, Any]


def frame(spark: SparkSession, table: Table, rows: list[Row]) -> DataFrame:
    """Rows of `table` in which anything may be null."""
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=schema))


def broken(spark: SparkSession, table: Table, rows: list[Row], views: Mapping[Table, list[Row]]) -> dict[str, int]:
    """The number of offenders of each broken rule, by its name. A view has the columns of its table that its rows name."""
    for view, content in views.items():
        frame(spark, view, content).createOrReplaceTempView(view.view)
    under_test = frame(spark, table, rows)
    under_test.createOrReplaceTempView("under_test")
    own = [rule for rule in rules(table) if not isinstance(rule, NoRows)]
    counts = under_test.agg(*[F.expr(f"count_if({rule.broken})") for rule in own]).collect()[0]
    found = dict(zip((rule.name for rule in own), counts, strict=True))
    queries = [
        f"SELECT '{rule.name}' AS rule, count(*) AS n FROM ({rule.query.format(batch='under_test')})"
        for rule in rules(table)
        if isinstance(rule, NoRows)
    ]
    found |= {row["rule"]: row["n"] for row in spark.sql(" UNION ALL ".join(queries)).collect()}
    return {name: count for name, count in found.items() if count}
