"""Asset checks: which tables are judged by Great Expectations, on which rows. The rules are in `lakehouse.quality`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from lakehouse.batch import last_write
from lakehouse.tables import CUSTOMER_RFM, TRANSACTION_ITEMS, TRANSACTIONS
from lakehouse.transforms.rfm import in_window
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
