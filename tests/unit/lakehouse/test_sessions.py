"""`lakehouse.transforms.sessions` in Spark gives what the plain oracle gives, and what the live view gives event by event."""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from session_oracle import sessions as expected
from shop_events import TABLES, Event, at, current, random_batches, random_events, run, settings, table

from lakehouse.live.sessions import SessionsView
from lakehouse.tables import SESSIONS
from lakehouse.transforms.sessions import COLUMNS, sessions


def computed(spark: SparkSession, events: list[Event], watermark: datetime | None) -> list[dict[str, Any]]:
    frames = [spark.createDataFrame(table(topic, events)) for topic in TABLES]
    views, carts, orders = frames
    rows = sessions(views, carts, orders, 30, watermark).orderBy("user_id", "started_at").toArrow()
    names = [field.name for field in SESSIONS.schema if field.name in COLUMNS]
    return rows.cast(pa.schema([SESSIONS.schema.field(name) for name in names])).to_pylist()


@pytest.mark.parametrize("seed", [1, 2])
def test_batch_stream_and_oracle_agree_on_random_events(spark: SparkSession, seed: int) -> None:
    rng = random.Random(seed)
    events = random_events(rng, 600, days=4, users=12)
    batches = random_batches(rng, events)
    watermark = batches[-1].watermark
    lake = run(SessionsView(settings(live_horizon_hours=6)), batches)
    want = expected(events, watermark)
    assert computed(spark, events, watermark) == want
    assert current(lake, SESSIONS) == want


def test_a_bots_visit_counts_a_thousand_products_and_revenue_ends_at_the_largest_amount(spark: SparkSession) -> None:
    events = [
        *(Event("product_views", "bot", at("9:00"), n, ((f"p{n:04d}", 1, "0"),)) for n in range(1_001)),
        *(Event("transactions", "bot", at("9:30"), n, (("p", 1, "9999999999999999.99"),)) for n in range(11)),
    ]
    lake = run(SessionsView(settings()), random_batches(random.Random(3), events))
    rows = computed(spark, events, None)
    assert [(row["product_count"], row["revenue"]) for row in rows] == [(1_000, Decimal("9999999999999999.99"))]
    assert rows == expected(events, None)
    assert [row | {"is_open": True} for row in current(lake, SESSIONS)] == rows


def test_no_events_give_no_sessions(spark: SparkSession) -> None:
    assert computed(spark, [], None) == []
