"""What a check looks at: the rows of one table under test, and the views that its rules name, as they were when the rows were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import tables as t
from lakehouse.batch import NotMadeError, Written, last_write, read, read_source, version_at, version_there
from lakehouse.daily import order_lines
from lakehouse.marts import basket_pairs, product_performance, sales_trends
from lakehouse.marts.rfm_movements import DAYS_BACK
from lakehouse.quality.check import WHOLE
from lakehouse.settings import Settings
from lakehouse.sizing import FEW_ROWS, row_count
from lakehouse.star import DIMENSIONS, FACTS, FIXED, Dimension, Fact
from lakehouse.transforms.facts import closed, of_days
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
}
_OF_SILVER = {t.TRANSACTION_ITEMS.path: (t.TRANSACTIONS,), t.QUARANTINE.path: (t.DUPLICATES,)}

NOTHING: Mapping[str, int] = {}
"""A cut that names no table: each is read at its newest."""

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
    """Rows and views of one of `JUDGED`: of a table with daily partitions those of the commit that made `day`, of silver those at the `cut`.

    Such a commit has made other days again with it: they are judged together.

    What a table was made from is read at the version that its commit names; where maintenance has deleted that, at the `cut`, so that old
    days can be judged too. Where a commit does not say which micro-batches it has seen, what came late since then shows as a difference.
    Of silver only the rows that came after the micro-batch `since`, where one is given.
    Raises TableMissingError (silver is not there) and NotMadeError (the table was not made, or not for that day).
    """
    if table.layer == "silver":
        return of_silver(spark, settings, table, cut, since)
    if table.path in FIXED:
        # written where it differed, which may be long ago
        version = version_there(settings, table, last_write(settings, table).version, cut)
        return read(spark, settings, table, version), {}
    for dimension in DIMENSIONS:
        if dimension.member.dimension is table:
            return of_dimension(spark, settings, dimension, cut)
    if day is None:
        raise NotMadeError(f"{table.path} is made day by day, and no day is named.")
    for fact in FACTS:
        if fact.table is table:
            return of_fact(spark, settings, fact, day, cut)
    if table is t.FUNNEL_DAILY:
        return of_funnel(spark, settings, day, cut)
    return of_mart(spark, settings, table, day, cut)


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


def of_dimension(
    spark: SparkSession, settings: Settings, dimension: Dimension, cut: Mapping[str, int] = NOTHING
) -> RowsAndViews:
    """All rows of a versioned dimension, and the changes it was made from."""
    table, changes = dimension.member.dimension, dimension.member.changes
    written = last_write(settings, table)
    view = read_source(spark, settings, changes, written, cut)
    return read(spark, settings, table, written.version), {changes.view: view}


def of_fact(
    spark: SparkSession, settings: Settings, fact: Fact, day: date, cut: Mapping[str, int] = NOTHING
) -> RowsAndViews:
    """The rows that were made with `day`; of its streaming tables what belongs to these days, its versioned dimensions, and all others."""
    written = _made_with(settings, fact.table, day, cut)
    then = {
        path: read_source(spark, settings, t.BY_PATH[path], written, cut) for path in (*fact.dimensions, *fact.time_of)
    }
    then |= {path: of_days(then[path], time, written.days) for path, time in fact.time_of.items()}
    if t.SESSIONS.path in then:
        then[t.SESSIONS.path] = closed(then[t.SESSIONS.path])
    then |= {path: read(spark, settings, t.BY_PATH[path]) for path in FIXED}
    rows = _of_days(spark, settings, fact.table, written)
    for member in fact.members:
        path = member.dimension.path
        then[path] = _with_keys_of(rows, then[path], member.key, row_count(settings, member.dimension))
    return rows, {t.BY_PATH[path].view: frame for path, frame in then.items()}


def _with_keys_of(rows: DataFrame, versions: DataFrame, key: str, count: int) -> DataFrame:
    """The versions, where there are many only those that `rows` name: rules look a row's version up by its key, and no other."""
    if count <= FEW_ROWS:
        return versions
    return versions.join(F.broadcast(rows.select(key).distinct()), key, "left_semi")


def of_funnel(spark: SparkSession, settings: Settings, day: date, cut: Mapping[str, int] = NOTHING) -> RowsAndViews:
    """The rows that were made with `day`, and the closed sessions of these days."""
    written = _made_with(settings, t.FUNNEL_DAILY, day, cut)
    sessions = read_source(spark, settings, t.SESSIONS, written, cut)
    of_them = sessions.where(F.col("started_date").isin(list(written.days)))
    return _of_days(spark, settings, t.FUNNEL_DAILY, written), {t.SESSIONS.view: closed(of_them)}


def of_mart(
    spark: SparkSession, settings: Settings, table: t.Table, day: date, cut: Mapping[str, int] = NOTHING
) -> RowsAndViews:
    """The rows of `day`, and what they were made from as far as the mart's rules ask for it."""
    written = _made_with(settings, table, day, cut)
    then = {
        t.BY_PATH[path].view: part(read_source(spark, settings, t.BY_PATH[path], written, cut), day)
        for path, part in _OF_MARTS[table.path].items()
    }
    return _of_days(spark, settings, table, written), then


def _made_with(settings: Settings, table: t.Table, day: date, cut: Mapping[str, int]) -> Written:
    """The last commit that made `day`; where maintenance has deleted its version, a later one, whose other days may be other by then."""
    written = last_write(settings, table, day)
    there = version_there(settings, table, written.version, cut)
    return written if there == written.version else replace(written, version=there, days=(day,))


def _of_days(spark: SparkSession, settings: Settings, table: t.Table, written: Written) -> DataFrame:
    (column,) = table.partition_by
    return read(spark, settings, table, written.version).where(F.col(column).isin(list(written.days)))
