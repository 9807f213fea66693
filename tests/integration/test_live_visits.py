"""Sessions and carts on the real stack, through kills of the driver and events more than a day late: equal to a batch over silver.

And hourly sales, sessions and stock of the stream beside the facts that batch runs make of the same lake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from cart_oracle import carts
from live_lake import VISITOR
from pyspark.sql import SparkSession
from shop_events import Event, current
from star_of_stream import beside_the_stream
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


def test_hourly_sales_and_sessions_and_the_stock_of_the_stream_equal_the_facts_of_the_batch(lake, spark: SparkSession):
    con = beside_the_stream(lake, spark)

    def closed(hour: str, dimensions: str, sums: str, rows: str) -> list[tuple[Any, ...]]:
        """Sums of each hour that the watermark has passed."""
        query = f"SELECT date_trunc('hour', {hour}) AS hour, {dimensions}, {sums} FROM {rows} GROUP BY ALL"
        ended = "hour + INTERVAL 1 hour <= $watermark"
        return con.execute(
            f"SELECT * FROM ({query}) WHERE {ended} ORDER BY ALL", {"watermark": lake.watermark}
        ).fetchall()

    place = "country, category"
    sales = closed("minute", place, "sum(unit_count), sum(line_count), sum(revenue)", "sales_by_minute")
    assert closed("timestamp", place, "sum(quantity), count(*), sum(line_amount)", "fact_sales") == sales
    assert len({row[0] for row in sales}) > 20

    sums = "count(*), " + ", ".join(f"sum({name})" for name in ("view_count", "cart_count", "order_count", "revenue"))
    visits = closed("started_at", "country", sums, "sessions WHERE NOT is_open")
    assert closed("started_at", "country", sums, "fact_sessions") == visits
    assert len({row[0] for row in visits}) > 20

    # a level has no window: it is of all that has come
    kept = "SELECT product_id, level, coalesce(opening_count, 0), changed_count, sold_count FROM inventory_levels ORDER BY 1"
    last = "SELECT product_id, arg_max(closing_level, date), sum(initial_stock), sum(received), sum(sold)"
    levels = con.execute(kept).fetchall()
    assert con.execute(f"{last} FROM fact_inventory_daily GROUP BY 1 ORDER BY 1").fetchall() == levels
    assert len(levels) > 100
    assert sum(row[4] for row in levels) == con.execute("SELECT sum(quantity) FROM fact_sales").fetchone()[0]


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
