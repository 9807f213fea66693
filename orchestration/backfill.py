"""A range of days made again: which are done, which are next. One run a day, all in this process, so in one JVM."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from lakehouse.errors import GlobalMartError
from lakehouse.progress import progress
from lakehouse.settings import Settings
from orchestration.runs import IN_FULL_TAG, daily_job, failures, run

RANGE_TAG = "globalmart/backfill_range"
BACKFILL_TAG = "globalmart/backfill"
CUT_TAG = "globalmart/backfill_cut"
_MOST_EVENTS = 1_000


class BackfillError(GlobalMartError):
    """A backfill was asked for that cannot be, or a day of it failed."""


@dataclass(frozen=True)
class Backfill:
    """`days` and `keys` (what is made of each of them) name it; `backfill_id` tells it from others of the same name.

    `cut`: by path the Delta versions of the streaming tables when it began. A day is done once a run of this backfill has made it, or one that
    read no older versions. None: only runs of its own count, since it is to
    make everything again, and out of silver alone: what is there may be wrong.
    """

    days: tuple[date, ...]
    keys: frozenset[dg.AssetKey]
    is_whole: bool
    backfill_id: str
    cut: Mapping[str, int] | None

    @property
    def tags(self) -> dict[str, str]:
        """What its runs carry, so that it can be gone on with."""
        return {
            RANGE_TAG: range_name(self.days, self.keys, self.is_whole),
            BACKFILL_TAG: self.backfill_id,
            CUT_TAG: json.dumps(self.cut, sort_keys=True),
            IN_FULL_TAG: str(self.cut is None).lower(),
        }


@dataclass(frozen=True)
class Day:
    """How one day came out. `failures` are sentences; `is_skipped`: it was done already."""

    day: date
    is_skipped: bool = False
    seconds: float = 0.0
    table_count: int = 0
    failures: tuple[str, ...] = ()


def days_between(first: date, last: date) -> tuple[date, ...]:
    """Both included. Raises BackfillError where the last comes before the first."""
    if last < first:
        raise BackfillError(f"The range ends on {last}, before it begins on {first}: turn --from and --to round.")
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def range_name(days: Sequence[date], keys: Iterable[dg.AssetKey], is_whole: bool) -> str:
    what = "everything" if is_whole else " ".join(sorted(key.to_user_string() for key in keys))
    return f"{days[0]} to {days[-1]}: {what}"


def daily_keys() -> frozenset[dg.AssetKey]:
    """The assets of the daily job that are made by day."""
    graph = daily_job().asset_layer.asset_graph
    return frozenset(key for key in graph.materializable_asset_keys if graph.get(key).partitions_def is not None)


def chosen_keys(names: Collection[str]) -> frozenset[dg.AssetKey]:
    """The assets called `gold/customer_rfm` or `customer_rfm`; all made by day where none is named. Raises BackfillError."""
    known = daily_keys()
    by_name = {key.to_user_string(): key for key in known} | {key.path[-1]: key for key in known}
    for name in names:
        if name not in by_name:
            there = ", ".join(sorted(key.path[-1] for key in known))
            raise BackfillError(f"{name} is not made by day: these are {there}.")
    return frozenset(by_name[name] for name in names) or known


def plan(
    instance: dg.DagsterInstance,
    settings: Settings,
    days: tuple[date, ...],
    names: Collection[str],
    force: bool,
    now: datetime,
) -> Backfill:
    """The backfill to do: the last one of the same range where that was not finished, else a new one.

    Raises BackfillError, and DayAheadError where the stream has not come to the last day.
    """
    stream = progress(settings)
    if stream is not None:
        stream.check_begun(days[-1])
    keys, is_whole = chosen_keys(names), not names
    if not force:
        earlier = instance.get_runs(dg.RunsFilter(tags={RANGE_TAG: range_name(days, keys, is_whole)}), limit=1)
        for one in earlier:
            resumed = Backfill(days, keys, is_whole, one.tags[BACKFILL_TAG], json.loads(one.tags[CUT_TAG]))
            if len(done(instance, resumed)) < len(days):
                return resumed
    cut = None if force else dict(stream.versions) if stream else {}
    return Backfill(days, keys, is_whole, now.astimezone(UTC).isoformat(timespec="milliseconds"), cut)


def done(instance: dg.DagsterInstance, backfill: Backfill) -> set[date]:
    """The days that need no run: each of the assets made, by a run that succeeded, checks included."""
    by_asset = [_latest(instance, key, backfill.days) for key in backfill.keys]
    run_ids = {record.run_id for latest in by_asset for record in latest.values()}
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))} if run_ids else {}

    def is_done(day: date) -> bool:
        return all(
            day in latest and _counts(backfill, latest[day], runs.get(latest[day].run_id)) for latest in by_asset
        )

    return {day for day in backfill.days if is_done(day)}


def work(instance: dg.DagsterInstance, backfill: Backfill, say: Callable[[Day], None]) -> bool:
    """Make the days that are not done, oldest first, and say of each how it came out. Stops at a day that fails: False.

    The first run makes everything, the dimensions too, and judges silver; the others what is made by day.
    """
    finished = done(instance, backfill)
    is_first = True
    for day in backfill.days:
        if day in finished:
            say(Day(day, is_skipped=True))
            continue
        began = time.monotonic()
        keys = () if backfill.is_whole and is_first else backfill.keys
        outcome = run(day.isoformat(), instance, keys, backfill.tags, keeps_session=True)
        is_first = False
        made = len({event.asset_key for event in outcome.get_asset_materialization_events()})
        why = () if outcome.success else tuple(failures(outcome.all_events)) or ("a check that blocks failed",)
        say(Day(day, seconds=time.monotonic() - began, table_count=made, failures=why))
        if not outcome.success:
            return False
    return True


def _latest(instance: dg.DagsterInstance, key: dg.AssetKey, days: Collection[date]) -> dict[date, dg.EventLogRecord]:
    """By day the newest materialisation."""
    latest: dict[date, dg.EventLogRecord] = {}
    where = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day.isoformat() for day in days])
    cursor: str | None = None
    while True:
        found = instance.fetch_materializations(where, limit=_MOST_EVENTS, cursor=cursor)
        for record in found.records:  # newest first
            if record.partition_key:
                latest.setdefault(date.fromisoformat(record.partition_key), record)
        cursor = found.cursor
        if not found.has_more or len(latest) == len(days):
            return latest


def _counts(backfill: Backfill, record: dg.EventLogRecord, made_by: dg.DagsterRun | None) -> bool:
    if made_by is None or made_by.status is not dg.DagsterRunStatus.SUCCESS:
        return False
    if made_by.tags.get(BACKFILL_TAG) == backfill.backfill_id:
        return True
    if backfill.cut is None or record.asset_materialization is None:
        return False
    value: Any = getattr(record.asset_materialization.metadata.get("version_read"), "value", None) or {}
    return bool(value) and all(version >= backfill.cut.get(path, 0) for path, version in value.items())
