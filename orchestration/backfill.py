"""A range of days made again: which are done, which are next. One run a day, all in this process, so in one JVM."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from lakehouse import batch
from lakehouse.daily import MARTS
from lakehouse.errors import GlobalMartError
from lakehouse.progress import progress
from lakehouse.settings import Settings
from lakehouse.tables import BY_PATH
from orchestration.runs import IN_FULL_TAG, daily_job, failures, run

RANGE_TAG = "globalmart/backfill_range"
BACKFILL_TAG = "globalmart/backfill"
CUT_TAG = "globalmart/backfill_cut"
LAKE_TAG = "globalmart/lake"
_MOST_EVENTS = 1_000


class BackfillError(GlobalMartError):
    """A backfill was asked for that cannot be, or a day of it failed."""


@dataclass(frozen=True)
class Backfill:
    """`days` and `keys` (what is made of each of them) name it; `backfill_id` tells it from others of the same name.

    `cut`: by path the Delta versions of the streaming tables when it began. A day is done once a run of this backfill has made it, or one that
    read no older versions. None: only runs of its own count, since it is to make everything again, and out of silver alone: what is there may
    be wrong. `lake_uri`: the lake whose days it makes, since several may have one Dagster.
    """

    days: tuple[date, ...]
    keys: frozenset[dg.AssetKey]
    is_whole: bool
    backfill_id: str
    cut: Mapping[str, int] | None
    lake_uri: str

    @property
    def tags(self) -> dict[str, str]:
        """What its runs carry, so that it can be gone on with."""
        return {
            RANGE_TAG: range_name(self.days, self.keys, self.is_whole),
            LAKE_TAG: self.lake_uri,
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


@dataclass(frozen=True)
class _Made:
    """What Dagster's record says of one day of one table: who made it, and the Delta versions written and, by path, read."""

    run_id: str
    version_written: int
    version_read: Mapping[str, int]


class _Lake:
    """What the lake's own commits say; each table's log is read once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._writes: dict[str, dict[date, batch.Written]] = {}

    def version(self, path: str, day: date) -> int:
        """That of the last commit that made `day`; -1 where there is none."""
        if path not in self._writes:
            self._writes[path] = batch.last_writes(self._settings, BY_PATH[path])
        written = self._writes[path].get(day)
        return -1 if written is None else written.version


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
        asked = {RANGE_TAG: range_name(days, keys, is_whole), LAKE_TAG: settings.lake_uri}
        for one in instance.get_runs(dg.RunsFilter(tags=asked), limit=1):
            seen = json.loads(one.tags[CUT_TAG])
            resumed = Backfill(days, keys, is_whole, one.tags[BACKFILL_TAG], seen, settings.lake_uri)
            if len(done(instance, settings, resumed)) < len(days):
                return resumed
    cut = None if force else dict(stream.versions) if stream else {}
    begun = now.astimezone(UTC).isoformat(timespec="milliseconds")
    return Backfill(days, keys, is_whole, begun, cut, settings.lake_uri)


def done(instance: dg.DagsterInstance, settings: Settings, backfill: Backfill) -> set[date]:
    """The days that need no run."""
    lake = _Lake(settings)
    made = _made(instance, lake, backfill)
    return {day for day in backfill.days if not _to_make(backfill, made[day], lake, day)}


def work(instance: dg.DagsterInstance, settings: Settings, backfill: Backfill, say: Callable[[Day], None]) -> bool:
    """Make the days that are not done, oldest first, and say of each how it came out. Stops at a day that fails: False.

    The first run makes dimensions too. Where the backfill is of all that is made by day, all of them, and it judges silver; else those that
    its tables are joined to: the versions of silver that they were made from may be gone.
    """
    lake = _Lake(settings)
    made = _made(instance, lake, backfill)
    is_first = True
    for day in backfill.days:
        keys = _to_make(backfill, made[day], lake, day)
        if not keys:
            say(Day(day, is_skipped=True))
            continue
        began = time.monotonic()
        if is_first and keys == backfill.keys:
            keys = frozenset() if backfill.is_whole else keys | joined_keys(keys)
            is_first = False
        outcome = run(day.isoformat(), instance, keys, backfill.tags, keeps_session=True)
        lake = _Lake(settings)  # this run may have overtaken a later day
        count = len({event.asset_key for event in outcome.get_asset_materialization_events()})
        why = () if outcome.success else tuple(failures(outcome.all_events)) or ("a check that blocks failed",)
        say(Day(day, seconds=time.monotonic() - began, table_count=count, failures=why))
        if not outcome.success:
            return False
    return True


def joined_keys(keys: Iterable[dg.AssetKey]) -> frozenset[dg.AssetKey]:
    """What these assets are made from that batch makes as a whole, not by day: of facts the dimensions."""
    graph, by_day = daily_job().asset_layer.asset_graph, daily_keys()
    parents = {parent for key in keys for parent in graph.get(key).parent_keys}
    return frozenset(parents & graph.materializable_asset_keys - by_day)


def _made(instance: dg.DagsterInstance, lake: _Lake, backfill: Backfill) -> dict[date, dict[dg.AssetKey, _Made]]:
    """Per day the tables that were made last by a run that counts, checks included, and that the lake has.

    Dagster's word alone is not enough: its storage may outlive a lake that was wiped.
    """
    latest = {key: _latest(instance, backfill, key) for key in backfill.keys}
    run_ids = {one.run_id for days in latest.values() for one in days.values()}
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))} if run_ids else {}
    return {
        day: {
            key: days[day]
            for key, days in latest.items()
            if day in days
            and _counts(backfill, days[day], runs.get(days[day].run_id))
            and lake.version(key.to_user_string(), day) >= days[day].version_written
        }
        for day in backfill.days
    }


def _to_make(backfill: Backfill, made: Mapping[dg.AssetKey, _Made], lake: _Lake, day: date) -> frozenset[dg.AssetKey]:
    """All tables of a day of which one is not made; else those whose sources by day were made again since. Empty: it is done."""
    if made.keys() != backfill.keys:
        return backfill.keys
    return frozenset(key for key, one in made.items() if _is_overtaken(key.to_user_string(), one, lake, day))


def _is_overtaken(path: str, made: _Made, lake: _Lake, day: date) -> bool:
    mart = next((one for one in MARTS if one.table.path == path), None)
    if mart is None or not mart.days_back:
        return False
    sources = [source.path for source in mart.sources if source.owner == "batch"]
    days = [day - timedelta(days=back) for back in (0, *mart.days_back)]
    return any(lake.version(one, read) > made.version_read.get(one, -1) for one in sources for read in days)


def _latest(instance: dg.DagsterInstance, backfill: Backfill, key: dg.AssetKey) -> dict[date, _Made]:
    """By day the newest materialisation in this lake."""
    latest: dict[date, _Made] = {}
    where = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day.isoformat() for day in backfill.days])
    cursor: str | None = None
    while True:
        found = instance.fetch_materializations(where, limit=_MOST_EVENTS, cursor=cursor)
        for record in found.records:  # newest first
            said = _said(record)
            if record.partition_key and said.get("lake_uri") == backfill.lake_uri:
                one = _Made(record.run_id, said["version_written"], said["version_read"])
                latest.setdefault(date.fromisoformat(record.partition_key), one)
        cursor = found.cursor
        if not found.has_more or len(latest) == len(backfill.days):
            return latest


def _said(record: dg.EventLogRecord) -> dict[str, Any]:
    """The metadata of a materialisation."""
    made = record.asset_materialization
    return {name: getattr(value, "value", None) for name, value in made.metadata.items()} if made else {}


def _counts(backfill: Backfill, made: _Made, made_by: dg.DagsterRun | None) -> bool:
    """Whether the run succeeded, and was one of this backfill or read no older silver than there was when it began."""
    if made_by is None or made_by.status is not dg.DagsterRunStatus.SUCCESS:
        return False
    if made_by.tags.get(BACKFILL_TAG) == backfill.backfill_id:
        return True
    cut, read = backfill.cut, made.version_read
    return cut is not None and bool(read) and all(version >= cut.get(path, 0) for path, version in read.items())
