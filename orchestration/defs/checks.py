"""Asset checks: every table of silver and of the batch is judged by Great Expectations, and a failure blocks.

Weekly, what is made by increment is also computed in full, and the lifetime model is held against what happened.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from functools import partial

import dagster as dg
from pyspark.sql import SparkSession

from lakehouse import customer_rfm, daily
from lakehouse.batch import last_day
from lakehouse.daily import order_lines
from lakehouse.marts.customer_lifetime_value import HORIZON_DAYS
from lakehouse.marts.lifetime_back_test import back_test
from lakehouse.quality.views import JUDGED
from lakehouse.settings import Settings
from lakehouse.tables import CUSTOMER_LIFETIME_VALUE, CUSTOMER_RFM, TRANSACTION_ITEMS, Table
from orchestration.naming import key
from orchestration.quality import table_check
from orchestration.spark import LakehouseSpark

# By table that is made by increment, how many rows of a day differ from a full computation
IN_FULL: dict[Table, Callable[[SparkSession, Settings, date], int]] = {
    CUSTOMER_RFM: customer_rfm.differences,
    **{mart.table: partial(daily.differences, mart=mart) for mart in daily.MARTS if mart.moved},
}


def full_computation(table: Table) -> dg.AssetChecksDefinition:
    """The weekly check of a table that is made by increment."""

    @dg.asset_check(
        asset=key(table),
        name="full_computation",
        description="The rows of the newest day, made out of an earlier day's, are those that all of silver gives.",
    )
    def check(spark: LakehouseSpark) -> dg.AssetCheckResult:
        day = last_day(spark.settings, table)
        count = IN_FULL[table](spark.spark_session, spark.settings, day)
        return dg.AssetCheckResult(
            passed=count == 0,
            description=f"{count} rows differ from a full computation" if count else "equal to a full computation",
            metadata={"day": day.isoformat(), "different_count": count},
        )

    return check


@dg.asset_check(
    asset=key(CUSTOMER_LIFETIME_VALUE),
    name="back_test",
    description=f"Fitted without the last {HORIZON_DAYS} days, the model is no further from the purchases in them than customers' own past rates.",
)
def lifetime_back_test(spark: LakehouseSpark) -> dg.AssetCheckResult:
    day = last_day(spark.settings, CUSTOMER_LIFETIME_VALUE)
    found = back_test(order_lines(spark.read(TRANSACTION_ITEMS), None, day), day)
    if found is None:
        words = f"nobody had bought {HORIZON_DAYS} days before {day}"
        return dg.AssetCheckResult(passed=True, description=words, metadata={"day": day.isoformat()})
    figures = {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(found).items()}
    return dg.AssetCheckResult(
        passed=found.absolute_error <= found.naive_error,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"a customer's purchases are missed by {found.absolute_error:.2f} on average, by {found.naive_error:.2f} at the past rate",
        metadata={"day": day.isoformat(), "held_out_days": HORIZON_DAYS, **figures},
    )


@dg.definitions
def checks() -> dg.Definitions:
    return dg.Definitions(asset_checks=[*map(table_check, JUDGED), *map(full_computation, IN_FULL), lifetime_back_test])
