"""The one factory of quality checks: a table's Great Expectations suite as an asset check. No definitions here."""

from collections.abc import Callable, Mapping
from datetime import date

import dagster as dg
from pyspark.sql import DataFrame

from lakehouse.quality.check import Outcome, Report, validate
from lakehouse.tables import Table
from orchestration.naming import key
from orchestration.spark import LakehouseSpark
from orchestration.transient import POLICY, only_transient

# The rows under test and the views that the rules name, for the day of a partitioned check (None: the whole table)
Rows = Callable[[LakehouseSpark, date | None], tuple[DataFrame, Mapping[str, DataFrame]]]


def gx_check(
    table: Table, rows: Rows, *, blocking: bool, partitions: dg.PartitionsDefinition | None = None
) -> dg.AssetChecksDefinition:
    """The check `expectations` of `table`; where it is `blocking`, a failure keeps what depends on the table from running."""

    @dg.asset_check(
        asset=key(table),
        name="expectations",
        blocking=blocking,
        partitions_def=partitions,
        retry_policy=POLICY,
        description=f"Great Expectations over {table.path}: declared columns and types, no missing values, its own rules.",
    )
    @only_transient
    def check(context: dg.AssetCheckExecutionContext, spark: LakehouseSpark) -> dg.AssetCheckResult:
        day = date.fromisoformat(context.partition_key) if partitions else None
        frame, views = rows(spark, day)
        return result(validate(frame, table, views))

    return check


def result(report: Report) -> dg.AssetCheckResult:
    """A report as Dagster shows it: a table with one line per expectation, failures first."""
    ordered = sorted(report.outcomes, key=lambda outcome: outcome.success)
    failed = len(report.failed)
    return dg.AssetCheckResult(
        passed=report.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{failed} of {len(ordered)} expectations failed"
        if failed
        else f"{len(ordered)} expectations hold",
        metadata={
            "row_count": report.row_count,
            "expectation_count": len(ordered),
            "failed_count": failed,
            "duration_seconds": round(report.seconds, 2),
            "expectations": dg.MetadataValue.table([_record(outcome) for outcome in ordered]),
        },
    )


def _record(outcome: Outcome) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "expectation": outcome.expectation,
            "result": "holds" if outcome.success else "fails",
            "unexpected_count": outcome.unexpected_count,
            "samples": " | ".join(outcome.samples),
        }
    )
