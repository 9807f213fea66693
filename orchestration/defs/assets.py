"""Assets: the tables that batch runs write. Each calls `lakehouse` and reports what it wrote. No checks, no schedules."""

import time
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import pyspark.sql.functions as F

from lakehouse.customer_rfm import make
from lakehouse.tables import CUSTOMER_RFM, TRANSACTIONS
from orchestration.naming import batch_asset
from orchestration.partitions import DAILY
from orchestration.report import place_metadata
from orchestration.runs import IN_FULL_TAG
from orchestration.spark import LakehouseSpark


@batch_asset(CUSTOMER_RFM, DAILY)
def customer_rfm(context: dg.AssetExecutionContext, spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
    started = time.monotonic()
    day = date.fromisoformat(context.partition_key)
    source = spark.silver_version(TRANSACTIONS)
    is_asked_in_full = context.run.tags.get(IN_FULL_TAG) == "true"
    made = make(spark.spark_session, spark.settings, day, source, in_full=is_asked_in_full)
    context.log.info(f"{CUSTOMER_RFM.path} of {day}: {made.reason}")
    customers, orders, money = F.count("*").alias("customers"), F.sum("frequency").alias("orders"), F.sum("monetary")
    segments = (
        spark.read(CUSTOMER_RFM, made.written.version)
        .where(F.col("as_of_date") == day)
        .groupBy("segment")
        .agg(customers, orders, money.alias("money"))
        .orderBy(F.desc("money"))
        .collect()
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": sum(row["customers"] for row in segments),
            "transaction_count": sum(row["orders"] for row in segments),
            "monetary_total_usd": str(sum((row["money"] for row in segments), Decimal("0.00"))),
            "duration_seconds": round(time.monotonic() - started, 2),
            "is_increment": made.is_increment,
            "made_from": made.reason,
            "computing_seconds": round(made.computing_seconds, 2),
            "publishing_seconds": round(made.publishing_seconds, 2),
            **place_metadata(spark.settings, made.written),
            "segments": dg.MetadataValue.table(
                [dg.TableRecord({**row.asDict(), "money": str(row["money"])}) for row in segments]
            ),
        }
    )
