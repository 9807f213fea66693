"""Which days of a table made by day are other now than when they were made: the same way for facts and for marts.

A run makes these days again in one commit with its own day, and that commit says which micro-batches it has seen. So all days of a table have
always seen the same, and what came since the table's last commit is all that they can lack. Where nothing came, files' statistics say so, and
nothing is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession

from lakehouse import batch
from lakehouse import tables as t
from lakehouse.settings import Settings
from lakehouse.transforms.facts import closed
from lakehouse.transforms.scd2 import Member, rekeyed

Frames = Mapping[str, DataFrame]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A table with daily partitions whose days are made again once they are overtaken.

    `time_of` is, by path of the streaming tables it is made from, the column whose day a row belongs to; a late row of those that are
    `running` overtakes all days from its own on. `members` are the dimensions whose keys it has, `at` is SQL for the instant of these keys.
    `session_count`, for a table made of sessions, is SQL for how many closed ones some of its rows stand for.
    """

    table: t.Table
    time_of: dict[str, str]
    running: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    at: str = ""
    session_count: str | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """All streaming tables that decide about its rows: its own and those of its members' changes."""
        return tuple(dict.fromkeys((*self.time_of, *(member.changes.path for member in self.members))))

    @property
    def day(self) -> str:
        """The column with the day."""
        (name,) = self.table.partition_by
        return name


@dataclass(frozen=True)
class Made:
    """What a run of such a table did: its commit, the days beside the one asked for that it made again, and in words what it made it from."""

    written: batch.Written
    repaired: tuple[date, ...]
    made_from: str = ""


def last_batches(settings: Settings, kept: Kept, versions: Mapping[str, int]) -> dict[str, int]:
    """By path the last micro-batches of its streaming tables at `versions`: what its commit is to say that it has seen."""
    return {path: batch.last_batch(settings, t.BY_PATH[path], versions[path]) for path in kept.streams}


def overtaken(
    spark: SparkSession,
    settings: Settings,
    kept: Kept,
    frames: Frames,
    versions: dict[str, int],
    batches: Mapping[str, int],
) -> set[date]:
    """Days made before that came out differently now: `frames` by path are at `versions`, and `batches` are the last in them.

    Late rows overtake days, and so do other versions of what rows name, sessions that are no more, and a rebuild, which keeps the batches'
    numbers and so overtakes all days.
    """
    made = batch.made_days(settings, kept.table)
    if not made:
        return set()
    last = batch.last_write(settings, kept.table)
    if last.sources == versions:
        return set()
    if not last.batches.keys() >= set(kept.streams) or batch.is_rebuilt(settings, max(last.batches.values())):
        return made
    new = {
        path: frames[path].where(F.col("batch_id") > last.batches[path])
        for path in kept.streams
        if batches[path] > last.batches[path]
    }
    looks = [_days(new[path], F.to_date(time), path) for path, time in kept.time_of.items() if path in new]
    looks += [
        _days(_rekeyed(spark, settings, kept, member, frames, new), F.col(kept.day), "")
        for member in kept.members
        if member.changes.path in new
    ]
    if kept.session_count:
        touched = made & _touched_days(settings, last.sources[t.SESSIONS.path], versions[t.SESSIONS.path], made)
        if touched:
            looks.append(_days(_recounted(spark, settings, kept, frames, touched), F.col(kept.day), ""))
    if not looks:
        return set()
    found = [(row["path"], row["day"]) for row in reduce(DataFrame.unionByName, looks).distinct().collect()]
    days = {day for _, day in found}
    for path in kept.running:
        first = min((day for where, day in found if where == path), default=date.max)
        days |= {day for day in made if day >= first}
    return days & made


def _days(rows: DataFrame, day: Column, path: str) -> DataFrame:
    return rows.select(F.lit(path).alias("path"), day.alias("day"))


def _rekeyed(
    spark: SparkSession, settings: Settings, kept: Kept, member: Member, frames: Frames, new: Frames
) -> DataFrame:
    """Rows of the table whose key is no longer that of the version that the newest changes make valid at their time."""
    changed = F.broadcast(new[member.changes.path].select(member.id).distinct())
    touched = batch.read(spark, settings, kept.table).join(changed, member.id, "left_semi")
    known = frames[member.dimension.path].join(changed, member.id, "left_semi")
    return rekeyed(touched, known, member, F.expr(kept.at))


def _touched_days(settings: Settings, since: int, version: int, made: set[date]) -> set[date]:
    """Days of which `gold/sessions` has other files at `version` than at `since`; all that are `made` where `since` is gone.

    A session that a late event merged into another is retracted by a row with a new batch, but the stream's compaction takes that row away
    with the session. Such a day has other files, and fewer sessions.
    """
    now, then = (batch.files_by_day(settings, t.SESSIONS, one) for one in (version, since))
    return made if now is None or then is None else {day for _, day in now ^ then}


def _recounted(spark: SparkSession, settings: Settings, kept: Kept, frames: Frames, days: set[date]) -> DataFrame:
    """Those of `days` that have another number of closed sessions than the table's rows stand for.

    Where no session of a day has a newer row, those of now are a part of those of then: so equal numbers are equal sessions.
    """
    of_days = frames[t.SESSIONS.path].where(F.col("started_date").isin(sorted(days)))
    counted = closed(of_days).groupBy(F.col("started_date").alias(kept.day)).agg(F.count(F.lit(1)).alias("now"))
    rows = batch.read(spark, settings, kept.table).where(F.col(kept.day).isin(sorted(days)))
    stood_for = rows.groupBy(kept.day).agg(F.expr(str(kept.session_count)).alias("before"))
    is_other = F.coalesce("now", F.lit(0)) != F.coalesce("before", F.lit(0))
    return counted.join(stood_for, kept.day, "full").where(is_other)
