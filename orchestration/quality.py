"""The one factory of quality checks: a table's Great Expectations suite as an asset check. No definitions here."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from lakehouse.quality.check import Outcome, Report, validate
from lakehouse.quality.increment import Seen, seen, since
from lakehouse.quality.views import look
from lakehouse.settings import Settings
from lakehouse.tables import Table
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.runs import IN_FULL_TAG
from orchestration.spark import LakehouseSpark
from orchestration.transient import POLICY, only_transient

NAME = "expectations"
_SEEN = "judged_until"
_MOST_EARLIER = 50


def table_check(table: Table) -> dg.AssetChecksDefinition:
    """The check `expectations` of `table`, where it has daily partitions of one day and of those made again with it.

    A failure keeps what depends on the table from running.
    Of silver it judges the rows that came since it last found nothing wrong; all in a run with IN_FULL_TAG, and where in doubt.
    """
    partitions = DAILY if table.owner == "batch" and table.partition_by else None

    @dg.asset_check(
        asset=key(table),
        name=NAME,
        blocking=True,
        partitions_def=partitions,
        retry_policy=POLICY,
        description=f"Great Expectations over {table.path}: declared columns and types, no missing values, its own rules.",
    )
    @only_transient
    def check(context: dg.AssetCheckExecutionContext, spark: LakehouseSpark) -> dg.AssetCheckResult:
        day = date.fromisoformat(context.partition_key) if partitions else None
        after: int | None = None
        about: dict[str, Any] = {}
        if table.layer == "silver":
            now = seen(spark.settings, table, spark.silver_version(table))
            before = None if context.run.tags.get(IN_FULL_TAG) == "true" else _seen_before(context.instance, table)
            after = since(spark.settings, spark.read(table), now, before)
            about = {_SEEN: asdict(now), "judged": "all rows" if after is None else f"rows after micro-batch {after}"}
        rows, views = look(spark.spark_session, spark.settings, table, day, spark.cut, after)
        report = validate(rows, table, views)
        return result(report, _publish(spark.settings, context.run.run_id, report, day), about)

    return check


def _seen_before(instance: dg.DagsterInstance, table: Table) -> Seen | None:
    """What the last check of a silver table that found nothing wrong has seen; None where Dagster knows of none."""
    check = dg.AssetCheckKey(key(table), NAME)
    for record in instance.event_log_storage.get_asset_check_execution_history(check, _MOST_EARLIER):
        found: Any = record.evaluation
        if isinstance(found, dg.AssetCheckEvaluation) and found.passed and _SEEN in found.metadata:
            told: Any = found.metadata[_SEEN].value
            return Seen(**told)
    return None


def _publish(settings: Settings, run_id: str, report: Report, day: date | None) -> str:
    """The address of the report's page in Data Docs."""
    from lakehouse.quality.docs import publish

    page = publish(settings.quality_dir, run_id, report, day, datetime.now(UTC))
    return f"{settings.api_url.rstrip('/')}/quality/{page}"


def result(report: Report, page: str, about: Mapping[str, Any]) -> dg.AssetCheckResult:
    """A report as Dagster shows it: a table with one line per expectation, failures first, where its page is, and what else is to be told."""
    ordered = sorted(report.outcomes, key=lambda outcome: outcome.success)
    failed = len(report.failed)
    metadata: dict[str, Any] = {
        "row_count": report.row_count,
        "expectation_count": len(ordered),
        "failed_count": failed,
        "duration_seconds": round(report.seconds, 2),
        "data_docs": dg.MetadataValue.url(page),
        "expectations": dg.MetadataValue.table([_record(outcome) for outcome in ordered]),
        **about,
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
