"""Sessions and carts on the real stack, through kills of the driver and events more than a day late: equal to a batch over silver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from cart_oracle import carts
from live_lake import VISITOR
from pyspark.sql import SparkSession
from shop_events import Event, current
from visits import EVENT, equal_to_batch, newest_lake

from lakehouse.catalogue import Catalogue
from lakehouse.live.base import Lake
from lakehouse.settings import Settings
from lakehouse.tables import CART_EVENTS, CARTS, SESSIONS, TRANSACTIONS, Table

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

LINE = ["product_id", "quantity", "price"]


@pytest.fixture(scope="module")
def lake(live_lake: Settings) -> Lake:
    return newest_lake(live_lake)


@pytest.fixture(scope="module")
def silver(lake: Lake) -> Callable[..., pa.Table]:
    def read(table: Table, *columns: str) -> pa.Table:
        return lake.read(table, [*EVENT, *columns])

    return read


def test_sessions_of_the_stream_equal_sessions_computed_in_batch(lake, spark: SparkSession):
    live = equal_to_batch(lake, spark)
    assert sum(not row["is_open"] for row in live) > 1_000
    assert sum(row["is_converted"] for row in live) > 100


def test_a_view_thirty_hours_late_after_a_kill_joined_two_sessions(lake):
    def short(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(row["view_count"], (row["ended_at"] - row["started_at"]).total_seconds() / 60) for row in rows]

    mine = [row for row in current(lake, SESSIONS) if row["user_id"] == VISITOR]
    assert short(mine) == [(3, 50.0)]


def test_carts_of_the_stream_equal_a_replay_of_silver(lake, silver):
    events = [
        Event("cart_events", cart=row["cart_id"], action=row["action"], lines=lines([row]), **base(row))
        for row in silver(CART_EVENTS, "cart_id", "action", *LINE).to_pylist()
    ]
    events += [
        Event("transactions", cart=row["cart_id"], lines=lines(row["products"]), **base(row))
        for row in silver(TRANSACTIONS, "cart_id", "products").to_pylist()
    ]
    expected = carts(events, lake.watermark, Catalogue())
    live = current(lake, CARTS)
    assert [without_categories(row) for row in live] == [without_categories(row) for row in expected]
    assert {row["status"] for row in live} >= {"abandoned", "purchased"}
    assert all(sum(part["amount"] for part in row["category_amounts"]) == row["amount"] for row in live)


def base(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "user": row["user_id"], "at": row["timestamp"], "offset": row["offset"], "partition": row["partition"],
        "country": row["country"],
    }  # fmt: skip


def lines(rows: list[dict[str, Any]]) -> tuple[tuple[str, int, str], ...]:
    return tuple((row["product_id"], row["quantity"], str(row["price"])) for row in rows)


def without_categories(row: dict[str, Any]) -> dict[str, Any]:
    """Categories depend on when the catalogue came; what is in the cart does not."""
    items = [{name: value for name, value in item.items() if name != "category"} for item in row["items"]]
    return row | {"items": items, "category_amounts": None}
