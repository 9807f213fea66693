"""An earlier day's rows as the state that a later day is made from: what they have seen, and what has changed since. Pure, frames to frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from lakehouse.days import midnight

MOST_CHANGED = 1_000_000
"""With more customers than this to be changed, next to nothing is saved, and all of them would have to come to one process."""


@dataclass(frozen=True)
class State:
    """What an earlier day's rows are made from: of what had come by the micro-batch `last_batch` all that counts on `as_of_date`."""

    as_of_date: date
    last_batch: int

    @property
    def counted(self) -> Column:
        """True for rows of the source that happened by the end of `as_of_date` and had come by then."""
        end = midnight(self.as_of_date + timedelta(days=1))
        return (F.col("batch_id") <= self.last_batch) & (F.col("timestamp") < F.lit(end))


@dataclass(frozen=True)
class Since:
    """An earlier day of a mart of customers, and what has changed since.

    `rows` are the mart's of that day. The `customer_count` `customers` (`user_id`) are those who have order lines now that were not
    counted then; `then` and `now` are all lines of theirs, as they were counted then and as they are to be counted.
    """

    as_of_date: date
    rows: DataFrame
    customers: DataFrame
    customer_count: int
    then: DataFrame
    now: DataFrame
