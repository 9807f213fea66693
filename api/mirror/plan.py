"""What the mirror has of each gold table: columns, days, indexes, and the PostgreSQL type of each column. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lakehouse.settings import Settings
from lakehouse.tables import ALERTS, ANOMALIES, CARTS, SESSIONS, TABLES, Column, Table

# Columns that only say how a row is to be read; in the mirror it has been read.
_READING = {"sums": {"batch_id"}, "snapshots": {"batch_id", "is_retracted"}, "rows": set[str]()}
# What tells who a customer is: no dashboard needs it, and whoever may look at one may also write SQL.
_PERSONAL = {"user_id", "email", "age", "preferences"}
_DAY = {ANOMALIES.path: "event_at", ALERTS.path: "event_at"}
_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "gold/product_performance": (("category", "revenue_rank"),),
    "gold/inventory_levels": (("status",),),
    "gold/dim_product": (("product_id",),),
    CARTS.path: (("status",),),
}
# Summaries that dashboards ask for again and again; `{mirror}` is the schema.
VIEWS: dict[str, dict[str, str]] = {
    SESSIONS.path: {
        "sessions_by_hour": """
            SELECT date_trunc('hour', started_at) AS hour, country, count(*) AS session_count,
                   count(*) FILTER (WHERE is_open) AS open_count, count(*) FILTER (WHERE is_converted) AS order_session_count,
                   sum(view_count)::bigint AS view_count, sum(revenue)::numeric(18, 2) AS revenue,
                   avg(duration_seconds) AS mean_duration_seconds
            FROM {mirror}.sessions GROUP BY 1, 2"""
    },
    CARTS.path: {
        "carts_by_status": """
            SELECT date_trunc('hour', opened_at) AS hour, country, status, count(*) AS cart_count,
                   sum(amount)::numeric(18, 2) AS amount
            FROM {mirror}.carts GROUP BY 1, 2, 3"""
    },
}
_TYPES: dict[pa.DataType, str] = {
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.date32(): "date",
    pa.binary(): "bytea",
}


@dataclass(frozen=True)
class Mirrored:
    """One gold table in the mirror. `days` are how many of the newest days of column `day` it has; None: all of them."""

    table: Table
    day: str | None
    days: int | None

    @property
    def is_live(self) -> bool:
        return self.table.owner == "streaming"

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of the Delta table, without what only says how it is read."""
        return tuple(column for column in self.table.columns if column.name not in _READING[self.table.reading])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def readable(self) -> tuple[str, ...]:
        """Columns that the dashboards' role may read: all but personal ones."""
        return tuple(name for name in self.names if name not in _PERSONAL)

    @property
    def key(self) -> tuple[str, ...]:
        """Unique in the mirror."""
        return tuple(name for name in self.table.key if name in self.names)

    @property
    def indexes(self) -> tuple[tuple[str, ...], ...]:
        """Beside that of the key: the day, unless the key begins with it, and what dashboards filter by."""
        by_day = ((self.day,),) if self.day and self.key[0] != self.day else ()
        return (*by_day, *_INDEXES.get(self.table.path, ()))


def mirrored(settings: Settings) -> tuple[Mirrored, ...]:
    """Every gold table: live tables and facts with their newest days, marts `as_of_date` with the newest, the others whole."""
    return tuple(_mirrored(table, settings.mirror_days) for table in TABLES if table.layer == "gold")


def _mirrored(table: Table, recent_days: int) -> Mirrored:
    if table.owner == "batch":
        day = table.partition_by[0] if table.partition_by else None
        if day == "as_of_date":  # each day is a whole picture
            return Mirrored(table, day, 1)
        return Mirrored(table, day, recent_days if table.name.startswith("fact_") else None)
    first = table.columns[0]
    named = _DAY.get(table.path) or (table.partition_by[0] if table.partition_by else None)
    day = named or (first.name if pa.types.is_timestamp(first.type) else None)
    return Mirrored(table, day, recent_days if day else None)


def is_nested(kind: pa.DataType) -> bool:
    """Whether PostgreSQL gets it as JSON: all that is nested but a list of plain values."""
    return pa.types.is_nested(kind) and not (pa.types.is_list(kind) and not pa.types.is_nested(kind.value_type))


def sql_type(kind: pa.DataType) -> str:
    """The PostgreSQL type that holds every value of the Arrow type. Raises KeyError for a type that no gold table has."""
    if is_nested(kind):
        return "json"
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    return _TYPES[kind]
