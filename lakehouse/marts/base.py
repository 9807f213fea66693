"""What several marts share: spans of days, shares, money, and what the catalogue said at a moment. No mart of its own."""

from __future__ import annotations

from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.contracts.base import MONEY_MAX
from lakehouse.days import midnight

ALL = "all"  # in place of a country or a category in a row over all of them


def happened(first: date, last: date) -> Column:
    """True for rows whose `timestamp` lies in the UTC days `first` to `last`, both included."""
    start, end = midnight(first), midnight(last + timedelta(days=1))
    return (F.col("timestamp") >= F.lit(start)) & (F.col("timestamp") < F.lit(end))


def sold(first: date, last: date) -> Column:
    """True for lines whose `sales_date` is one of the days `first` to `last`, both included."""
    return F.col("sales_date").between(F.lit(first), F.lit(last))


def money(amount: Column) -> Column:
    """USD to the cent, halves away from zero; no more than the largest decimal(18,2)."""
    known = F.least(amount.cast("decimal(38,2)"), F.lit(MONEY_MAX)).cast("decimal(18,2)")
    return F.when(amount.isNotNull(), known)  # `least` of null and a number is the number


def share(part: Column, whole: Column) -> Column:
    """`part` / `whole` as a double; null where `whole` is 0 or null."""
    return F.when(whole != 0, part.cast("double") / whole.cast("double"))


def catalogue(products: DataFrame) -> DataFrame:
    """What each record of silver/products said, and for how long: `product_id`, `category`, `price` (USD), `valid_from`, `valid_to`.

    `valid_from` is null for the first record of a product, which also speaks for the time before it;
    `valid_to` is the first instant no more, null for the newest. Of records of one moment the greatest category counts, then the greatest
    price. So does the stream resolve categories (`lakehouse.catalogue`).
    """
    said = F.max(F.struct("category", "price")).alias("said")
    moments = products.groupBy("product_id", "timestamp").agg(said)
    in_time = Window.partitionBy("product_id").orderBy("timestamp")
    return moments.select(
        "product_id",
        "said.category",
        "said.price",
        F.when(F.lag("timestamp").over(in_time).isNotNull(), F.col("timestamp")).alias("valid_from"),
        F.lead("timestamp").over(in_time).alias("valid_to"),
    )


def with_catalogue(events: DataFrame, versions: DataFrame) -> DataFrame:
    """Each event with `list_category` and `list_price` from the `catalogue` as of its `timestamp`; null where there is none."""
    said = versions.withColumnsRenamed({"product_id": "listed_id", "category": "list_category", "price": "list_price"})
    begun = F.col("valid_from").isNull() | (F.col("timestamp") >= F.col("valid_from"))
    not_over = F.col("valid_to").isNull() | (F.col("timestamp") < F.col("valid_to"))
    same = F.col("product_id") == F.col("listed_id")
    return events.join(said, same & begun & not_over, "left").drop("listed_id", "valid_from", "valid_to")
