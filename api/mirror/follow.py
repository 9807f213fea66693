"""Follows gold: what each table's commits changed since the version that the mirror shows, and how it takes that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake.exceptions import DeltaError

from api.errors import MirrorError, ServingError, SourceError
from api.mirror.plan import Mirrored
from api.mirror.target import Shown, Target, now
from api.source import MOST_COMMITS, Commit, GoldTable, first_line, newest_value
from lakehouse.days import midnight
from lakehouse.settings import Settings

# An older row of a snapshot may lie in an earlier day than its newest one, never by more than late events reach.
_MARGIN = timedelta(days=1)
# What a step reads of a live table is held in memory; the rest of a longer absence is taken in the next rounds.
_MOST_ROWS = 200_000


@dataclass
class Window:
    """The days of a table that the mirror has: the newest `mirrored.days` of what gold has. Found when the table is opened."""

    mirrored: Mirrored
    first_day: date | None = None

    def of(self, dataset: pads.Dataset) -> pc.Expression | None:
        """The rows to load, as a filter; sets `first_day`."""
        if self.mirrored.day is None or self.mirrored.days is None:
            return None
        newest = _newest_day(dataset, self.mirrored.day)
        if newest is None:
            return None
        self.first_day = self.reaching(newest)
        assert self.first_day is not None  # noqa: S101 - there are days
        margin = _MARGIN if self.mirrored.table.reading == "snapshots" else timedelta(0)
        kind = self.mirrored.table.schema.field(self.mirrored.day).type
        since = midnight(self.first_day - margin)
        return pc.field(self.mirrored.day) >= pa.scalar(since if pa.types.is_timestamp(kind) else since.date(), kind)

    def reaching(self, newest: date) -> date | None:
        """The first day where `newest` is the last."""
        return newest - timedelta(days=self.mirrored.days - 1) if self.mirrored.days else None


def _newest_day(dataset: pads.Dataset, column: str) -> date | None:
    newest: datetime | date | None = newest_value(dataset, column)
    return newest.date() if isinstance(newest, datetime) else newest


class Mirror:
    """Brings tables of the mirror up to date, one transaction each.

    `problems` says, by path, why a table stayed as it was at the last refresh; `is_behind` that there was more than a refresh takes.
    """

    def __init__(self, settings: Settings, tables: Iterable[Mirrored]) -> None:
        self._settings = settings
        self.tables = tuple(tables)
        self._sources = {one.table.path: GoldTable(settings, one.table, one.table.schema) for one in self.tables}
        self.problems: dict[str, str] = {}
        self.is_behind = False

    def refresh(self) -> dict[str, Shown]:
        """Take what is new in gold; what the mirror shows afterwards. Raises MirrorError where PostgreSQL is away."""
        self.problems, self.is_behind = {}, False
        with Target(self._settings) as target:
            target.prepare()
            for one in self.tables:
                try:
                    with target.transaction():
                        if target.claim(one):
                            self._take(target, one, target.shown().get(one.table.path))
                except SourceError as error:
                    self.problems[one.table.path] = str(error)
                except MirrorError as error:
                    self.problems[one.table.path] = f"{one.table.path}: {error}"
                except (OSError, DeltaError, pa.ArrowException) as error:
                    self.problems[one.table.path] = f"{one.table.path}: {first_line(error)}"
            with target.transaction():
                return target.shown()

    def rebuild(self) -> dict[str, Shown]:
        """Load every table anew from gold, whatever the mirror shows. Raises ServingError for the first that cannot be."""
        with Target(self._settings) as target:
            target.prepare()
            for one in self.tables:
                with target.transaction():
                    target.claim(one, wait=True)
                    self._load(target, one)
            with target.transaction():
                return target.shown()

    def _take(self, target: Target, one: Mirrored, shown: Shown | None) -> None:
        source = self._sources[one.table.path]
        commits = source.commits_since(shown.delta_version, shown.log_digest) if shown else None
        if shown is None or commits is None:
            self._load(target, one)
        elif commits and one.is_live:
            self._take_live(target, one, shown, commits)
        elif commits:
            self._take_days(target, one, shown, commits)

    def _load(self, target: Target, one: Mirrored) -> None:
        """Load the table as a whole; one that gold does not have leaves the mirror."""
        began, window = now(), Window(one)
        snapshot = self._sources[one.table.path].snapshot(window.of)
        if snapshot is None:
            target.forget(one)
            return
        count = target.load(one, snapshot.batches, window.first_day)
        done = now()
        target.record(
            Shown(
                one.table.path,
                snapshot.version,
                snapshot.digest,
                window.first_day,
                count,
                snapshot.committed_at.replace(tzinfo=UTC),
                done,
                done,
                (done - began).total_seconds(),
            )
        )

    def _take_live(self, target: Target, one: Mirrored, shown: Shown, commits: list[Commit]) -> None:
        """Append what the commits added; a commit that took rows away needs a full load."""
        portion = _portion(commits)
        self.is_behind |= portion != commits or len(commits) == MOST_COMMITS
        news = [commit for commit in portion if not commit.tidies]
        if any(commit.rewrites for commit in news):
            self._load(target, one)
            return
        added = [commit for commit in news if commit.added]
        grown, first_day = 0, shown.first_day
        if added:
            rows = self._sources[one.table.path].added_rows(added).read_all()
            if one.day and rows.num_rows:
                newest = pc.max(rows[one.day]).as_py()
                reached = Window(one).reaching(newest.date() if isinstance(newest, datetime) else newest)
                first_day = max(reached, first_day or reached) if reached else None
            grown = target.step(one, rows.to_reader(), first_day)
        self._record(target, shown, portion[-1], grown, first_day)

    def _take_days(self, target: Target, one: Mirrored, shown: Shown, commits: list[Commit]) -> None:
        """Load the days anew that the commits touched; a table without days, or with one day in the mirror, as a whole."""
        last = commits[-1]
        changed = [commit for commit in commits if commit.added or commit.rewrites]
        touched = {text for commit in changed for text in commit.partitions}
        if not changed:
            self._record(target, shown, last, 0, shown.first_day)
            return
        if not one.day or None in touched or len(commits) == MOST_COMMITS or any(c.reforms for c in changed):
            self._load(target, one)
            return
        days = sorted(date.fromisoformat(text) for text in touched if text is not None)
        if shown.first_day and (
            not days or days[-1] < shown.first_day
        ):  # a backfill of days that the mirror does not have
            self._record(target, shown, last, 0, shown.first_day)
            return
        if one.days == 1:
            self._load(target, one)
            return
        window, asked = Window(one), pc.field(one.day).isin(pa.array(days, pa.date32()))
        snapshot = self._sources[one.table.path].snapshot(
            lambda dataset: _both(window.of(dataset), asked), last.version
        )
        if snapshot is None:
            target.forget(one)
            return
        grown = target.step(one, snapshot.batches, window.first_day, days)
        self._record(target, shown, last, grown, window.first_day)

    def _record(self, target: Target, shown: Shown, last: Commit, grown: int, first_day: date | None) -> None:
        target.record(
            replace(
                shown,
                delta_version=last.version,
                log_digest=last.digest,
                first_day=first_day,
                row_count=shown.row_count + grown,
                committed_at=last.committed_at.replace(tzinfo=UTC),
                mirrored_at=now(),
            )
        )


def _portion(commits: list[Commit]) -> list[Commit]:
    """The first of the commits, at least one, with no more than _MOST_ROWS rows."""
    rows = 0
    for place, commit in enumerate(commits):
        rows += commit.rows
        if rows > _MOST_ROWS and place:
            return commits[:place]
    return commits


def _both(first: pc.Expression | None, second: pc.Expression) -> pc.Expression:
    return second if first is None else first & second


CURABLE = (ServingError, OSError, DeltaError, pa.ArrowException)
"""What the world outside may do to a round; anything else is a bug."""
