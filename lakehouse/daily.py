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
from lakehouse.marts import basket_pairs as pairs
from lakehouse.marts import customer_lifetime_value as value
from lakehouse.marts import product_performance as performance
from lakehouse.marts import sales_trends as trends
from lakehouse.marts.base import happened, midnight
from lakehouse.marts.cohort_retention import cohort_retention
from lakehouse.marts.funnel_daily import funnel_daily
from lakehouse.marts.rfm_movements import DAYS_BACK, rfm_movements
from lakehouse.settings import Settings
from lakehouse.transforms.facts import newest, stock_days

Frames = Mapping[str, DataFrame]
Keep = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Mart:
    """A mart by day. `rows` makes a day of it out of its sources by path; what it hands to its third argument is computed once.

    `days_back`: of a source that is made by day itself, it reads its own day and those so many days before.
    `totals` are SQL aggregates over the rows of a day, by the name under which a run reports them; Spark allows no FILTER in them.
    """

    table: t.Table
    sources: tuple[t.Table, ...]
    rows: Callable[[Frames, date, Keep], DataFrame]
    totals: dict[str, str] = field(default_factory=dict)
    days_back: tuple[int, ...] = ()


def make(spark: SparkSession, settings: Settings, mart: Mart, day: date, versions: Mapping[str, int]) -> batch.Written:
    """Write `day` of a mart out of its sources at these versions (by path); `totals` has `row_count` and what the mart reports."""
    sources = {table.path: versions[table.path] for table in mart.sources}
    frames = {table.path: batch.read(spark, settings, table, sources[table.path]) for table in mart.sources}
    totals = {"row_count": F.count(F.lit(1)), **{name: F.expr(sql) for name, sql in mart.totals.items()}}
    with ExitStack() as kept:

        def keep(frame: DataFrame) -> DataFrame:
            kept.callback(frame.persist().unpersist)
            return frame

        rows = mart.rows(frames, day, keep)
        return batch.replace_day(rows, settings, mart.table, day, sources, totals)


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


def _funnel(frames: Frames, day: date, keep: Keep) -> DataFrame:
    of_day = frames[t.SESSIONS.path].where(F.col("started_date") == F.lit(day))
    sessions = keep(newest(of_day, t.SESSIONS))
    # A session goes on after midnight, and so do its lines
    lines = frames[_ITEMS].where(F.col("timestamp") >= F.lit(midnight(day)))
    return funnel_daily(sessions, frames[_VIEWS], frames[_CARTS], lines, frames[_PRODUCTS], day)


def _movements(frames: Frames, day: date, _keep: Keep) -> DataFrame:
    return rfm_movements(frames[t.CUSTOMER_RFM.path], day)


_OVER_ALL = "category = 'all' AND country = 'all'"

MARTS = (
    Mart(
        t.PRODUCT_PERFORMANCE,
        (t.TRANSACTION_ITEMS, t.TRANSACTIONS, t.PRODUCT_VIEWS, t.CART_EVENTS, t.INVENTORY_EVENTS, t.PRODUCTS),
        _performance,
        {"revenue_total_usd": "sum(revenue)", "unit_count": "sum(unit_count)"},
    ),
    Mart(
        t.SALES_TRENDS,
        (t.TRANSACTION_ITEMS,),
        _trends,
        {"revenue_total_usd": f"sum(if(period_type = 'day' AND {_OVER_ALL}, revenue, 0))"},
    ),
    Mart(
        t.COHORT_RETENTION,
        (t.TRANSACTION_ITEMS,),
        _cohorts,
        {"revenue_total_usd": "sum(if(country = 'all', revenue, 0))"},
    ),
    Mart(
        t.CUSTOMER_LIFETIME_VALUE,
        (t.TRANSACTION_ITEMS,),
        _lifetime,
        {"predicted_value_total_usd": "sum(predicted_value)"},
    ),
    Mart(t.BASKET_PAIRS, (t.TRANSACTION_ITEMS,), _pairs),
    Mart(
        t.FUNNEL_DAILY,
        (t.SESSIONS, t.PRODUCT_VIEWS, t.CART_EVENTS, t.TRANSACTION_ITEMS, t.PRODUCTS),
        _funnel,
        {"session_count": f"sum(if({_OVER_ALL}, session_count, 0))"},
    ),
    Mart(
        t.RFM_MOVEMENTS,
        (t.CUSTOMER_RFM,),
        _movements,
        {"moved_count": "sum(if(from_segment <> to_segment, customer_count, 0))"},
        days_back=DAYS_BACK,
    ),
)
