"""Assets: the tables that batch runs write. Each calls `lakehouse` and reports what it wrote. No checks, no schedules."""

import time
from datetime import date
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
    day_rows = spark.read(CUSTOMER_RFM, written.version).where(F.col("as_of_date") == day)
    totals = day_rows.agg(
        F.count("*").alias("rows"), F.sum("frequency").alias("orders"), F.sum("monetary").alias("money")
    )
    total = totals.collect()[0]
    segments = day_rows.groupBy("segment").agg(F.count("*").alias("customers"), F.sum("monetary").alias("money"))
    shown = segments.orderBy(F.desc("money")).collect()
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": total["rows"],
            "transaction_count": total["orders"] or 0,
            "monetary_total_usd": str(total["money"] or "0.00"),
            "duration_seconds": round(time.monotonic() - started, 2),
            "version_written": written.version,
            "version_read": {TRANSACTIONS.path: source},
            "segments": dg.MetadataValue.table(
                [dg.TableRecord({**row.asDict(), "money": str(row["money"])}) for row in shown]
            ),
        }
    )
