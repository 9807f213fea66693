"""Assets: the tables that batch runs write. Each calls `lakehouse` and reports what it wrote. No checks, no schedules."""

import time
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import pyspark.sql.functions as F

from lakehouse.batch import replace_day
from lakehouse.tables import CUSTOMER_RFM, TRANSACTIONS
from lakehouse.transforms.rfm import rfm
from orchestration.naming import batch_asset
from orchestration.partitions import DAILY
from orchestration.spark import LakehouseSpark


@batch_asset(CUSTOMER_RFM, DAILY)
def customer_rfm(context: dg.AssetExecutionContext, spark: LakehouseSpark) -> dg.MaterializeResult[Any]:
    started = time.monotonic()
    day = date.fromisoformat(context.partition_key)
    source = spark.silver_version(TRANSACTIONS)
    rows = rfm(spark.read(TRANSACTIONS), day)
    written = replace_day(rows, spark.settings, CUSTOMER_RFM, day, {TRANSACTIONS.path: source})
    customers, orders, money = F.count("*").alias("customers"), F.sum("frequency").alias("orders"), F.sum("monetary")
    segments = (
        spark.read(CUSTOMER_RFM, written.version)
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
            "version_written": written.version,
            "version_read": {TRANSACTIONS.path: source},
            "segments": dg.MetadataValue.table(
                [dg.TableRecord({**row.asDict(), "money": str(row["money"])}) for row in segments]
            ),
        }
    )
