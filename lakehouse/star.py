"""How the star is kept: dimensions as a whole, facts by day, and days again that late records or late changes have overtaken.

All facts are read at the cut that their dimensions were made from, so a fact never knows more than its dimensions and each of its keys is
in them. A run first looks for what came since the last one: late facts, and changes that give facts of earlier days another version.
Their days are replaced together with the day asked for, in one commit, so that after each run every day agrees with that cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import batch
from lakehouse import tables as t
from lakehouse.errors import GlobalMartError
from lakehouse.overtaken import Frames, Kept, Made, last_batches, overtaken
from lakehouse.settings import Settings
from lakehouse.sizing import FEW_ROWS, row_count
from lakehouse.storage import exists, open_table
from lakehouse.transforms import dimensions, facts
from lakehouse.transforms.scd2 import PRODUCT, USER, Member, dimension


class DimensionMissingError(GlobalMartError):
    """A fact table is asked for before a dimension that it is joined to."""


@dataclass(frozen=True)
class Dimension:
    """A versioned dimension; `seen_at` is, by path of streaming tables whose rows become facts, the column with the time of such a fact."""

    member: Member
    seen_at: dict[str, str]

    @property
    def sources(self) -> tuple[t.Table, ...]:
        return (self.member.changes, *(t.BY_PATH[path] for path in self.seen_at))

    def rows(self, frames: Frames) -> DataFrame:
        """The whole dimension out of the streaming tables by path."""
        seen = [frames[path].select(self.member.id, F.col(at).alias("seen_at")) for path, at in self.seen_at.items()]
        return dimension(frames[self.member.changes.path], reduce(DataFrame.unionByName, seen), self.member)


@dataclass(frozen=True, kw_only=True)
class Fact(Kept):
    """A fact table. `rows` makes some days out of streaming tables and dimensions by path; `money` is a column to be summed up, USD."""

    rows: Callable[[Frames, list[date]], DataFrame]
    money: str | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        return tuple(member.dimension.path for member in self.members)


_TIME, _START = "timestamp", "started_at"
_ITEMS, _CHANGES, _VISITS = t.TRANSACTION_ITEMS.path, t.INVENTORY_EVENTS.path, t.SESSIONS.path

USERS = Dimension(USER, {_ITEMS: _TIME, _VISITS: _START})
PRODUCTS = Dimension(PRODUCT, {_ITEMS: _TIME, _CHANGES: _TIME})
FIXED: dict[str, Callable[[], pa.Table]] = {
    t.DIM_DATE.path: dimensions.dates,
    t.DIM_COUNTRY.path: dimensions.countries,
    t.DIM_PAYMENT_METHOD.path: dimensions.payment_methods,
}


def _sales(frames: Frames, days: list[date]) -> DataFrame:
    items = facts.of_days(frames[_ITEMS], _TIME, days)
    return facts.sales(items, frames[t.DIM_USER.path], frames[t.DIM_PRODUCT.path])


def _sessions(frames: Frames, days: list[date]) -> DataFrame:
    return facts.sessions(facts.of_days(frames[_VISITS], _START, days), frames[t.DIM_USER.path])


def _inventory(frames: Frames, days: list[date]) -> DataFrame:
    items, changes, products = (frames[path] for path in (_ITEMS, _CHANGES, t.PRODUCTS.path))
    return facts.inventory_daily(items, changes, products, frames[t.DIM_PRODUCT.path], days)


SALES = Fact(
    table=t.FACT_SALES,
    members=(USER, PRODUCT),
    at=facts.SALES_AT,
    time_of={_ITEMS: _TIME},
    rows=_sales,
    money="line_amount",
)
SESSIONS = Fact(
    table=t.FACT_SESSIONS,
    members=(USER,),
    at=facts.SESSIONS_AT,
    time_of={_VISITS: _START},
    session_count="count(*)",
    rows=_sessions,
    money="revenue",
)
INVENTORY = Fact(
    table=t.FACT_INVENTORY_DAILY,
    members=(PRODUCT,),
    at=facts.INVENTORY_AT,
    time_of={_ITEMS: _TIME, _CHANGES: _TIME, t.PRODUCTS.path: _TIME},
    running=(_ITEMS, _CHANGES, t.PRODUCTS.path),
    rows=_inventory,
)
# Of more days the ids may be as many as the versions
_MOST_DAYS = 5
DIMENSIONS = (USERS, PRODUCTS)
FACTS = (SALES, SESSIONS, INVENTORY)


def make_fixed(spark: SparkSession, settings: Settings, table: t.Table) -> batch.Written:
    """Write a dimension that does not come from events, unless it has these rows already; `totals` has `row_count`."""
    rows = FIXED[table.path]()
    there = _written_as(settings, table, rows)
    if there is not None:
        return replace(there, totals={"row_count": rows.num_rows})
    return batch.replace_all(spark.createDataFrame(rows), settings, table, {}, {"row_count": F.count(F.lit(1))})


def _written_as(settings: Settings, table: t.Table, rows: pa.Table) -> batch.Written | None:
    """The commit that the table has these rows from; None where it has others."""
    try:
        written = batch.last_write(settings, table)
    except batch.NotMadeError:
        return None
    kept = open_table(settings, table).to_pyarrow_table(columns=table.schema.names).cast(table.schema)
    in_order = [(name, "ascending") for name in table.key]
    return written if kept.sort_by(in_order).equals(rows.sort_by(in_order)) else None


def make_dimension(
    spark: SparkSession, settings: Settings, wanted: Dimension, versions: Mapping[str, int]
) -> batch.Written:
    """Write a versioned dimension out of its sources at these versions (by path); `totals` has counts of all, current and inferred rows."""
    sources = {table.path: versions[table.path] for table in wanted.sources}
    frames = {table.path: batch.read(spark, settings, table, sources[table.path]) for table in wanted.sources}
    totals = {
        "row_count": F.count(F.lit(1)),
        "current_count": F.count_if("is_current"),
        "inferred_count": F.count_if("is_inferred"),
    }
    return batch.replace_all(wanted.rows(frames), settings, wanted.member.dimension, sources, totals)


def make_fact(spark: SparkSession, settings: Settings, fact: Fact, day: date) -> Made:
    """Write `day` of a fact table, and the days made before that were overtaken since its last run.

    `totals` are of `day` alone: `row_count`, and the sum of the fact's money where it has some. Raises DimensionMissingError.
    """
    versions = _joint_versions(settings, fact)
    frames = {path: batch.read(spark, settings, t.BY_PATH[path], version) for path, version in versions.items()}
    batches = last_batches(settings, fact, versions)
    repaired = overtaken(spark, settings, fact, frames, versions, batches) - {day}
    days = sorted({day} | repaired)
    named = {one.dimension.path: _named(settings, fact, one, frames, versions, days) for one in fact.members}
    # One file per day: what is read is mostly some days.
    rows = fact.rows({**frames, **named}, days).repartition(fact.day)
    of_day = F.col(fact.day) == F.lit(day)
    totals = {"row_count": F.count_if(of_day)}
    if fact.money:
        totals[f"{fact.money}_total_usd"] = F.sum(F.when(of_day, F.col(fact.money)))
    written = batch.replace_days(rows, settings, fact.table, days, versions, batches, totals)
    return Made(written, tuple(sorted(repaired)))


def _named(
    settings: Settings, fact: Fact, member: Member, frames: Frames, versions: Mapping[str, int], days: list[date]
) -> DataFrame:
    """The versions of a member, where there are many only those that facts of `days` can name: the others need not be sorted to be joined."""
    known, table = frames[member.dimension.path], member.dimension
    if fact.running or len(days) > _MOST_DAYS or row_count(settings, table, versions[table.path]) <= FEW_ROWS:
        return known
    ids = [facts.of_days(frames[path], time, days).select(member.id) for path, time in fact.time_of.items()]
    return known.join(F.broadcast(reduce(DataFrame.unionByName, ids).distinct()), member.id, "left_semi")


def _joint_versions(settings: Settings, fact: Fact) -> dict[str, int]:
    """By path the versions to read: the dimensions as they are, and streaming tables at the oldest cut of these dimensions."""
    versions: dict[str, int] = {}
    for member in fact.members:
        table = member.dimension
        if not exists(settings, table):
            raise DimensionMissingError(f"There is no {table.path} yet: materialise it, then {fact.table.path}.")
        written = batch.last_write(settings, table)
        versions[table.path] = written.version
        for path, version in written.sources.items():
            versions[path] = min(version, versions.get(path, version))
    return {path: version for path, version in versions.items() if path in (*fact.streams, *fact.dimensions)}
