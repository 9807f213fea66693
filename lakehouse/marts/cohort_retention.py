"""Of the customers who first bought in a month: how many bought again in each later month, and for how much.

The cohort of a customer is the month (UTC) of the first purchase, and the country of that purchase for good, wherever the customer buys
later. A customer is active in a month with a purchase in it. Method: acquisition cohorts by calendar month, as in Google Analytics' cohort
exploration (https://support.google.com/analytics/answer/9670133), of purchases in place of visits.

Counts and revenue are sums over customers. So a day is an earlier day less what the customers with other lines since then were in it, and
plus what they are now; a late purchase that moves a customer to another cohort is no special case.
"""

from __future__ import annotations

from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.contracts.base import MONEY_MAX
from lakehouse.countries import COUNTRIES
from lakehouse.marts.base import ALL, money, share
from lakehouse.tables import COHORT_RETENTION
from lakehouse.transforms.state import Since

_COHORT = ("cohort_month", "country")


def cohort_retention(lines: DataFrame, as_of_date: date) -> DataFrame:
    """One row per cohort and month since, up to the month of `as_of_date`, with zeros where nobody bought: `gold/cohort_retention`.

    Of `lines`, which must be all of the shop's up to `as_of_date`, it takes `sales_date`, `timestamp`, `user_id`, `country` and
    `line_amount`. Of purchases in one instant the one in the country that comes first by its code is the first.
    """
    return _retention(_active(lines.where(F.col("sales_date") <= F.lit(as_of_date))), as_of_date)


def moved(since: Since, as_of_date: date) -> DataFrame | str:
    """The same rows as `cohort_retention`, out of those of an earlier day; in words, why they cannot be moved on."""
    if not since.rows.where(F.col("revenue") == F.lit(MONEY_MAX)).isEmpty():
        return f"a sum of {since.as_of_date} is {MONEY_MAX} USD or more"
    counted = [*_COHORT, "month_number", "active_count", "revenue"]
    less = _active(since.then).withColumns({name: -F.col(name) for name in ("active_count", "revenue")})
    active = (
        since.rows.select(*counted)
        .unionByName(less)
        .unionByName(_active(since.now))
        .groupBy(*_COHORT, "month_number")
        .agg(F.sum("active_count").alias("active_count"), money(F.sum("revenue")).alias("revenue"))
    )
    return _retention(active.where("active_count > 0"), as_of_date)


def _active(lines: DataFrame) -> DataFrame:
    """Per cohort, of a country and of all, and month since: `active_count` and `revenue`, where anybody bought."""
    either = _customer_months(lines).withColumn("country", F.explode(F.array("country", F.lit(ALL))))
    return either.groupBy(*_COHORT, "month_number").agg(
        F.count(F.lit(1)).alias("active_count"), money(F.sum("revenue")).alias("revenue")
    )


def _retention(active: DataFrame, as_of_date: date) -> DataFrame:
    # each customer is active in month 0, so the cohort's size is what month 0 counts
    sizes = active.where("month_number = 0").select(*_COHORT, F.col("active_count").alias("customer_count"))
    months = F.explode(F.sequence(F.lit(0), _months(F.lit(as_of_date)) - _months(F.col("cohort_month"))))
    so_far = Window.partitionBy(*_COHORT).orderBy("month_number")
    month_end = F.last_day(F.add_months("cohort_month", F.col("month_number")))
    return (
        sizes.withColumn("month_number", months)
        .join(active, [*_COHORT, "month_number"], "left")
        .fillna(0, ["active_count"])
        .withColumn("revenue", F.coalesce("revenue", money(F.lit(0))))
        .withColumn("as_of_date", F.lit(as_of_date))
        .withColumn("is_complete", month_end <= F.lit(as_of_date))
        .withColumn("retention_rate", share(F.col("active_count"), F.col("customer_count")))
        .withColumn("cumulative_revenue", money(F.sum("revenue").over(so_far)))
        .select(*COHORT_RETENTION.schema.names)
    )


def _customer_months(lines: DataFrame) -> DataFrame:
    """One row per customer and month with a purchase: `cohort_month`, `country` of the first purchase, `month_number`, `revenue`."""
    # Instant and country in one number: of numbers Spark keeps the least in a hash table, of strings and structs it sorts all rows
    codes = F.array(*map(F.lit, sorted(COUNTRIES)))
    entry = F.unix_micros("timestamp") * len(COUNTRIES) + F.array_position(codes, F.col("country")) - 1
    # one shuffle, by customer, serves the grouping by month and the window over the customer
    months = (
        lines.repartition("user_id")
        .groupBy("user_id", F.trunc("sales_date", "month").alias("month"))
        .agg(F.sum("line_amount").alias("revenue"), F.min(entry).alias("entry"))
    )
    of_customer = Window.partitionBy("user_id")
    first_month, first_entry = F.min("month").over(of_customer), F.min("entry").over(of_customer)
    return months.select(
        first_month.alias("cohort_month"),
        F.get(codes, F.pmod(first_entry, F.lit(len(COUNTRIES))).cast("int")).alias("country"),
        (_months(F.col("month")) - _months(first_month)).alias("month_number"),
        "revenue",
    )


def _months(day: Column) -> Column:
    """Months since the year 0: the difference of two is whole and exact."""
    return F.year(day) * 12 + F.month(day)
