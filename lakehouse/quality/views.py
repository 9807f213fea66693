"""What the checks of the star look at: the rows under test, and the views that its rules name, as they were when the rows were made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import tables as t
from lakehouse.batch import last_write, read
from lakehouse.settings import Settings
from lakehouse.star import FIXED, Dimension, Fact
from lakehouse.transforms.facts import newest, of_days

RowsAndViews = tuple[DataFrame, Mapping[str, DataFrame]]


def of_fixed(spark: SparkSession, settings: Settings, table: t.Table) -> RowsAndViews:
    """All rows of a dimension that does not come from events."""
    return read(spark, settings, table), {}


def of_dimension(spark: SparkSession, settings: Settings, dimension: Dimension) -> RowsAndViews:
    """All rows of a versioned dimension, and the changes it was made from."""
    table, changes = dimension.member.dimension, dimension.member.changes
    written = last_write(spark, settings, table)
    view = read(spark, settings, changes, written.sources[changes.path])
    return read(spark, settings, table, written.version), {changes.view: view}


def of_fact(spark: SparkSession, settings: Settings, fact: Fact, day: date) -> RowsAndViews:
    """The rows of `day`; of its streaming tables what belongs to that day, its versioned dimensions, and all others."""
    written = last_write(spark, settings, fact.table, day)
    then = {
        path: read(spark, settings, t.BY_PATH[path], written.sources[path])
        for path in (*fact.dimensions, *fact.time_of)
    }
    then |= {path: of_days(then[path], time, [day]) for path, time in fact.time_of.items()}
    if t.SESSIONS.path in then:
        then[t.SESSIONS.path] = newest(then[t.SESSIONS.path], t.SESSIONS).where("NOT is_open")
    then |= {path: read(spark, settings, t.BY_PATH[path]) for path in FIXED}
    (column,) = fact.table.partition_by
    rows = read(spark, settings, fact.table, written.version).where(F.col(column) == day)
    return rows, {t.BY_PATH[path].view: frame for path, frame in then.items()}
