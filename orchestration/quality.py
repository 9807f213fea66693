"""The one factory of quality checks: a table's Great Expectations suite as an asset check. No definitions here."""

from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from lakehouse.quality.check import Outcome, Report, validate
from lakehouse.quality.views import look
from lakehouse.settings import Settings
from lakehouse.tables import Table
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.spark import LakehouseSpark
from orchestration.transient import POLICY, only_transient


def table_check(table: Table) -> dg.AssetChecksDefinition:
    """The check `expectations` of `table`, where it has daily partitions of one day and of those made again with it.

    A failure keeps what depends on the table from running.
    """
    partitions = DAILY if table.owner == "batch" and table.partition_by else None

    @dg.asset_check(
        asset=key(table),
        name="expectations",
        blocking=True,
        partitions_def=partitions,
        retry_policy=POLICY,
        description=f"Great Expectations over {table.path}: declared columns and types, no missing values, its own rules.",
    )
    @only_transient
    def check(context: dg.AssetCheckExecutionContext, spark: LakehouseSpark) -> dg.AssetCheckResult:
        day = date.fromisoformat(context.partition_key) if partitions else None
        rows, views = look(spark.spark_session, spark.settings, table, day, spark.cut)
        report = validate(rows, table, views)
        return result(report, _publish(spark.settings, context.run.run_id, report, day))

    return check


def _publish(settings: Settings, run_id: str, report: Report, day: date | None) -> str:
    """The address of the report's page in Data Docs."""
    from lakehouse.quality.docs import publish

    page = publish(settings.quality_dir, run_id, report, day, datetime.now(UTC))
    return f"{settings.api_url.rstrip('/')}/quality/{page}"


def result(report: Report, page: str) -> dg.AssetCheckResult:
    """A report as Dagster shows it: a table with one line per expectation, failures first, and where its page is."""
    ordered = sorted(report.outcomes, key=lambda outcome: outcome.success)
    failed = len(report.failed)
    metadata: dict[str, Any] = {
        "row_count": report.row_count,
        "expectation_count": len(ordered),
        "failed_count": failed,
        "duration_seconds": round(report.seconds, 2),
        "data_docs": dg.MetadataValue.url(page),
        "expectations": dg.MetadataValue.table([_record(outcome) for outcome in ordered]),
    }
    words = f"{failed} of {len(ordered)} expectations failed" if failed else f"{len(ordered)} expectations hold"
    return dg.AssetCheckResult(
        passed=report.passed, severity=dg.AssetCheckSeverity.ERROR, description=words, metadata=metadata
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
