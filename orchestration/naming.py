"""How tables become assets: keys, groups, owners and metadata derived from `lakehouse.tables`. No definitions here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from lakehouse.contracts import CONTRACTS
from lakehouse.daily import MARTS
from lakehouse.tables import (
    ALERTS,
    ANOMALIES,
    BRONZE_EVENTS,
    BY_PATH,
    CART_EVENTS,
    CARTS,
    CUSTOMER_RFM,
    DETECTOR_SCORECARD,
    DIM_COUNTRY,
    DIM_DATE,
    DIM_PAYMENT_METHOD,
    DIM_PRODUCT,
    DIM_USER,
    DUPLICATES,
    FACT_INVENTORY_DAILY,
    FACT_SALES,
    FACT_SESSIONS,
    FINALITY,
    INGESTION_RATES,
    INVENTORY_EVENTS,
    INVENTORY_LEVELS,
    ORDERS_BY_MINUTE,
    PRODUCT_VIEWS,
    PRODUCTS,
    QUARANTINE,
    SALES_BY_MINUTE,
    SESSIONS,
    TABLE_SIZES,
    TRANSACTION_ITEMS,
    TRANSACTIONS,
    USERS,
    Table,
)
from orchestration.lineage import column_lineage
from orchestration.transient import POLICY, only_transient

# The stream commits at least every few seconds while there is traffic, and is looked at every few minutes.
STREAM_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=20))
# A day is over some 40 minutes past midnight, and its run is to take a quarter of an hour.
DAILY_FRESHNESS = dg.FreshnessPolicy.cron("0 3 * * *", lower_bound_delta=timedelta(hours=3), timezone="UTC")

MIRROR_KEY = dg.AssetKey(["postgres", "mirror"])

# What each table is made from, beyond the rule that silver and ops come from bronze
_SOURCES: dict[str, tuple[Table, ...]] = {
    TRANSACTION_ITEMS.path: (TRANSACTIONS, PRODUCTS),
    SALES_BY_MINUTE.path: (TRANSACTION_ITEMS,),
    ORDERS_BY_MINUTE.path: (TRANSACTIONS,),
    INGESTION_RATES.path: (*(BY_PATH[f"silver/{topic}"] for topic in CONTRACTS), QUARANTINE, DUPLICATES),
    FINALITY.path: (TRANSACTIONS, PRODUCT_VIEWS, CART_EVENTS),
    SESSIONS.path: (TRANSACTIONS, PRODUCT_VIEWS, CART_EVENTS),
    CARTS.path: (TRANSACTIONS, CART_EVENTS),
    INVENTORY_LEVELS.path: (TRANSACTION_ITEMS, INVENTORY_EVENTS, PRODUCTS),
    ANOMALIES.path: (TRANSACTIONS, PRODUCT_VIEWS, PRODUCTS),
    ALERTS.path: (ANOMALIES, INVENTORY_LEVELS),
    DIM_USER.path: (USERS, TRANSACTION_ITEMS, SESSIONS),
    DIM_PRODUCT.path: (PRODUCTS, TRANSACTION_ITEMS, INVENTORY_EVENTS),
    DIM_DATE.path: (),
    DIM_COUNTRY.path: (),
    DIM_PAYMENT_METHOD.path: (),
    FACT_SALES.path: (TRANSACTION_ITEMS, DIM_USER, DIM_PRODUCT, DIM_DATE, DIM_COUNTRY, DIM_PAYMENT_METHOD),
    FACT_SESSIONS.path: (SESSIONS, DIM_USER, DIM_DATE, DIM_COUNTRY),
    FACT_INVENTORY_DAILY.path: (TRANSACTION_ITEMS, INVENTORY_EVENTS, PRODUCTS, DIM_PRODUCT, DIM_DATE),
    CUSTOMER_RFM.path: (TRANSACTIONS,),
    TABLE_SIZES.path: (),  # of the tables themselves, not of what is in them
    **{mart.table.path: mart.sources for mart in MARTS},
    DETECTOR_SCORECARD.path: (),  # from runs of its own, not from what came in
}


def key(table: Table) -> dg.AssetKey:
    """`silver/transactions` in the lake is `silver/transactions` in Dagster."""
    return dg.AssetKey(table.path.split("/"))


def topic_key(topic: str) -> dg.AssetKey:
    return dg.AssetKey(["kafka", topic])


def sources(table: Table) -> list[dg.AssetKey]:
    """Keys of what `table` is made from."""
    if table is BRONZE_EVENTS:
        return [topic_key(topic) for topic in CONTRACTS]
    return [key(source) for source in _SOURCES.get(table.path, (BRONZE_EVENTS,))]


def description(table: Table) -> str:
    name = ", ".join(f"`{column}`" for column in table.key)
    return f"One row: {table.grain}.\n\nKey: {name}. Written by the {table.owner} service, which alone may write it."


def column_schema(table: Table) -> dg.TableSchema:
    """Every column with type, meaning and constraints."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.type),
                description=column.meaning,
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (column.name,)),
            )
            for column in table.columns
        ]
    )


def attributes(table: Table) -> dict[str, Any]:
    """The arguments that an asset or an external asset of `table` shares."""
    metadata: dict[str, Any] = {"dagster/table_name": table.path, "dagster/column_schema": column_schema(table)}
    if table.partition_by:
        metadata["partition_expr"] = table.partition_by[0]
    if (lineage := column_lineage(table, BY_PATH)).deps_by_column:
        metadata["dagster/column_lineage"] = lineage
    freshness = STREAM_FRESHNESS if table.owner == "streaming" else DAILY_FRESHNESS if table.layer == "gold" else None
    return {
        "key": key(table),
        "deps": sources(table),
        "group_name": table.layer,
        "owners": [f"team:{table.owner}"],
        "description": description(table),
        "metadata": metadata,
        "freshness_policy": freshness,
    }


def batch_asset(
    table: Table, partitions: dg.PartitionsDefinition | None = None, engine: str = "pyspark"
) -> Callable[[Callable[..., dg.MaterializeResult[Any]]], dg.AssetsDefinition]:
    """The decorator for an asset that writes `table`.

    Errors that may be gone in a minute are tried again. A backfill has a run for each day: its checks judge a day, and a run that is
    killed costs one.
    """
    kinds = {engine, "deltalake", table.layer} - {"ops"}

    def decorate(function: Callable[..., dg.MaterializeResult[Any]]) -> dg.AssetsDefinition:
        made: dg.AssetsDefinition = dg.asset(
            **attributes(table),
            partitions_def=partitions,
            kinds=kinds,
            retry_policy=POLICY,
            backfill_policy=dg.BackfillPolicy.multi_run(1) if partitions else None,
        )(only_transient(function))
        return made

    return decorate
