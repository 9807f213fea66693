"""Every Delta table: name, layer, grain, columns with unit and meaning, owner process, properties. Nothing else names a table."""

from __future__ import annotations

from lakehouse.tables.base import MONEY, POSITION, TIME, Column, Layer, Owner, Table
from lakehouse.tables.findings import ALERTS, ANOMALIES
from lakehouse.tables.live import (
    CARTS,
    FINALITY,
    INGESTION_RATES,
    INVENTORY_LEVELS,
    MOST_SESSION_PRODUCTS,
    ORDERS_BY_MINUTE,
    SALES_BY_MINUTE,
    SESSIONS,
)
from lakehouse.tables.ops import (
    DETECTOR_SCORECARD,
    LEDGER_STREAMING,
)
from lakehouse.tables.silver import (
    BRONZE_EVENTS,
    CART_EVENTS,
    DUPLICATES,
    INVENTORY_EVENTS,
    PRODUCT_VIEWS,
    PRODUCTS,
    QUARANTINE,
    TRANSACTION_ITEMS,
    TRANSACTIONS,
    USERS,
)
from lakehouse.tables.warehouse import (
    CUSTOMER_RFM,
)

TABLES: tuple[Table, ...] = (
    BRONZE_EVENTS,
    TRANSACTIONS,
    TRANSACTION_ITEMS,
    PRODUCT_VIEWS,
    CART_EVENTS,
    INVENTORY_EVENTS,
    USERS,
    PRODUCTS,
    QUARANTINE,
    DUPLICATES,
    SALES_BY_MINUTE,
    ORDERS_BY_MINUTE,
    INVENTORY_LEVELS,
    INGESTION_RATES,
    FINALITY,
    SESSIONS,
    CARTS,
    ANOMALIES,
    ALERTS,
    CUSTOMER_RFM,
    LEDGER_STREAMING,
    DETECTOR_SCORECARD,
)
BY_PATH = {table.path: table for table in TABLES}

__all__ = [
    "ALERTS",
    "ANOMALIES",
    "BRONZE_EVENTS",
    "BY_PATH",
    "CARTS",
    "CART_EVENTS",
    "CUSTOMER_RFM",
    "DETECTOR_SCORECARD",
    "DUPLICATES",
    "FINALITY",
    "INGESTION_RATES",
    "INVENTORY_EVENTS",
    "INVENTORY_LEVELS",
    "LEDGER_STREAMING",
    "MONEY",
    "MOST_SESSION_PRODUCTS",
    "ORDERS_BY_MINUTE",
    "POSITION",
    "PRODUCTS",
    "PRODUCT_VIEWS",
    "QUARANTINE",
    "SALES_BY_MINUTE",
    "SESSIONS",
    "TABLES",
    "TIME",
    "TRANSACTIONS",
    "TRANSACTION_ITEMS",
    "USERS",
    "Column",
    "Layer",
    "Owner",
    "Table",
]
