"""Figures of the books: where the records of the last two days ended, and money counted in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from api.explorer.figures.reading import Row, rows
from api.serving import Generation
from lakehouse.tables import INGESTION_RATES, LEDGER_STREAMING, ORDERS_BY_MINUTE, SALES_BY_MINUTE


@dataclass(frozen=True)
class Money:
    """All revenue, once by payment method and once by category: the same to the cent at one cut."""

    by_payment_method: Decimal
    by_category: Decimal
    known_at: datetime | None

    @property
    def is_equal(self) -> bool:
        return self.by_payment_method == self.by_category


def records(generation: Generation) -> list[Row]:
    """Records by topic and where they ended; `difference` is what has none of the three ends, and must be 0."""
    return rows(
        generation,
        [INGESTION_RATES],
        [
            "topic",
            *(
                f"sum({name})::BIGINT AS {name}"
                for name in ("record_count", "accepted_count", "quarantined_count", "duplicate_count")
            ),
            "(sum(record_count) - sum(accepted_count) - sum(quarantined_count) - sum(duplicate_count))::BIGINT AS difference",
            "min(second) AS first_at",
            "max(second) AS newest_at",
        ],
        "FROM ingestion_rates GROUP BY topic ORDER BY topic",
    )


def money(generation: Generation) -> Money:
    """Up to the last micro-batch that both tables have, since each is served as soon as it is written."""
    for table in (ORDERS_BY_MINUTE, SALES_BY_MINUTE):
        generation.meta(table)
    sql = """WITH cut AS (SELECT least((SELECT max(known_at) FROM orders_by_minute), (SELECT max(known_at) FROM sales_by_minute)) AS cut_at)
             SELECT (SELECT coalesce(sum(revenue), 0) FROM orders_by_minute, cut WHERE known_at <= cut.cut_at),
                    (SELECT coalesce(sum(revenue), 0) FROM sales_by_minute, cut WHERE known_at <= cut.cut_at),
                    (SELECT cut_at FROM cut)"""
    orders, sales, at = generation.query(sql)[0]
    return Money(orders, sales, at)


def last_batch(generation: Generation) -> dict[str, Any] | None:
    """The newest entry of the ledger: what the micro-batch took, and how much Kafka had that it had not. None before the first."""
    columns = [
        "batch_id",
        "committed_at",
        "record_count",
        "accepted_count",
        "quarantined_count",
        "duplicate_count",
        "lag_records",
    ]
    found = rows(generation, [LEDGER_STREAMING], columns, "FROM ledger_streaming ORDER BY batch_id DESC LIMIT 1")
    if not found:
        return None
    lag = found[0]["lag_records"]
    return {**found[0], "lag": sum((lag or {}).values()) if isinstance(lag, dict) else None}
