"""From looking to buying: of the sessions that began on a day, how many viewed, changed a cart and bought.

A session is one of gold/sessions, with its country; conversion is sessions with an order / sessions, as everywhere here. A rate from
one step to the next counts only sessions that took both, so it never exceeds 1: an open funnel, in which a session may enter at any step
(Google Analytics 4, https://support.google.com/analytics/answer/9327974). A session counts in each category of which it viewed, put into
a cart or bought a product, by what the catalogue said then, so categories add up to more than `all`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from lakehouse.catalogue import UNKNOWN_CATEGORY
from lakehouse.days import midnight
from lakehouse.marts.base import ALL, catalogue, share, with_catalogue
from lakehouse.tables import FUNNEL_DAILY

_STEPS = ("view", "cart", "order")
_SESSION = ("user_id", "started_at")


def funnel_daily(
    sessions: DataFrame,
    product_views: DataFrame,
    cart_events: DataFrame,
    lines: DataFrame,
    products: DataFrame,
    days: Collection[date],
) -> DataFrame:
    """One row per day, country (and `all`) and category (and `all`) with a closed session that began on one of `days`: `gold/funnel_daily`.

    `sessions` as once read, `lines` rows of silver/transaction_items, the rest rows of silver; each may hold any days, and must hold those until the
    last session of `days` ended. A day without sessions has no rows.
    """
    chosen = sessions.where(F.col("started_date").isin(list(days)) & ~F.col("is_open"))
    whole = chosen.select(
        F.col("started_date").alias("date"),
        "country",
        F.lit(ALL).alias("category"),
        *[(F.col(f"{step}_count") > 0).alias(step) for step in _STEPS],
    )
    rows = whole.unionByName(_by_category(chosen, product_views, cart_events, lines, products, min(days)))
    counts = [F.count_if(step).alias(f"{step}_session_count") for step in _STEPS]
    both = [F.count_if(F.col(a) & F.col(b)).alias(f"{a}_and_{b}") for a, b in (("view", "cart"), ("cart", "order"))]
    return (
        rows.withColumn("country", F.explode(F.array("country", F.lit(ALL))))
        .groupBy("date", "country", "category")
        .agg(F.count(F.lit(1)).alias("session_count"), *counts, *both)
        .withColumn("view_to_cart_rate", share(F.col("view_and_cart"), F.col("view_session_count")))
        .withColumn("cart_to_order_rate", share(F.col("cart_and_order"), F.col("cart_session_count")))
        .withColumn("conversion_rate", share(F.col("order_session_count"), F.col("session_count")))
        .select(*FUNNEL_DAILY.schema.names)
    )


def _by_category(
    chosen: DataFrame,
    product_views: DataFrame,
    cart_events: DataFrame,
    lines: DataFrame,
    products: DataFrame,
    first_day: date,
) -> DataFrame:
    """One row per session and category: `date`, `country`, `category`, and which steps it took."""
    # A session goes on after midnight; those that end last say which events can be theirs, so that some days' are read and not all
    spans = F.broadcast(
        chosen.groupBy("started_date").agg(F.min("started_at").alias("since"), F.max("ended_at").alias("until"))
    )
    named = F.coalesce("list_category", F.lit(UNKNOWN_CATEGORY)).alias("category")

    def theirs(events: DataFrame) -> DataFrame:
        since = events.where(F.col("timestamp") >= F.lit(midnight(first_day)))
        return since.join(spans, F.col("timestamp").between(F.col("since"), F.col("until")), "left_semi")

    versions = catalogue(products)
    looked = _steps(theirs(product_views).select("user_id", "timestamp", "product_id"), "view").unionByName(
        _steps(theirs(cart_events).select("user_id", "timestamp", "product_id"), "cart")
    )
    events = (
        with_catalogue(looked, versions)
        .select("user_id", "timestamp", named, *_STEPS)
        .unionByName(_steps(theirs(lines).select("user_id", "timestamp", "category"), "order"))
    )
    visits = chosen.select(
        F.col("user_id").alias("visitor"), F.col("started_date").alias("date"), "started_at", "ended_at", "country"
    )
    inside = (F.col("user_id") == F.col("visitor")) & F.col("timestamp").between(F.col("started_at"), F.col("ended_at"))
    return (
        events.join(visits, inside)
        .groupBy(*_SESSION, "date", "country", "category")
        .agg(*[F.max(step).alias(step) for step in _STEPS])
        .drop(*_SESSION)
    )


def _steps(events: DataFrame, taken: str) -> DataFrame:
    marks: list[Column] = [F.lit(step == taken).alias(step) for step in _STEPS]
    return events.select("*", *marks)
