"""Who moved from one RFM segment to another since yesterday, and since 30 days ago: counts, those who stayed included.

A migration table of segments, as in database marketing (A. M. Hughes, "Strategic Database Marketing", chapter on RFM). A customer without a
purchase in the 365 days of one of the two days is in `none` on it, so all customers of a day add up, and new and lost ones show.
"""

from __future__ import annotations

from datetime import date, timedelta

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from lakehouse.tables import RFM_MOVEMENTS

DAYS_BACK = (1, 30)
NO_SEGMENT = "none"


def rfm_movements(customer_rfm: DataFrame, as_of_date: date) -> DataFrame:
    """One row per days back, segment then and segment now, columns as in `gold/rfm_movements`.

    `customer_rfm` holds `as_of_date`, `user_id` and `segment` of the days that are there. A day that is not there is not compared: without
    one of the two, no rows.
    """
    back = {0: as_of_date, **{n: as_of_date - timedelta(days=n) for n in DAYS_BACK}}
    rows = customer_rfm.where(F.col("as_of_date").isin(*back.values()))
    there = F.broadcast(rows.agg(*[F.max(F.col("as_of_date") == F.lit(d)).alias(f"has_{n}") for n, d in back.items()]))
    customers = rows.groupBy("user_id").agg(*[_segment(d).alias(f"segment_{n}") for n, d in back.items()])
    moves = F.array(
        *[
            F.struct(
                F.lit(n).alias("days_back"),
                F.coalesce(f"segment_{n}", F.lit(NO_SEGMENT)).alias("from_segment"),
                F.coalesce("segment_0", F.lit(NO_SEGMENT)).alias("to_segment"),
                (F.col("has_0") & F.col(f"has_{n}") & F.coalesce(f"segment_{n}", "segment_0").isNotNull()).alias(
                    "is_move"
                ),
            )
            for n in DAYS_BACK
        ]
    )
    return (
        customers.crossJoin(there)
        .select(F.inline(moves))
        .where("is_move")
        .groupBy("days_back", "from_segment", "to_segment")
        .agg(F.count(F.lit(1)).alias("customer_count"))
        .withColumn("as_of_date", F.lit(as_of_date))
        .select(*RFM_MOVEMENTS.schema.names)
    )


def _segment(day: date) -> Column:
    """The segment on `day` of the customer whose rows are grouped; null where there is none."""
    return F.max(F.when(F.col("as_of_date") == F.lit(day), F.col("segment")))
