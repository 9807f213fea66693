"""How the marts are kept: what each is made from, and how one day of it is made. A mart's own definition is in `lakehouse.marts`.

Order lines and stock come from silver at the run's cut, not from the fact tables: a mart looks back over days whose facts nobody may have made
yet, and would be too small without a word. The same rows at the same cut give the facts, so marts and facts agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import batch, earlier
from lakehouse import tables as t
from lakehouse.days import midnight
from lakehouse.marts import basket_pairs as pairs
from lakehouse.marts import cohort_retention as cohorts
from lakehouse.marts import customer_lifetime_value as value
from lakehouse.marts import product_performance as performance
from lakehouse.marts import sales_trends as trends
from lakehouse.marts.base import happened
from lakehouse.marts.funnel_daily import funnel_daily
from lakehouse.marts.rfm_movements import DAYS_BACK, rfm_movements
from lakehouse.overtaken import Frames, Kept, Made, last_batches, overtaken
from lakehouse.settings import Settings
from lakehouse.transforms.facts import newest, stock_days
from lakehouse.transforms.state import Since

Keep = Callable[[DataFrame], DataFrame]
Rows = Callable[[Frames, list[date], Keep], DataFrame]
MovedRows = Callable[[Since, date, Keep], DataFrame | str]


@dataclass(frozen=True)
class Mart:
    """A mart by day. `rows` makes days of it out of its sources by path; what it hands to its third argument is computed once.

    `days_back`: of a source that is made by day itself, it reads its own day and those so many days before.
    `totals` are SQL for what is summed up over the rows of a day, by the name under which a run reports it. Where `kept` is given, days are made
    again once they are overtaken; else a day stays as known when it was made, and `rows` gets that one day.

    A mart of all order lines has `moved`, which makes a day out of an earlier one where that fits, or says why it cannot.
    """

    table: t.Table
    sources: tuple[t.Table, ...]
    rows: Rows
    totals: dict[str, str] = field(default_factory=dict)
    kept: Kept | None = None
    days_back: tuple[int, ...] = ()
    moved: MovedRows | None = None


def make(
    spark: SparkSession,
    settings: Settings,
    mart: Mart,
    day: date,
    versions: Mapping[str, int],
    *,
    in_full: bool = False,
) -> Made:
    """Write `day` of a mart out of its sources at these versions (by path), and the days that were overtaken since its last run.

    `totals` are of `day` alone: `row_count` and what the mart reports. `in_full` looks for no earlier day.
    """
    sources = {table.path: versions[table.path] for table in mart.sources}
    frames = {table.path: batch.read(spark, settings, table, sources[table.path]) for table in mart.sources}
    batches: dict[str, int] = {}
    repaired: set[date] = set()
    if mart.kept:
        batches = last_batches(settings, mart.kept, sources)
        repaired = overtaken(spark, settings, mart.kept, frames, sources, batches) - {day}
    elif mart.moved:
        batches = {_ITEMS: batch.last_batch(settings, t.TRANSACTION_ITEMS, sources[_ITEMS])}
    of_day = F.col(*mart.table.partition_by) == F.lit(day)
    sums = {name: F.sum(F.when(of_day, F.expr(sql))) for name, sql in mart.totals.items()}
    totals = {"row_count": F.count_if(of_day), **sums}
    with ExitStack() as held:
        keep = partial(_kept, held)
        days = sorted({day} | repaired)
        rows, made_from = None, ""
        if mart.moved:
            moved = (
                "it was asked for in full"
                if in_full
                else _moved(spark, settings, mart, frames, day, sources, batches, keep)
            )
            rows, made_from = (None, f"in full: {moved}") if isinstance(moved, str) else moved
        if rows is None:
            rows = mart.rows(frames, days, keep)
        written = batch.replace_days(rows, settings, mart.table, days, sources, batches, totals)
    return Made(written, tuple(sorted(repaired)), made_from)


def differences(spark: SparkSession, settings: Settings, day: date, mart: Mart) -> int:
    """How many rows of `day` of a mart differ from those that a full computation gives out of the same silver; 0 where all are the same."""
    written = batch.last_write(settings, mart.table, day)
    now = batch.cut(spark, settings)
    frames = {table.path: batch.read_source(spark, settings, table, written, now) for table in mart.sources}
    kept = batch.read(spark, settings, mart.table).where(F.col(*mart.table.partition_by) == F.lit(day))
    with ExitStack() as held:
        return earlier.differing(kept, mart.rows(frames, [day], partial(_kept, held)))


def _kept(held: ExitStack, frame: DataFrame) -> DataFrame:
    """The frame, computed once until `held` is left."""
    held.callback(frame.persist().unpersist)
    return frame


def _moved(
    spark: SparkSession,
    settings: Settings,
    mart: Mart,
    frames: Frames,
    day: date,
    versions: Mapping[str, int],
    batches: Mapping[str, int],
    keep: Keep,
) -> tuple[DataFrame, str] | str:
    """Rows of `day` of a mart of all order lines out of an earlier day, and out of what; in words, why that does not go."""
    assert mart.moved  # noqa: S101 - the caller has looked
    then = earlier.state(settings, mart.table, t.TRANSACTION_ITEMS, day, versions[_ITEMS], batches[_ITEMS])
    if isinstance(then, str):
        return then
    lines = order_lines(frames[_ITEMS], None, day).select(*_OF_CUSTOMERS)
    since = earlier.since(spark, settings, mart.table, lines, then, keep)
    if isinstance(since, str):
        return since
    rows = mart.moved(since, day, keep)
    if isinstance(rows, str):
        return rows
    return rows, f"{then.as_of_date} and {since.customer_count:,} customers that have other lines since"


def _as_of(rows: Callable[[Frames, date, Keep], DataFrame]) -> Rows:
    """Of a mart whose days are made one at a time."""

    def of_day(frames: Frames, days: list[date], keep: Keep) -> DataFrame:
        (day,) = days
        return rows(frames, day, keep)

    return of_day


def order_lines(items: DataFrame, first: date | None, last: date) -> DataFrame:
    """Rows of silver/transaction_items with `sales_date`, as gold/fact_sales has them, of the days `first` (None: all) to `last`."""
    in_span = happened(first, last) if first else F.col("timestamp") < F.lit(midnight(last + timedelta(days=1)))
    return items.where(in_span).withColumn("sales_date", F.to_date("timestamp"))


def every_stock_day(moved: DataFrame, products: DataFrame, first: date, last: date) -> DataFrame:
    """`stock_days` with a row for every day `first` to `last` since a product's first record: without a row, nothing moved and there was stock."""
    listed = products.groupBy("product_id").agg(
        F.to_date(F.min_by("timestamp", F.struct("partition", "offset"))).alias("listed")
    )
    span = F.sequence(F.greatest("listed", F.lit(first)), F.lit(last))
    days = listed.where(F.col("listed") <= F.lit(last)).select("product_id", F.explode(span).alias("date"))
    return days.join(moved, ["product_id", "date"], "full").select(
        "product_id",
        "date",
        F.coalesce("sold", F.lit(0)).alias("sold"),
        F.coalesce("is_stock_out", F.lit(False)).alias("is_stock_out"),
    )


_ITEMS, _ORDERS, _VIEWS = t.TRANSACTION_ITEMS.path, t.TRANSACTIONS.path, t.PRODUCT_VIEWS.path
_CARTS, _STOCK, _PRODUCTS = t.CART_EVENTS.path, t.INVENTORY_EVENTS.path, t.PRODUCTS.path
# Of order lines what marts of customers look at
_OF_CUSTOMERS = ("user_id", "timestamp", "sales_date", "country", "line_amount", "batch_id")


def _performance(frames: Frames, day: date, keep: Keep) -> DataFrame:
    first = day - timedelta(days=performance.PERIOD_DAYS - 1)
    before = first - timedelta(days=performance.PERIOD_DAYS)
    period = [first + timedelta(days=n) for n in range(performance.PERIOD_DAYS)]
    moved = stock_days(frames[_ITEMS], frames[_STOCK], frames[_PRODUCTS], period)
    return performance.product_performance(
        keep(order_lines(frames[_ITEMS], before, day)),
        frames[_VIEWS],
        frames[_CARTS],
        frames[_ORDERS],
        frames[_PRODUCTS],
        every_stock_day(moved, frames[_PRODUCTS], first, day),
        day,
    )


def _trends(frames: Frames, day: date, _keep: Keep) -> DataFrame:
    first = day - timedelta(days=trends.HISTORY_DAYS - 1)
    return trends.sales_trends(order_lines(frames[_ITEMS], first, day), day)


def _cohorts(frames: Frames, day: date, _keep: Keep) -> DataFrame:
    return cohorts.cohort_retention(order_lines(frames[_ITEMS], None, day), day)


def _moved_cohorts(since: Since, day: date, _keep: Keep) -> DataFrame | str:
    return cohorts.moved(since, day)


def _lifetime(frames: Frames, day: date, keep: Keep) -> DataFrame:
    return _valued(value.purchase_history(order_lines(frames[_ITEMS], None, day), day), day, keep)


def _moved_lifetime(since: Since, day: date, keep: Keep) -> DataFrame:
    return _valued(value.moved_history(since, day), day, keep)


def _valued(histories: DataFrame, day: date, keep: Keep) -> DataFrame:
    history = keep(histories)
    return value.lifetime_value(history, value.fit(history), day)


def _pairs(frames: Frames, day: date, _keep: Keep) -> DataFrame:
    first = day - timedelta(days=pairs.WINDOW_DAYS - 1)
    return pairs.basket_pairs(order_lines(frames[_ITEMS], first, day), day)


def _funnel(frames: Frames, days: list[date], keep: Keep) -> DataFrame:
    of_days = frames[t.SESSIONS.path].where(F.col("started_date").isin(days))
    sessions = keep(newest(of_days, t.SESSIONS))
    return funnel_daily(sessions, frames[_VIEWS], frames[_CARTS], frames[_ITEMS], frames[_PRODUCTS], days)


def _movements(frames: Frames, day: date, _keep: Keep) -> DataFrame:
    return rfm_movements(frames[t.CUSTOMER_RFM.path], day)


_OVER_ALL = "category = 'all' AND country = 'all'"
_SESSION_COUNT = f"if({_OVER_ALL}, session_count, 0)"

MARTS = (
    Mart(
        t.PRODUCT_PERFORMANCE,
        (t.TRANSACTION_ITEMS, t.TRANSACTIONS, t.PRODUCT_VIEWS, t.CART_EVENTS, t.INVENTORY_EVENTS, t.PRODUCTS),
        _as_of(_performance),
        {"revenue_total_usd": "revenue", "unit_count": "unit_count"},
    ),
    Mart(
        t.SALES_TRENDS,
        (t.TRANSACTION_ITEMS,),
        _as_of(_trends),
        {"revenue_total_usd": f"if(period_type = 'day' AND {_OVER_ALL}, revenue, 0)"},
    ),
    Mart(
        t.COHORT_RETENTION,
        (t.TRANSACTION_ITEMS,),
        _as_of(_cohorts),
        {"revenue_total_usd": "if(country = 'all', revenue, 0)"},
        moved=_moved_cohorts,
    ),
    Mart(
        t.CUSTOMER_LIFETIME_VALUE,
        (t.TRANSACTION_ITEMS,),
        _as_of(_lifetime),
        {"predicted_value_total_usd": "predicted_value"},
        moved=_moved_lifetime,
    ),
    Mart(t.BASKET_PAIRS, (t.TRANSACTION_ITEMS,), _as_of(_pairs)),
    Mart(
        t.FUNNEL_DAILY,
        (t.SESSIONS, t.PRODUCT_VIEWS, t.CART_EVENTS, t.TRANSACTION_ITEMS, t.PRODUCTS),
        _funnel,
        {"session_count": _SESSION_COUNT},
        Kept(
            table=t.FUNNEL_DAILY,
            time_of={t.SESSIONS.path: "started_at", _PRODUCTS: "timestamp"},
            # What the catalogue says, it says until its next record. A first record speaks also for days before it: of those that are
            # made already, what was viewed stays in `unknown`.
            running=(_PRODUCTS,),
            session_count=f"sum({_SESSION_COUNT})",
        ),
    ),
    Mart(
        t.RFM_MOVEMENTS,
        (t.CUSTOMER_RFM,),
        _as_of(_movements),
        {"moved_count": "if(from_segment <> to_segment, customer_count, 0)"},
        days_back=DAYS_BACK,
    ),
)
