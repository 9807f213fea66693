"""How `gold/customer_rfm` is kept: a day is made out of an earlier day and what changed since, or in full where none fits.

The rows of an earlier day are the state: they hold each customer's measures, and their commit says which transactions are in them. So state and
result are one commit, which a killed run leaves whole or not at all, and a day made twice or out of order takes nothing away.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import batch, earlier
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import CUSTOMER_RFM, TRANSACTIONS
from lakehouse.transforms import rfm
from lakehouse.transforms import rfm_increment as increment
from lakehouse.transforms.state import MOST_CHANGED, State

MOST_KEPT = 100_000_000
"""More customers than this are left to Spark, which spreads them over its executors; one process takes seconds for 10 million."""


@dataclass(frozen=True)
class Made:
    """What a run did. `is_increment` and `reason` say which way and why; seconds are wall time, publishing is the write of the rows."""

    written: batch.Written
    is_increment: bool
    reason: str
    computing_seconds: float
    publishing_seconds: float


def make(spark: SparkSession, settings: Settings, day: date, version: int, *, in_full: bool = False) -> Made:
    """Write `day` out of `silver/transactions` at `version`; `in_full` looks for no earlier day."""
    started = time.monotonic()
    silver = batch.read(spark, settings, TRANSACTIONS, version)
    last = batch.last_batch(settings, TRANSACTIONS, version)
    sources, batches = {TRANSACTIONS.path: version}, {TRANSACTIONS.path: last}
    state = "it was asked for in full" if in_full else _state(settings, day, version, last)
    with ExitStack() as held:
        moved = state if isinstance(state, str) else _increment(held, settings, silver, day, state)
        if isinstance(moved, str):
            is_increment, reason, rows = False, f"in full: {moved}", _full(held, silver, day)
            computed = time.monotonic()
            written = batch.replace_days(rows, settings, CUSTOMER_RFM, [day], sources, batches)
        else:
            is_increment, (reason, arrow) = True, moved
            computed = time.monotonic()
            written = batch.replace_days_from_arrow(arrow, settings, CUSTOMER_RFM, [day], sources, batches)
    return Made(written, is_increment, reason, computed - started, time.monotonic() - computed)


def differences(spark: SparkSession, settings: Settings, day: date) -> int:
    """How many rows of `day` differ from those that a full computation gives out of the same silver; 0 where all are the same.

    The same silver: the day may lie behind what the stream's VACUUM has left.
    """
    written = batch.last_write(settings, CUSTOMER_RFM, day)
    kept = batch.read(spark, settings, CUSTOMER_RFM).where(F.col("as_of_date") == day)
    silver = batch.read_source(spark, settings, TRANSACTIONS, written, batch.cut(spark, settings))
    return earlier.differing(kept, rfm.rfm(silver, day))


def _state(settings: Settings, day: date, version: int, last: int) -> State | str:
    """What the last day before `day` is made from; in words, why it does not fit."""
    found = earlier.state(settings, CUSTOMER_RFM, TRANSACTIONS, day, version, last)
    if isinstance(found, State) and rfm.window(found.as_of_date)[1] <= rfm.window(day)[0]:
        return f"{found.as_of_date} shares no day with the window"
    return found


def _full(held: ExitStack, silver: DataFrame, day: date) -> DataFrame:
    customers = rfm.customers(silver, day).persist()
    held.callback(customers.unpersist)
    return rfm.scored(customers, rfm.cut_points(customers), day)


def _increment(
    held: ExitStack, settings: Settings, silver: DataFrame, day: date, state: State
) -> tuple[str, pa.RecordBatchReader] | str:
    """What it was made from, and rows that can be read while `held` is; in words, why the state cannot be moved on."""
    of_day = f"as_of_date = '{state.as_of_date}'"
    kept = open_table(settings, CUSTOMER_RFM).to_pyarrow_dataset(file_pruning_predicate=of_day)
    count = kept.count_rows()
    if not count:
        return f"{state.as_of_date} has no rows"
    if count > MOST_KEPT:
        return f"{state.as_of_date} has {count:,} customers"
    changes = increment.changes(silver, state, day).limit(MOST_CHANGED + 1).toArrow()
    if len(changes) > MOST_CHANGED:
        return f"more than {MOST_CHANGED:,} customers have changed since {state.as_of_date}"
    with ExitStack() as opened:
        duck = opened.enter_context(increment.moved(kept, changes, (day - state.as_of_date).days))
        if increment.is_clipped(duck):
            return f"a sum of {state.as_of_date} that has changed since is {MONEY_MAX} USD or more"
        rows = increment.scored(duck, increment.cut_points(duck), day)
        held.push(opened.pop_all())
    return f"{state.as_of_date} and {len(changes):,} customers that have changed since", rows
