"""What the live view shows beside the figures of `/v1/live`: records by topic, revenue by minute, the newest anomalies."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from api.access import Access
from api.explorer.figures.reading import Row, rows, within
from api.serving import Generation
from lakehouse.tables import ANOMALIES, INGESTION_RATES, ORDERS_BY_MINUTE

_RATE_SPAN = timedelta(minutes=10)
_STEP_SECONDS = 10
_SALES_SPAN = timedelta(minutes=60)
_COUNTS = ("quarantined_count", "duplicate_count")


def rates(generation: Generation, access: Access) -> dict[str, Any]:
    """Records a second of the last ten minutes before the newest one: `points` by time and topic, and `totals` of the span.

    Raises ForbiddenError for keys of some countries: records are counted before their country is known.
    """
    access.need_all_countries()
    newest = rows(generation, [INGESTION_RATES], ["max(second) AS newest"], "FROM ingestion_rates")[0]["newest"]
    if newest is None:
        return {"newest": None, "points": [], "totals": {}}
    start = newest - _RATE_SPAN
    points = rows(
        generation,
        [INGESTION_RATES],
        [
            f"time_bucket(INTERVAL {_STEP_SECONDS} SECONDS, second) AS second",
            "topic",
            f"sum(record_count) / {_STEP_SECONDS}::DOUBLE AS records_per_second",
        ],
        # The newest step is not full yet, so it would always look like a fall.
        f"""FROM ingestion_rates WHERE second >= ? AND second < time_bucket(INTERVAL {_STEP_SECONDS} SECONDS, ?::TIMESTAMP)
            GROUP BY 1, topic ORDER BY 1, topic""",
        [start, newest],
    )
    totals = rows(
        generation,
        [INGESTION_RATES],
        [f"coalesce(sum({name}), 0)::BIGINT AS {name}" for name in _COUNTS],
        "FROM ingestion_rates WHERE second > ?",
        [start],
    )[0]
    return {"newest": newest, "points": filled(points), "totals": totals}


def filled(points: list[Row]) -> list[Row]:
    """`points` (sorted by `second`), and a rate of 0 for each topic in each step between that has no record: nothing is not a slope."""
    if not points:
        return []
    known = {(row["second"], row["topic"]): row for row in points}
    topics = sorted({row["topic"] for row in points})
    first, last = points[0]["second"], points[-1]["second"]
    steps = [
        first + timedelta(seconds=after) for after in range(0, int((last - first).total_seconds()) + 1, _STEP_SECONDS)
    ]
    return [
        known.get((step, topic), {"second": step, "topic": topic, "records_per_second": 0.0})
        for step in steps
        for topic in topics
    ]


def revenue_by_minute(generation: Generation, access: Access) -> list[Row]:
    """Revenue of each of the 60 minutes up to the newest one that has an order, where it has any."""
    generation.meta(ORDERS_BY_MINUTE)
    newest: datetime | None = generation.newest(ORDERS_BY_MINUTE, "minute")
    if newest is None:
        return []
    condition, countries = within(access)
    return rows(
        generation,
        [ORDERS_BY_MINUTE],
        ["minute", "sum(revenue) AS revenue"],
        f"FROM orders_by_minute WHERE minute > ? AND {condition} GROUP BY minute ORDER BY minute",
        [newest - _SALES_SPAN, *countries],
    )


def anomalies(generation: Generation, access: Access, limit: int = 20) -> list[Row]:
    """The newest findings that were not taken back, newest first. A key of some countries sees those of its countries."""
    condition, countries = within(access)
    return rows(
        generation,
        [ANOMALIES],
        [
            "anomaly_id",
            "detector",
            "country",
            "product_id",
            "user_id",
            "score",
            "explanation",
            "event_at",
            "detected_at",
        ],
        f"""FROM anomalies WHERE {condition} AND verdict <> 'retracted'
            AND anomaly_id NOT IN (SELECT anomaly_id FROM anomalies WHERE verdict = 'retracted')
            QUALIFY row_number() OVER (PARTITION BY anomaly_id ORDER BY detected_at DESC) = 1
            ORDER BY detected_at DESC, anomaly_id LIMIT ?""",  # noqa: S608 - the condition is from here
        [*countries, limit],
    )
