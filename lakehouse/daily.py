"""How the marts are kept: what each is made from, and how one day of it is made. A mart's own definition is in `lakehouse.marts`.

Order lines and stock come from silver at the run's cut, not from the fact tables: a mart looks back over days whose facts nobody may have made
yet, and would be too small without a word. The same rows at the same cut give the facts, so marts and facts agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from lakehouse import batch
from lakehouse import tables as t
from lakehouse.days import midnight
from lakehouse.marts import basket_pairs as pairs
from lakehouse.marts import customer_lifetime_value as value
from lakehouse.marts import product_performance as performance
from lakehouse.marts import sales_trends as trends
from lakehouse.marts.base import happened
from lakehouse.marts.cohort_retention import cohort_retention
from lakehouse.marts.funnel_daily import funnel_daily
from lakehouse.marts.rfm_movements import DAYS_BACK, rfm_movements
from lakehouse.overtaken import Frames, Kept, Made, last_batches, overtaken
from lakehouse.settings import Settings
from lakehouse.transforms.facts import newest, stock_days

Keep = Callable[[DataFrame], DataFrame]
Rows = Callable[[Frames, list[date], Keep], DataFrame]


@dataclass(frozen=True)
class Mart:
    """A mart by day. `rows` makes days of it out of its sources by path; what it hands to its third argument is computed once.

    `days_back`: of a source that is made by day itself, it reads its own day and those so many days before.
    `totals` are SQL for what is summed up over the rows of a day, by the name under which a run reports it. Where `kept` is given, days are made
    again once they are overtaken; else a day stays as known when it was made, and `rows` gets that one day.
    """

    table: t.Table
    sources: tuple[t.Table, ...]
    rows: Rows
    totals: dict[str, str] = field(default_factory=dict)
    kept: Kept | None = None
    days_back: tuple[int, ...] = ()


def make(spark: SparkSession, settings: Settings, mart: Mart, day: date, versions: Mapping[str, int]) -> Made:
    """Write `day` of a mart out of its sources at these versions (by path), and the days that were overtaken since its last run.

    `totals` are of `day` alone: `row_count` and what the mart reports.
    """
    sources = {table.path: versions[table.path] for table in mart.sources}
    frames = {table.path: batch.read(spark, settings, table, sources[table.path]) for table in mart.sources}
    batches: dict[str, int] = {}
    repaired: set[date] = set()
    if mart.kept:
        batches = last_batches(settings, mart.kept, sources)
        repaired = overtaken(spark, settings, mart.kept, frames, sources, batches) - {day}
    of_day = F.col(*mart.table.partition_by) == F.lit(day)
    sums = {name: F.sum(F.when(of_day, F.expr(sql))) for name, sql in mart.totals.items()}
    totals = {"row_count": F.count_if(of_day), **sums}
    with ExitStack() as held:

        def keep(frame: DataFrame) -> DataFrame:
            held.callback(frame.persist().unpersist)
            return frame

        days = sorted({day} | repaired)
        rows = mart.rows(frames, days, keep)
        written = batch.replace_days(rows, settings, mart.table, days, sources, batches, totals)
    return Made(written, tuple(sorted(repaired)))


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
    return cohort_retention(order_lines(frames[_ITEMS], None, day), day)


def _lifetime(frames: Frames, day: date, keep: Keep) -> DataFrame:
    history = keep(value.purchase_history(order_lines(frames[_ITEMS], None, day), day))
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
    ),
    Mart(
        t.CUSTOMER_LIFETIME_VALUE,
        (t.TRANSACTION_ITEMS,),
        _as_of(_lifetime),
        {"predicted_value_total_usd": "predicted_value"},
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
