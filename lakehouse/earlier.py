"""Which earlier day of a table a later one can be made from, and what has changed since. The same way for all tables of customers.

Late records are no special case: they came after the micro-batch that the earlier day's commit names, whenever they happened.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import batch
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.transforms.state import MOST_CHANGED, Since, State


def state(settings: Settings, table: Table, source: Table, day: date, version: int, last: int) -> State | str:
    """What the last day of `table` before `day` is made from; in words, why there is none that fits.

    `version` is that of the streaming table `source` which `day` is made from, `last` the last micro-batch in it.
    """
    found = batch.last_write_before(settings, table, day)
    if found is None:
        return "no earlier day is there"
    as_of_date, written = found
    seen = written.batches.get(source.path)
    if seen is None:
        return f"the commit of {as_of_date} does not say what it has seen"
    if written.sources[source.path] > version or seen > last:
        return f"{as_of_date} has seen more of {source.path} than there is now"
    if batch.is_rebuilt(settings, seen):
        return f"{source.path} was rebuilt after {as_of_date} was made"
    return State(as_of_date, seen)


def since(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    lines: DataFrame,
    then: State,
    keep: Callable[[DataFrame], DataFrame],
) -> Since | str:
    """What has changed since the earlier day `then` of `table`; in words, why that is too much.

    `lines` are all that count now: rows of silver/transaction_items as far as the mart names their columns, with `user_id`, `timestamp`
    and `batch_id`. What is handed to `keep` is computed once.
    """
    customers = keep(lines.where(~then.counted).select("user_id").distinct().limit(MOST_CHANGED + 1))
    count = customers.count()
    if count > MOST_CHANGED:
        return f"more than {MOST_CHANGED:,} customers have changed since {then.as_of_date}"
    theirs = keep(lines.join(F.broadcast(customers), "user_id", "left_semi"))
    (day,) = table.partition_by
    rows = batch.read(spark, settings, table).where(F.col(day) == F.lit(then.as_of_date))
    return Since(then.as_of_date, rows, customers, count, theirs.where(then.counted), theirs)


def differing(kept: DataFrame, again: DataFrame) -> int:
    """How many rows are in one of the two and not in the other, in whatever order; 0 where all are the same."""
    again = again.select(*kept.columns)
    if _digest(kept) == _digest(again):
        return 0
    return kept.exceptAll(again).unionAll(again.exceptAll(kept)).count()


def _digest(rows: DataFrame) -> tuple[object, ...]:
    """Count and sum of the rows' 64-bit hashes: equal for equal rows in whatever order, without a sort."""
    hashes = F.xxhash64(*rows.columns).cast("decimal(20,0)")
    return tuple(rows.agg(F.count(F.lit(1)), F.sum(hashes)).collect()[0])
