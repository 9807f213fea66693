"""Which products are bought together: support, confidence and lift of each pair over the last 28 days.

Support of a pair: share of orders with both. Confidence A to B: of the orders with A, the share with B. Source: Agrawal, Imieliński and
Swami, "Mining Association Rules between Sets of Items in Large Databases", SIGMOD 1993. Lift: support of the pair / (support of A x support
of B), the "interest" of Brin, Motwani, Ullman and Tsur, "Dynamic Itemset Counting and Implication Rules", SIGMOD 1997.

The minimum support is `LEAST_ORDERS` orders: below five, the rule of thumb for a cell of a 2 x 2 table, a lift is chance. It also bounds the
mart, and a product in fewer orders is in no such pair (the Apriori principle), so it is left out before pairs are made. An order of more
than `MOST_PRODUCTS` products says little and makes most pairs: it counts nowhere here, neither for a pair nor in the number of orders.
"""

from __future__ import annotations

from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse.marts.base import share, sold
from lakehouse.tables import BASKET_PAIRS

WINDOW_DAYS = 28
LEAST_ORDERS = 5
MOST_PRODUCTS = 100


def basket_pairs(lines: DataFrame, as_of_date: date) -> DataFrame:
    """One row per pair with A below B, columns as in `gold/basket_pairs`; of `lines` it takes `sales_date`, `transaction_id` and
    `product_id`. A product on two lines of an order counts once.
    """
    in_window = lines.where(sold(as_of_date - timedelta(days=WINDOW_DAYS - 1), as_of_date))
    baskets = (
        in_window.groupBy("transaction_id")
        .agg(F.collect_set("product_id").alias("products"))
        .where(F.size("products") <= MOST_PRODUCTS)
    )
    items = baskets.select("transaction_id", F.explode("products").alias("product_id"))
    frequent = items.groupBy("product_id").agg(F.count(F.lit(1)).alias("n")).where(F.col("n") >= LEAST_ORDERS)
    total = F.broadcast(baskets.agg(F.count(F.lit(1)).alias("all_order_count")))
    a = frequent.select(F.col("product_id").alias("product_a_id"), F.col("n").alias("a_order_count"))
    b = frequent.select(F.col("product_id").alias("product_b_id"), F.col("n").alias("b_order_count"))
    n, n_a, n_b, n_all = (F.col(c) for c in ("order_count", "a_order_count", "b_order_count", "all_order_count"))
    return (
        _pairs(items.join(frequent, "product_id", "left_semi"))
        .join(a, "product_a_id")
        .join(b, "product_b_id")
        .crossJoin(total)
        .withColumn("as_of_date", F.lit(as_of_date))
        .withColumn("support", share(n, n_all))
        .withColumn("confidence_a_to_b", share(n, n_a))
        .withColumn("confidence_b_to_a", share(n, n_b))
        .withColumn("lift", share(n * n_all, n_a * n_b))
        .select(*BASKET_PAIRS.schema.names)
    )


def _pairs(items: DataFrame) -> DataFrame:
    """Per pair of products with enough of them: `order_count`."""
    baskets = items.groupBy("transaction_id").agg(F.array_sort(F.collect_list("product_id")).alias("products"))
    later = F.slice("products", F.col("place") + 2, F.size("products"))
    return (
        baskets.select("products", F.posexplode("products").alias("place", "product_a_id"))
        .select("product_a_id", F.explode(later).alias("product_b_id"))
        .groupBy("product_a_id", "product_b_id")
        .agg(F.count(F.lit(1)).alias("order_count"))
        .where(F.col("order_count") >= LEAST_ORDERS)
    )
