"""Sales by day, week and month, by category and country and over all of them: totals, averages, growth, season, and a forecast.

A series is a category in a country, a category in all countries (`all`), all categories in a country, or all in all. Each series that has
sold in the window has a row for each period since the first sale of any, with zeros where it sold nothing. The window is the last
`HISTORY_DAYS` days, of which `SHOWN_DAYS` are shown: a year to show, and a year to compare it with.

**Growth** compares periods with the same weekdays: 7, 28 and 364 days before, as retailers' 4-4-5 calendars do (National Retail
Federation, https://nrf.com/resources/4-5-4-calendar); months are compared with months. Both periods must be complete.
**Moving averages** are trailing means, this day the last.
**Seasonal index**: mean of the weekday / mean of all days, over the last 56 days: the method of simple averages (NIST/SEMATECH
e-Handbook of Statistical Methods, 6.4.4.3). It takes no trend out, which eight weeks can bear.
**Forecast**: `lakehouse.marts.forecast`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql.pandas.types import from_arrow_schema

from lakehouse.marts.base import ALL, money, share, sold
from lakehouse.marts.forecast import FITTED_DAYS, FORECAST_DAYS, back_test, forecast
from lakehouse.tables import SALES_TRENDS

HISTORY_DAYS = 732
SHOWN_DAYS = 366
SEASON_DAYS = 56
# For each period type: how many periods back the growth of a week, of a month and of a year looks
_BACK: dict[str, tuple[int | None, int, int]] = {"day": (7, 28, 364), "week": (1, 4, 52), "month": (None, 1, 12)}
_SERIES = ("category", "country")
_FORECAST = (
    "revenue_forecast",
    "revenue_forecast_low",
    "revenue_forecast_high",
    "forecast_error",
    "naive_error",
    "interval_coverage",
)
_FUTURE = pa.schema(
    [
        *((name, pa.string()) for name in _SERIES),
        ("period_start", pa.date32()),
        *((name, pa.float64()) for name in _FORECAST),
    ]
)


def sales_trends(lines: DataFrame, as_of_date: date) -> DataFrame:
    """One row per period and series, columns as in `gold/sales_trends`; of `lines` it takes `sales_date`, `category`, `country`,
    `quantity` and `line_amount`. A series with two weeks of days has forecasts of the 14 days after `as_of_date`. No lines in the window,
    no rows. It runs one query over `lines`, whose sums by day fit the driver, and all else on those.
    """
    daily = _daily(_cells(lines, as_of_date), as_of_date)
    is_shown = F.col("period_start") >= F.lit(as_of_date - timedelta(days=SHOWN_DAYS - 1))
    past = _periods(daily, as_of_date).select("*", *_averages(), *_growth()).where(is_shown)
    rows = past.unionByName(_future(daily, as_of_date), allowMissingColumns=True)
    of_day = F.element_at("weekdays", F.dayofweek("period_start"))
    return (
        rows.join(_season(daily, as_of_date), [*_SERIES], "left")
        .withColumn("as_of_date", F.lit(as_of_date))
        .withColumn("is_forecast", F.col("period_start") > F.lit(as_of_date))
        .withColumn("seasonal_index", F.when(F.col("period_type") == "day", of_day))
        .select(*SALES_TRENDS.schema.names)
    )


def _cells(lines: DataFrame, as_of_date: date) -> DataFrame:
    """One row per day in the window, category and country that sold; computed here, so that no plan scans the lines again."""
    in_window = sold(as_of_date - timedelta(days=HISTORY_DAYS - 1), as_of_date)
    cells = lines.where(in_window).groupBy("sales_date", *_SERIES).agg(*_sums("quantity", "line_amount"))
    return lines.sparkSession.createDataFrame(cells.toArrow())


def _daily(cells: DataFrame, as_of_date: date) -> DataFrame:
    """One row per series and day since the first sale of any, which is `first_day`: `day`, `unit_count`, `revenue`."""
    each = F.explode(F.array(*[_series(c, k) for c in (False, True) for k in (False, True)]))
    sums = (
        cells.withColumn("series", each)
        .groupBy(F.col("sales_date").alias("day"), *[F.col(f"series.{name}") for name in _SERIES])
        .agg(*_sums("unit_count", "revenue"))
    )
    first = F.broadcast(cells.agg(F.min("sales_date").alias("first_day")).where("first_day IS NOT NULL"))
    days = F.explode(F.sequence("first_day", F.lit(as_of_date))).alias("day")
    return (
        sums.select(*_SERIES)
        .distinct()
        .crossJoin(first)
        .select("*", days)
        .join(sums, ["day", *_SERIES], "left")
        .fillna(0, ["unit_count"])
        .withColumn("revenue", F.coalesce("revenue", money(F.lit(0))))
    )


def _sums(units: str, amount: str) -> tuple[Column, Column]:
    return F.sum(units).alias("unit_count"), money(F.sum(amount)).alias("revenue")


def _series(all_categories: bool, all_countries: bool) -> Column:
    category = F.lit(ALL) if all_categories else F.col("category")
    country = F.lit(ALL) if all_countries else F.col("country")
    return F.struct(category.alias("category"), country.alias("country"))


def _periods(daily: DataFrame, as_of_date: date) -> DataFrame:
    """One row per series and period of each type."""
    kinds = F.array(
        *[
            F.struct(
                F.lit(kind).alias("period_type"),
                start.cast("date").alias("period_start"),
                end.cast("date").alias("period_end"),
            )
            for kind, start, end in (
                ("day", F.col("day"), F.col("day")),
                ("week", F.trunc("day", "week"), F.date_add(F.trunc("day", "week"), 6)),
                ("month", F.trunc("day", "month"), F.last_day("day")),
            )
        ]
    )
    is_complete = (F.col("period_start") >= F.col("first_day")) & (F.col("period_end") <= F.lit(as_of_date))
    return (
        daily.withColumn("period", F.explode(kinds))
        .groupBy(*_SERIES, "first_day", "period.period_type", "period.period_start", "period.period_end")
        .agg(*_sums("unit_count", "revenue"))
        .withColumn("is_complete", is_complete)
    )


def _in_time() -> WindowSpec:
    return Window.partitionBy(*_SERIES, "period_type").orderBy("period_start")


def _averages() -> list[Column]:
    """Of days only, and only where all the days are there."""
    found = []
    for days in (7, 28):
        trailing = _in_time().rowsBetween(1 - days, 0)
        is_full = (F.col("period_type") == "day") & (F.count(F.lit(1)).over(trailing) == days)
        units, revenue = F.sum("unit_count").over(trailing) / days, F.sum("revenue").over(trailing) / days
        found.append(F.when(is_full, units).alias(f"units_average_{days}_days"))
        found.append(F.when(is_full, money(revenue)).alias(f"revenue_average_{days}_days"))
    return found


def _growth() -> list[Column]:
    found = []
    for place, name in enumerate(("week", "month", "year")):
        growth = F.lit(None).cast("double")
        for kind, back in _BACK.items():
            if (periods := back[place]) is not None:
                before, was_complete = (F.lag(c, periods).over(_in_time()) for c in ("revenue", "is_complete"))
                comparable = (F.col("period_type") == kind) & F.col("is_complete") & was_complete
                growth = F.when(comparable, share(F.col("revenue") - before, before)).otherwise(growth)
        found.append(growth.alias(f"revenue_growth_{name}"))
    return found


def _season(daily: DataFrame, as_of_date: date) -> DataFrame:
    """One row per series: `weekdays`, the seasonal index by day of the week from Sunday, null before 56 days or without revenue."""
    recent = daily.where(F.col("day") > F.lit(as_of_date - timedelta(days=SEASON_DAYS)))
    weekdays = SEASON_DAYS // 7
    sums = [F.sum(F.when(F.dayofweek("day") == n, F.col("revenue"))) for n in range(1, 8)]
    index = F.array(*[share(of_day * 7, F.sum("revenue")) for of_day in sums])
    is_full = F.count(F.lit(1)) == weekdays * 7
    return recent.groupBy(*_SERIES).agg(F.when(is_full, index).alias("weekdays"))


def _future(daily: DataFrame, as_of_date: date) -> DataFrame:
    """One row per series and day to come: the forecast, and how the method did on the last days known. Spark's Python workers fit the
    series side by side; computed here, so that no plan fits them again.
    """
    spark = daily.sparkSession
    oldest = as_of_date - timedelta(days=FITTED_DAYS + FORECAST_DAYS)
    of_day = F.struct("day", F.col("revenue").cast("double").alias("revenue"))
    known = (
        daily.where(F.col("day") > F.lit(oldest))
        .groupBy(*_SERIES)
        .agg(F.sort_array(F.collect_list(of_day)).revenue.alias("known"))
        .repartition(spark.sparkContext.defaultParallelism, *_SERIES)
    )
    future = spark.createDataFrame(
        known.mapInArrow(partial(_forecasts, as_of_date), from_arrow_schema(_FUTURE)).toArrow()
    )
    amounts = {name: money(F.col(name)) for name in future.columns if name.startswith("revenue_")}
    return future.withColumns(amounts).select(
        "*",
        F.lit("day").alias("period_type"),
        F.col("period_start").alias("period_end"),
        F.lit(False).alias("is_complete"),
    )


def _forecasts(as_of_date: date, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of `_FUTURE` for rows of a series each: its names, and `known`, its days in order."""
    for batch in batches:
        rows = [row for one in batch.to_pylist() for row in _forecast_rows(one, as_of_date)]
        yield pa.RecordBatch.from_pylist(rows, _FUTURE)


def _forecast_rows(series: dict[str, Any], as_of_date: date) -> list[dict[str, Any]]:
    known = np.array(series.pop("known"))
    found = forecast(known)
    if found is None:
        return []
    test = back_test(known)
    errors = {"forecast_error": test.error, "naive_error": test.naive_error, "interval_coverage": test.coverage}
    return [
        {
            **series,
            **errors,
            "period_start": as_of_date + timedelta(days=n),
            "revenue_forecast": expected,
            "revenue_forecast_low": low,
            "revenue_forecast_high": high,
        }
        for n, (expected, low, high) in enumerate(zip(found.expected, found.low, found.high, strict=True), start=1)
    ]
