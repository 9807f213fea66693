"""What a check looks at: the rows of one table under test, and the views that its rules name, as they were when the rows were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import tables as t
from lakehouse.batch import NotMadeError, last_write, read, version_at
from lakehouse.daily import order_lines
from lakehouse.marts import basket_pairs, product_performance, sales_trends
from lakehouse.marts.rfm_movements import DAYS_BACK
from lakehouse.quality.check import WHOLE
from lakehouse.settings import Settings
from lakehouse.star import DIMENSIONS, FACTS, FIXED, Dimension, Fact
from lakehouse.transforms.facts import newest, of_days
from lakehouse.transforms.rfm import in_window

RowsAndViews = tuple[DataFrame, Mapping[str, DataFrame]]
View = Callable[[DataFrame, date], DataFrame]


def _of_last(days: int) -> View:
    """Order lines of that many days."""
    return lambda items, day: order_lines(items, day - timedelta(days=days - 1), day)


# By mart, and by path of what it is made from: the part of it that the mart's rules compare with
_OF_MARTS: dict[str, dict[str, View]] = {
    t.CUSTOMER_RFM.path: {t.TRANSACTIONS.path: lambda orders, day: orders.where(in_window(day))},
    t.RFM_MOVEMENTS.path: {
        t.CUSTOMER_RFM.path: lambda scores, day: scores.where(
            F.col("as_of_date").isin(day, *(day - timedelta(days=back) for back in DAYS_BACK))
        )
    },
    t.PRODUCT_PERFORMANCE.path: {
        t.TRANSACTION_ITEMS.path: _of_last(product_performance.PERIOD_DAYS),
        t.PRODUCTS.path: lambda products, _day: products,
    },
    t.SALES_TRENDS.path: {t.TRANSACTION_ITEMS.path: _of_last(sales_trends.SHOWN_DAYS)},
    t.COHORT_RETENTION.path: {t.TRANSACTION_ITEMS.path: lambda items, day: order_lines(items, None, day)},
    t.CUSTOMER_LIFETIME_VALUE.path: {t.TRANSACTION_ITEMS.path: lambda items, day: order_lines(items, None, day)},
    t.BASKET_PAIRS.path: {t.TRANSACTION_ITEMS.path: _of_last(basket_pairs.WINDOW_DAYS)},
    t.FUNNEL_DAILY.path: {
        t.SESSIONS.path: lambda sessions, day: newest(
            sessions.where(F.col("started_date") == F.lit(day)), t.SESSIONS
        ).where("NOT is_open")
    },
}
_OF_SILVER = {t.TRANSACTION_ITEMS.path: (t.TRANSACTIONS,), t.QUARANTINE.path: (t.DUPLICATES,)}

JUDGED: tuple[t.Table, ...] = tuple(
    table for table in t.TABLES if table.layer == "silver" or (table.layer == "gold" and table.owner == "batch")
)


def look(
    spark: SparkSession,
    settings: Settings,
    table: t.Table,
    day: date | None,
    cut: Mapping[str, int],
    since: int | None = None,
) -> RowsAndViews:
    """Rows and views of one of `JUDGED`: of a table with daily partitions those of `day`, of silver those at the `cut`.

    Of silver only the rows that came after the micro-batch `since`, where one is given.

    Raises TableMissingError (silver is not there) and NotMadeError (the table was not made, or not for that day).
    """
    if table.layer == "silver":
        return of_silver(spark, settings, table, cut, since)
    if table.path in FIXED:
        return read(spark, settings, table, last_write(settings, table).version), {}
    for dimension in DIMENSIONS:
        if dimension.member.dimension is table:
            return of_dimension(spark, settings, dimension)
    if day is None:
        raise NotMadeError(f"{table.path} is made day by day, and no day is named.")
    for fact in FACTS:
        if fact.table is table:
            return of_fact(spark, settings, fact, day)
    return of_mart(spark, settings, table, day)


def of_silver(
    spark: SparkSession, settings: Settings, table: t.Table, cut: Mapping[str, int], since: int | None
) -> RowsAndViews:
    """All rows at the cut, or those after the micro-batch `since` with all of them as the view WHOLE."""
    others = _OF_SILVER.get(table.path, ())
    rows, *views = (read(spark, settings, one, version_at(settings, one, cut)) for one in (table, *others))
    named = dict(zip((one.view for one in others), views, strict=True))
    if since is None:
        return rows, named
    is_new = F.col("batch_id") > since
    if table is t.TRANSACTION_ITEMS:  # lines come with the micro-batch of their order, so older orders have none here
        named[t.TRANSACTIONS.view] = named[t.TRANSACTIONS.view].where(is_new)
    return rows.where(is_new), {**named, WHOLE: rows}


def of_dimension(spark: SparkSession, settings: Settings, dimension: Dimension) -> RowsAndViews:
    """All rows of a versioned dimension, and the changes it was made from."""
    table, changes = dimension.member.dimension, dimension.member.changes
    written = last_write(settings, table)
    view = read(spark, settings, changes, written.sources[changes.path])
    return read(spark, settings, table, written.version), {changes.view: view}


def of_fact(spark: SparkSession, settings: Settings, fact: Fact, day: date) -> RowsAndViews:
    """The rows of `day`; of its streaming tables what belongs to that day, its versioned dimensions, and all others."""
    written = last_write(settings, fact.table, day)
    then = {
        path: read(spark, settings, t.BY_PATH[path], written.sources[path])
        for path in (*fact.dimensions, *fact.time_of)
    }
    then |= {path: of_days(then[path], time, [day]) for path, time in fact.time_of.items()}
    if t.SESSIONS.path in then:
        then[t.SESSIONS.path] = newest(then[t.SESSIONS.path], t.SESSIONS).where("NOT is_open")
    then |= {path: read(spark, settings, t.BY_PATH[path]) for path in FIXED}
    return _of_day(spark, settings, fact.table, day, written.version), {
        t.BY_PATH[path].view: frame for path, frame in then.items()
    }


def of_mart(spark: SparkSession, settings: Settings, table: t.Table, day: date) -> RowsAndViews:
    """The rows of `day`, and what they were made from as far as the mart's rules ask for it."""
    written = last_write(settings, table, day)
    then = {
        t.BY_PATH[path].view: part(read(spark, settings, t.BY_PATH[path], written.sources[path]), day)
        for path, part in _OF_MARTS[table.path].items()
    }
    return _of_day(spark, settings, table, day, written.version), then


def _of_day(spark: SparkSession, settings: Settings, table: t.Table, day: date, version: int) -> DataFrame:
    (column,) = table.partition_by
    return read(spark, settings, table, version).where(F.col(column) == F.lit(day))
