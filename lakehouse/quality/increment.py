"""Which rows of a silver table a day's check judges: those that came since the last check that found nothing wrong. docs/adr/0012 says why."""

from __future__ import annotations

from dataclasses import dataclass

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse import batch
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import Table

MOST_NEW = 3_000_000
"""With more new rows than this their keys are too large to be sent to every task, and a pass over all rows costs no more."""


@dataclass(frozen=True)
class Seen:
    """What a check has seen: all rows up to the micro-batch `batch_id` (-1: none) of the Delta table with this id."""

    table_id: str
    batch_id: int


def seen(settings: Settings, table: Table, version: int) -> Seen:
    """What a check of this version of the silver table `table` sees."""
    return Seen(str(open_table(settings, table).metadata().id), batch.last_batch(settings, table, version))


def since(settings: Settings, rows: DataFrame, now: Seen, before: Seen | None) -> int | None:
    """The micro-batch after which rows are to be judged, given what the last check has seen. None, for all rows, where that is not known
    or is not a part of what is seen `now`, after a rebuild, and with more than MOST_NEW new rows.
    """
    if before is None or before.table_id != now.table_id or before.batch_id > now.batch_id:
        return None
    if batch.is_rebuilt(settings, before.batch_id):
        return None
    is_little = rows.where(F.col("batch_id") > before.batch_id).count() <= MOST_NEW
    return before.batch_id if is_little else None
