"""The figures of the live view, at one moment of event time: what came in, what is sold, who is there, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, Field

from api.access import Access
from api.responses import Money
from api.serving import Generation
from lakehouse.tables import (
    ANOMALIES,
    CARTS,
    INGESTION_RATES,
    INVENTORY_LEVELS,
    ORDERS_BY_MINUTE,
    SALES_BY_MINUTE,
    SESSIONS,
    Table,
)

_HOUR = timedelta(hours=1)
_RATE_SECONDS = 60


class LiveMetrics(BaseModel):
    """The figures of one moment. A figure is null where its table is not there yet, or not for a key of some countries."""

    at: datetime | None = Field(description="End of the newest minute with an order, in event time (UTC).")
    sequence: int = Field(description="Number of the set of serving files that this was read from; it grows.")
    known_at: datetime | None = Field(description="When the newest of it was known to the platform (UTC).")
    records_per_second: float | None = Field(
        description="Records from Kafka, mean of the newest 60 seconds.", examples=[512.4]
    )
    quarantined_share: float | None = Field(description="Of these, the share in quarantine.", examples=[0.01])
    revenue_last_hour: Money | None = Field(description="Revenue of the hour up to `at`, USD.", examples=[1250.50])
    order_count_last_hour: int | None = Field(description="Orders of that hour.", examples=[25])
    unit_count_last_hour: int | None = Field(description="Units sold in that hour.", examples=[40])
    open_session_count: int | None = Field(description="Visits that are open.", examples=[31])
    conversion_rate_last_hour: float | None = Field(
        description="Of the visits that began in that hour, the share with an order.", examples=[0.04]
    )
    open_cart_count: int | None = Field(description="Carts that are open.", examples=[12])
    abandoned_cart_count: int | None = Field(
        description="Carts that are abandoned, of the last 48 hours.", examples=[7]
    )
    anomaly_count_last_hour: int | None = Field(
        description="Findings with an event in that hour, retracted ones left out."
    )
    low_stock_count: int | None = Field(description="Products low in stock.", examples=[3])
    out_of_stock_count: int | None = Field(description="Products without stock.", examples=[1])


# By generation and countries: many watch the same figures.
_KEPT: WeakKeyDictionary[Generation, dict[tuple[str, ...], LiveMetrics]] = WeakKeyDictionary()


def live_metrics(generation: Generation, access: Access) -> LiveMetrics:
    """All of it, from one set of files, asked once of each. Raises QueryLimitError and ServingFileError."""
    countries = access.countries_for()
    kept = _KEPT.setdefault(generation, {})
    if tuple(countries) not in kept:
        kept[tuple(countries)] = _ask(generation, countries)
    return kept[tuple(countries)]


def _ask(generation: Generation, countries: Sequence[str]) -> LiveMetrics:
    there = generation.metas
    newest = generation.newest(ORDERS_BY_MINUTE, "minute") if ORDERS_BY_MINUTE.name in there else None
    at = newest + timedelta(minutes=1) if newest else None

    def ask(table: Table, measures: str, where: str = "true", parameters: Sequence[Any] = ()) -> Any:
        """One row of measures over the rows that the caller sees; Nones where the table is not there."""
        if table.name not in there:
            return (None,) * (measures.count("|") + 1)
        seen = f"country IN ({', '.join('?' * len(countries))})" if countries else "true"
        sql = f'SELECT {measures.replace("|", ",")} FROM "{table.name}" WHERE {where} AND {seen}'  # noqa: S608
        return generation.query(sql, [*parameters, *countries])[0]

    hour = [at - _HOUR, at] if at else [datetime.min, datetime.min]
    in_hour = "minute >= ? AND minute < ?"
    orders, revenue = ask(
        ORDERS_BY_MINUTE, "coalesce(sum(order_count), 0)::BIGINT | coalesce(sum(revenue), 0)", in_hour, hour
    )
    (units,) = ask(SALES_BY_MINUTE, "coalesce(sum(unit_count), 0)::BIGINT", in_hour, hour)
    (open_sessions,) = ask(SESSIONS, "count(*) FILTER (WHERE is_open)")
    (conversion,) = ask(SESSIONS, "avg(is_converted::INT)", "started_at >= ? AND started_at < ?", hour)
    open_carts, abandoned = ask(
        CARTS, "count(*) FILTER (WHERE status = 'open') | count(*) FILTER (WHERE status = 'abandoned')"
    )
    (anomalies,) = ask(
        ANOMALIES,
        "count(DISTINCT anomaly_id) FILTER (WHERE anomaly_id NOT IN "
        "(SELECT anomaly_id FROM anomalies WHERE verdict = 'retracted'))",
        "event_at >= ? AND event_at < ?",
        hour,
    )
    # Neither stock nor records tell of one country.
    low, out, rate, share = None, None, None, None
    if not countries:
        low, out = ask(
            INVENTORY_LEVELS, "count(*) FILTER (WHERE status = 'low') | count(*) FILTER (WHERE status = 'out')"
        )
        rate, share = _rates(generation) if INGESTION_RATES.name in there else (None, None)
    known = max((meta.known_at for meta in there.values()), default=None)
    return LiveMetrics(
        at=at.replace(tzinfo=UTC) if at else None,
        sequence=generation.manifest.sequence,
        known_at=known.replace(tzinfo=UTC) if known else None,
        records_per_second=rate,
        quarantined_share=share,
        revenue_last_hour=Decimal(revenue) if revenue is not None else None,
        order_count_last_hour=orders,
        unit_count_last_hour=units,
        open_session_count=open_sessions,
        conversion_rate_last_hour=conversion,
        open_cart_count=open_carts,
        abandoned_cart_count=abandoned,
        anomaly_count_last_hour=anomalies,
        low_stock_count=low,
        out_of_stock_count=out,
    )


def _rates(generation: Generation) -> tuple[float | None, float | None]:
    newest = generation.newest(INGESTION_RATES, "second")
    if newest is None:
        return None, None
    since = newest - timedelta(seconds=_RATE_SECONDS - 1)
    ((records, bad),) = generation.query(
        "SELECT sum(record_count), sum(quarantined_count) FROM ingestion_rates WHERE second >= ?", [since]
    )
    return round(records / _RATE_SECONDS, 2), (bad / records if records else 0.0)
