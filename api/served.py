"""What the serving files hold: which tables, how many of their newest rows, and which columns. Nothing else decides that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from lakehouse import tables as t
from lakehouse.tables import Table

VERSION_COLUMN = "delta_version"
SUPERSEDED_COLUMN = "superseded_version"
_LIVE = timedelta(hours=48)
_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Served:
    """One table: rows whose `column` lies within `keep` of the newest, or those of the newest `days` of it; else all.

    `without` are columns that no route shows: raw records, and lists that grow with a visit. `order` is how rows lie in the
    file where they are looked up by something else than their key.
    """

    table: Table
    column: str | None = None
    keep: timedelta | None = None
    days: int | None = None
    without: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether it changes by the second; the other tables change with a batch run."""
        return self.table.owner == "streaming"

    @property
    def names(self) -> tuple[str, ...]:
        """The table's own columns that are served."""
        return tuple(column.name for column in self.table.columns if column.name not in self.without)


def _newest(table: Table, days: int) -> Served:
    """A mart or fact by its newest days; older ones are read from the lake when asked for."""
    return Served(table, table.partition_by[0], days=days)


_OFFSETS = {"entry_topic", "entry_partition", "entry_offset"}
SERVING: tuple[Served, ...] = (
    Served(t.SALES_BY_MINUTE),
    Served(t.ORDERS_BY_MINUTE),
    # The one with most rows among the marts: a day has a row for each customer.
    _newest(t.CUSTOMER_RFM, 2),
    Served(t.INGESTION_RATES, "second", _LIVE),
    Served(t.SESSIONS, "started_at", _LIVE, without=frozenset({"product_ids", *_OFFSETS})),
    Served(
        t.CARTS,
        "last_activity_at",
        _LIVE,
        without=frozenset({"items", "active_spans", "category_amounts", *_OFFSETS}),
    ),
    Served(t.INVENTORY_LEVELS),
    Served(t.ANOMALIES, "detected_at", _WEEK),
    Served(t.ALERTS, "raised_at", _WEEK),
    Served(t.QUARANTINE, "kafka_at", _WEEK, without=frozenset({"key", "value"})),
    Served(t.LEDGER_STREAMING, "started_at", _LIVE, without=frozenset({"watermarks", "waiting_marks", "lag_seconds"})),
    Served(t.DIM_USER, order=("user_id", "valid_from")),
    Served(t.DIM_PRODUCT, order=("product_id", "valid_from")),
    Served(t.DIM_DATE),
    Served(t.DIM_COUNTRY),
    Served(t.DIM_PAYMENT_METHOD),
    _newest(t.FACT_SALES, 28),
    _newest(t.FACT_SESSIONS, 28),
    _newest(t.FACT_INVENTORY_DAILY, 28),
    _newest(t.RFM_MOVEMENTS, 28),
    _newest(t.PRODUCT_PERFORMANCE, 2),
    _newest(t.SALES_TRENDS, 2),
    _newest(t.COHORT_RETENTION, 7),
    _newest(t.CUSTOMER_LIFETIME_VALUE, 2),
    _newest(t.BASKET_PAIRS, 2),
    _newest(t.FUNNEL_DAILY, 400),
)
SERVED: tuple[Table, ...] = tuple(one.table for one in SERVING)
HOW: dict[str, Served] = {one.table.name: one for one in SERVING}


def serving_schema(table: Table) -> pa.Schema:
    """Columns of a served table: times without zone (they are UTC), then `delta_version`, the version that brought the row.

    Of a table of snapshots also `superseded_version`, the version that brought the next row of its key; null for the newest.
    """
    schema = table.schema
    wanted = [schema.field(name) for name in HOW[table.name].names]
    fields = [pa.field(f.name, pa.timestamp("us") if pa.types.is_timestamp(f.type) else f.type) for f in wanted]
    fields.append(pa.field(VERSION_COLUMN, pa.int64()))
    if table.reading == "snapshots":
        fields.append(pa.field(SUPERSEDED_COLUMN, pa.int64()))
    return pa.schema(fields)
