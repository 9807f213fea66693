"""`globalmart bench daily` at a small size: a shop whose tables fit each other, the same each time, and two nights of the real job."""

from __future__ import annotations

import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infra.bench.daily_data import Shop, shop
from infra.bench.daily_night import _covered
from infra.bench.warehouse_data import DAYS, LAST_DAY, Size
from ingestion.sessions import EVENTS_PER_SESSION, TRANSACTIONS_PER_SESSION
from lakehouse.tables import (
    CART_EVENTS,
    INVENTORY_EVENTS,
    PRODUCT_VIEWS,
    PRODUCTS,
    SESSIONS,
    TABLES,
    TRANSACTION_ITEMS,
    TRANSACTIONS,
    USERS,
    Table,
)

SIZE = Size(2_000)
_JOB = 41  # steps of the daily job: 16 tables, 25 suites


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOBALMART_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return shop(SIZE, lambda _: None)


def rows(data: Shop, table: Table, night: int = 1) -> pl.DataFrame:
    return pl.read_delta(str(data.folders[table.path]), version=data.versions[night][table.path])


def test_each_table_has_its_schema_and_a_last_day_that_the_first_night_does_not_see(data: Shop) -> None:
    assert data.folders.keys() == {one.path for one in TABLES if one.layer == "silver"} | {SESSIONS.path}
    for table in (one for one in TABLES if one.path in data.folders):
        now, before = rows(data, table), rows(data, table, night=0)
        assert now.columns == table.schema.names
        assert (len(before), len(now)) == tuple(data.rows[night][table.path] for night in (0, 1))
        assert now.select(table.key).is_unique().all()
        if len(now) and table is not PRODUCTS:
            assert before["batch_id"].max() == DAYS - 2
            assert now["batch_id"].max() == DAYS - 1


def test_the_lines_are_those_of_the_orders_and_visits_are_those_of_the_shop(data: Shop) -> None:
    orders, items = rows(data, TRANSACTIONS), rows(data, TRANSACTION_ITEMS)
    sums = items.group_by("transaction_id").agg(pl.col("line_amount").sum(), pl.col("line_number").max(), pl.len())
    both = orders.join(sums, "transaction_id", how="left")
    assert (both["line_amount"] == both["total_amount"]).all()
    assert (both["line_number"] == both["len"]).all()

    views, carts, sessions = (rows(data, table) for table in (PRODUCT_VIEWS, CART_EVENTS, SESSIONS))
    events = len(views) + len(carts) + sessions["order_count"].sum()
    assert events / len(sessions) == pytest.approx(EVENTS_PER_SESSION, rel=0.05)
    assert sessions["order_count"].sum() / len(sessions) == pytest.approx(TRANSACTIONS_PER_SESSION, rel=0.05)
    assert sessions["view_count"].sum() == len(views)
    assert sessions["cart_count"].sum() == len(carts)
    assert (sessions["ended_at"] >= sessions["started_at"]).all()
    bought = items.filter(pl.col("batch_id") == DAYS - 1).join(
        orders.select("transaction_id", "session_id"), "transaction_id"
    )
    keys = ["user_id", "session_id", "product_id"]
    for steps in (views, carts.filter(pl.col("action") == "add")):  # who buys has viewed and carted it in that visit
        assert bought.join(steps, keys, how="anti").is_empty()
    took_out = carts.filter(pl.col("action") == "remove")
    assert 0 < len(took_out) < len(carts) / 5
    last = max(views["timestamp"].max(), carts["timestamp"].max())
    assert last < orders["kafka_at"].max()


def test_customers_and_products_change_and_some_come_late(data: Shop) -> None:
    users, products = rows(data, USERS), rows(data, PRODUCTS)
    assert users["user_id"].n_unique() == SIZE.customers
    assert users.group_by("user_id").agg(pl.col("email").n_unique() == pl.len())["email"].all()
    assert 0.2 < (len(users) - SIZE.customers) / SIZE.customers < 0.3
    first = rows(data, TRANSACTIONS)["timestamp"].min()
    assert len(users.filter(pl.col("timestamp") > first).unique("user_id")) > SIZE.customers / 5
    assert products["product_id"].n_unique() == SIZE.products
    assert len(products) / SIZE.products == pytest.approx(1 + DAYS / 91, abs=0.5)
    assert set(rows(data, TRANSACTION_ITEMS)["product_id"]) <= set(products["product_id"])
    came, sold = rows(data, INVENTORY_EVENTS)["change"].sum(), rows(data, TRANSACTION_ITEMS)["quantity"].sum()
    assert came == pytest.approx(sold, rel=0.15)


def test_the_time_in_spark_counts_jobs_at_the_same_time_once() -> None:
    assert _covered([(5.0, 6.0), (1.0, 3.0), (2.0, 2.5), (2.5, 4.0)]) == pytest.approx(4.0)
    assert _covered([]) == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_nights_of_a_small_shop_pass_their_checks_and_say_what_each_step_took(
    data: Shop, tmp_path: Path, jars_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = importlib.import_module("infra.bench.daily")
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / "none.env"))
    monkeypatch.setenv("GLOBALMART_JARS_DIR", str(jars_dir))
    monkeypatch.setattr(module, "shop", lambda *_: data)
    result = module.daily(SIZE.customers)  # raises where a step or a check fails
    first, second = result.details["nights"]
    assert (second["day"], result.ours) == (str(LAST_DAY), second["seconds"])
    assert first["day"] == str(LAST_DAY - timedelta(days=1))
    for night in (first, second):
        assert len(night["steps"]) == _JOB
        assert sum(step["is_check"] for step in night["steps"]) == 25
        assert all(0 <= step["spark_seconds"] <= step["seconds"] + 0.1 for step in night["steps"])
        assert 0 < night["quality_share"] < 1
        assert night["spark_peak_gib"] > night["python_peak_gib"] > 0
    made = {step["step"]: step["rows"] for step in second["steps"] if not step["is_check"]}
    lines = rows(data, TRANSACTION_ITEMS).filter(pl.col("timestamp").dt.date() == LAST_DAY)
    assert made["gold__fact_sales"] == len(lines)
    assert made["gold__customer_rfm"] > 0
