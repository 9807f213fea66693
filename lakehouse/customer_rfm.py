"""How `gold/customer_rfm` is kept: a day is made out of an earlier day and what changed since, or in full where none fits.

The rows of an earlier day are the state: they hold each customer's measures, and their commit says which transactions are in them. So state and
result are one commit, which a killed run leaves whole or not at all, and a day made twice or out of order takes nothing away.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import batch
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.settings import Settings
from lakehouse.tables import CUSTOMER_RFM, TRANSACTIONS
from lakehouse.transforms import rfm
from lakehouse.transforms import rfm_increment as increment
from lakehouse.transforms.rfm_increment import State

MOST_TOUCHED = 1_000_000
"""With more customers than this to be changed, their table is too large to be sent to every task, and nothing is saved any more."""


@dataclass(frozen=True)
class Made:
    """What a run did. `is_increment` and `reason` say which way and why; seconds are wall time, publishing is the write of the rows."""

    written: batch.Written
    is_increment: bool
    reason: str
    computing_seconds: float
    publishing_seconds: float


@dataclass(frozen=True)
class _Plan:
    customers: DataFrame
    counted: DataFrame
    reason: str
    held: tuple[DataFrame, ...]
    is_increment: bool


def make(spark: SparkSession, settings: Settings, day: date, version: int, *, in_full: bool = False) -> Made:
    """Write `day` out of `silver/transactions` at `version`; `in_full` looks for no earlier day."""
    started = time.monotonic()
    silver = batch.read(spark, settings, TRANSACTIONS, version)
    last = batch.last_batch(settings, TRANSACTIONS, version)
    state = "it was asked for in full" if in_full else _state(settings, day, version, last)
    plan = _full(silver, day, state) if isinstance(state, str) else _increment(spark, settings, silver, day, state)
    try:
        rows = rfm.scored(plan.customers, rfm.cut_points(plan.counted), day)
        computed = time.monotonic()
        sources, batches = {TRANSACTIONS.path: version}, {TRANSACTIONS.path: last}
        written = batch.replace_days(rows, settings, CUSTOMER_RFM, [day], sources, batches)
    finally:
        for frame in plan.held:
            frame.unpersist()
    return Made(written, plan.is_increment, plan.reason, computed - started, time.monotonic() - computed)


def differences(spark: SparkSession, settings: Settings, day: date) -> int:
    """How many rows of `day` differ from those that a full computation gives out of the same silver; 0 where all are the same.

    The same silver: the day may lie behind what the stream's VACUUM has left.
    """
    written = batch.last_write(settings, CUSTOMER_RFM, day)
    kept = batch.read(spark, settings, CUSTOMER_RFM).where(F.col("as_of_date") == day)
    silver = batch.read_source(spark, settings, TRANSACTIONS, written, batch.cut(spark, settings))
    again = rfm.rfm(silver, day)
    if _digest(kept) == _digest(again):
        return 0
    return kept.exceptAll(again).unionAll(again.exceptAll(kept)).count()


def _digest(rows: DataFrame) -> tuple[object, ...]:
    """Count and sum of the rows' 64-bit hashes: equal for equal rows in whatever order, without a sort."""
    hashes = F.xxhash64(*CUSTOMER_RFM.schema.names).cast("decimal(20,0)")
    return tuple(rows.agg(F.count(F.lit(1)), F.sum(hashes)).collect()[0])


def _state(settings: Settings, day: date, version: int, last: int) -> State | str:
    """What the last day before `day` is made from; in words, why it does not fit."""
    found = batch.last_write_before(settings, CUSTOMER_RFM, day)
    if found is None:
        return "no earlier day is there"
    as_of_date, written = found
    seen = written.batches.get(TRANSACTIONS.path)
    if seen is None:
        return f"the commit of {as_of_date} does not say what it has seen"
    if written.sources[TRANSACTIONS.path] > version or seen > last:
        return f"{as_of_date} has seen more of {TRANSACTIONS.path} than there is now"
    if batch.is_rebuilt(settings, seen):
        return f"{TRANSACTIONS.path} was rebuilt after {as_of_date} was made"
    if rfm.window(as_of_date)[1] <= rfm.window(day)[0]:
        return f"{as_of_date} shares no day with the window"
    return State(as_of_date, seen)


def _full(silver: DataFrame, day: date, reason: str) -> _Plan:
    customers = rfm.customers(silver, day).persist()
    return _Plan(customers, customers.withColumn("n", F.lit(1)), f"in full: {reason}", (customers,), False)


def _increment(spark: SparkSession, settings: Settings, silver: DataFrame, day: date, state: State) -> _Plan:
    """By the state; in full where its rows are gone, too much has changed, or a sum to be changed is one that was clipped."""
    kept = batch.read(spark, settings, CUSTOMER_RFM).where(F.col("as_of_date") == state.as_of_date)
    if kept.isEmpty():
        return _full(silver, day, f"{state.as_of_date} has no rows")
    changes = increment.changes(silver, state, day).persist()
    count = changes.count()
    if count > MOST_TOUCHED:
        changes.unpersist()
        return _full(silver, day, f"{count:,} customers have changed since {state.as_of_date}")
    before = increment.aged(kept, state, day)
    touched = increment.touched(before, changes).coalesce(1).persist()
    if not touched.where(F.col("was.monetary") == F.lit(MONEY_MAX)).isEmpty():
        changes.unpersist()
        touched.unpersist()
        return _full(silver, day, f"a sum of {state.as_of_date} that has changed since is {MONEY_MAX} USD or more")
    return _Plan(
        increment.customers_now(before, touched),
        increment.counted_now(before, touched),
        f"{state.as_of_date} and {count:,} customers that have changed since",
        (changes, touched),
        True,
    )
