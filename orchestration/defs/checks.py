"""Asset checks: which tables are judged by Great Expectations, on which rows. The rules are in `lakehouse.quality`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import dagster as dg
import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse.batch import last_write
from lakehouse.customer_rfm import differences
from lakehouse.tables import CUSTOMER_RFM, TRANSACTION_ITEMS, TRANSACTIONS
from lakehouse.transforms.rfm import in_window
from orchestration.naming import key
from orchestration.partitions import DAILY
from orchestration.quality import gx_check
from orchestration.spark import LakehouseSpark


def _transactions(spark: LakehouseSpark, _day: date | None) -> tuple[DataFrame, Mapping[str, DataFrame]]:
    return spark.read(TRANSACTIONS), {}


def _items(spark: LakehouseSpark, _day: date | None) -> tuple[DataFrame, Mapping[str, DataFrame]]:
    return spark.read(TRANSACTION_ITEMS), {"silver_transactions": spark.read(TRANSACTIONS)}


def _rfm(spark: LakehouseSpark, day: date | None) -> tuple[DataFrame, Mapping[str, DataFrame]]:
    """One day's rows, and silver as it was when they were made: the stream has gone on since."""
    assert day is not None  # noqa: S101 - the check is partitioned
    written = last_write(spark.spark_session, spark.settings, CUSTOMER_RFM, day)
    silver = spark.read(TRANSACTIONS, written.sources[TRANSACTIONS.path]).where(in_window(day))
    return spark.read(CUSTOMER_RFM).where(F.col("as_of_date") == day), {"silver_transactions": silver}


transactions = gx_check(TRANSACTIONS, _transactions, blocking=True)
transaction_items = gx_check(TRANSACTION_ITEMS, _items, blocking=True)
customer_rfm = gx_check(CUSTOMER_RFM, _rfm, blocking=True, partitions=DAILY)


@dg.asset_check(
    asset=key(CUSTOMER_RFM),
    name="full_computation",
    partitions_def=DAILY,
    description="The day's rows, made out of an earlier day's, are those that all transactions of the 365 days give.",
)
def customer_rfm_in_full(context: dg.AssetCheckExecutionContext, spark: LakehouseSpark) -> dg.AssetCheckResult:
    count = differences(spark.spark_session, spark.settings, date.fromisoformat(context.partition_key))
    return dg.AssetCheckResult(
        passed=count == 0,
        description=f"{count} rows differ from a full computation" if count else "equal to a full computation",
        metadata={"different_count": count},
    )
