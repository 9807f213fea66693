"""What runs and checks that failed become: findings for the alert desk, and the word that it is over. No definitions here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import dagster as dg

from lakehouse.findings import Finding, Severity, finding_id
from lakehouse.settings import Settings
from lakehouse.streams.markers import Outbox
from orchestration.runs import PARTITION_TAG, failures, selection

RUN_FAILED, RUN_RECOVERED = "run_failed", "run_recovered"
CHECK_FAILED, CHECK_RECOVERED = "check_failed", "check_recovered"
_WILL_RETRY_TAG = "dagster/will_retry"
_MOST_EARLIER = 50


def findings(instance: dg.DagsterInstance, run: dg.DagsterRun, ended_at: datetime, now: datetime) -> list[Finding]:
    """What an ended run has to tell. Of a run that is tried again nothing: the last try tells.

    A failed check is told of whether it kept others from running or not; a run that succeeded takes back what earlier runs of the
    same job and day had told, in so far as it made what they had been asked for.
    """
    if run.tags.get(_WILL_RETRY_TAG) == "true":
        return []
    events = _events(instance, run)
    told = [_of_check(run, one, ended_at, now) for one in _failed_checks(events)]
    if run.status is dg.DagsterRunStatus.FAILURE:
        why = "; ".join(failures(events)) or "Dagster's page of the run has its log."
        about = _about(run)
        told.append(
            Finding(
                finding_id=finding_id(RUN_FAILED, run.run_id),
                kind=RUN_FAILED,
                severity="critical",
                fingerprint=f"{RUN_FAILED}|{about}",
                title=f"The batch run {about} failed",
                detail=why,
                event_at=ended_at,
                detected_at=now,
                evidence={"run_id": run.run_id, "job": run.job_name, "day": run.tags.get(PARTITION_TAG)},
            )
        )
    elif run.status is dg.DagsterRunStatus.SUCCESS:
        told += _recovered(instance, run, {one.fingerprint for one in told}, ended_at, now)
    return told


def tell(settings: Settings, found: Iterable[Finding]) -> int:
    """Send findings to the topic `detections`; returns how many. Raises KafkaError: then they are to be sent again, under the same ids."""
    messages = list(found)
    if messages:
        with closing(Outbox(settings, "globalmart-batch")) as outbox:
            outbox.tell(messages)
    return len(messages)


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterEvent]:
    kinds = {
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    }
    return [log.dagster_event for log in instance.all_logs(run.run_id, of_type=kinds) if log.dagster_event]


def _failed_checks(events: Iterable[dg.DagsterEvent]) -> list[dg.AssetCheckEvaluation]:
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return [check for check in checks if not check.passed]


def _about(run: dg.DagsterRun) -> str:
    """Job and day; without a day, the assets that it was to make."""
    what = run.tags.get(PARTITION_TAG) or "+".join(sorted(selection(run)))
    return f"{run.job_name} {what}".strip()[:200]


def _check_print(run: dg.DagsterRun, check: dg.AssetCheckEvaluation) -> str:
    day = check.partition or run.tags.get(PARTITION_TAG) or "all"
    return f"{CHECK_FAILED}|{check.asset_key.to_user_string()}|{check.check_name}|{day}"


def _of_check(run: dg.DagsterRun, check: dg.AssetCheckEvaluation, at: datetime, now: datetime) -> Finding:
    table = check.asset_key.to_user_string()
    severity: Severity = "critical" if check.blocking else "warning"
    kept = " What depends on it was not made." if check.blocking else ""
    return Finding(
        finding_id=finding_id(CHECK_FAILED, run.run_id, table, check.check_name),
        kind=CHECK_FAILED,
        severity=severity,
        fingerprint=_check_print(run, check),
        title=f"{table} breaks its rules",
        detail=f"{check.description or check.check_name} in run {run.run_id}.{kept}",
        event_at=at,
        detected_at=now,
        evidence={"run_id": run.run_id, "table": table, "check": check.check_name},
    )


def _recovered(
    instance: dg.DagsterInstance, run: dg.DagsterRun, standing: set[str], at: datetime, now: datetime
) -> Iterator[Finding]:
    """The all-clear of each alert of earlier runs that this one covers, but for those that it raises itself."""
    day = run.tags.get(PARTITION_TAG)
    earlier = instance.get_runs(
        dg.RunsFilter(
            job_name=run.job_name,
            # A check that does not block fails in a run that succeeds.
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS],
            tags={PARTITION_TAG: day} if day else {},
        ),
        limit=_MOST_EARLIER,
    )
    over: dict[str, str] = {}
    for before in earlier:
        if not _covers(run, before):
            continue
        if before.status is dg.DagsterRunStatus.FAILURE:
            over[f"{RUN_FAILED}|{_about(before)}"] = RUN_RECOVERED
        for check in _failed_checks(_events(instance, before)):
            over[_check_print(before, check)] = CHECK_RECOVERED
    for fingerprint, kind in sorted(over.items()):
        if fingerprint not in standing:
            yield Finding(
                finding_id=finding_id(kind, run.run_id, fingerprint),
                kind=kind,
                severity="info",
                fingerprint=fingerprint,
                title=f"{_about(run)} succeeded",
                detail=f"run {run.run_id} succeeded",
                event_at=at,
                detected_at=now,
                evidence={"run_id": run.run_id},
            )


def _covers(run: dg.DagsterRun, before: dg.DagsterRun) -> bool:
    """Whether `run` made all that `before` was to make."""
    made, wanted = selection(run), selection(before)
    return not made or (bool(wanted) and wanted <= made)


def since(cursor: str | None, now: datetime) -> datetime:
    """From when on ended runs are to be looked at; at first those of the last hour."""
    return datetime.fromisoformat(cursor) if cursor else datetime.fromtimestamp(now.timestamp() - 3600, UTC)
