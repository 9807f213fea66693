"""The same figure everywhere: what routes answer equals what Polars finds in the Delta tables, read by delta-rs, in another way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable
from fastapi.testclient import TestClient

from api.app import create_app
from api.refresher import Refresher
from lakehouse import tables as t
from lakehouse.storage import delta_uri
from lakehouse.tables import Table

from .conftest import HEADERS, Lake, settings_in
from .gold import at, cart, level, rate, row, session
from .test_sales import exact

COUNTRIES = ("US", "GB", "DE", "IN", "BR")
BATCHES = 12


def _batch(number: int, random: np.random.Generator) -> dict[Table, list[tuple[Any, ...]]]:
    """What one micro-batch adds: snapshots of visits, carts and stock, some of them of keys that it had before."""

    def pick(most: int) -> int:
        return int(random.integers(most))

    def cents() -> Decimal:
        return Decimal(pick(100_000)) / 100

    rows: dict[Table, list[tuple[Any, ...]]] = {table: [] for table in (t.SESSIONS, t.CARTS, t.INVENTORY_LEVELS)}
    for key in {pick(40) for _ in range(25)}:
        started = at(8) + timedelta(minutes=key)
        values = {
            "order_count": (orders := pick(3)),
            "is_converted": orders > 0,
            "revenue": cents(),
            "is_open": pick(2) == 1,
        }
        rows[t.SESSIONS].append(
            session(f"u{key % 17}", started, COUNTRIES[key % 5], number, is_retracted=pick(8) == 0, **values)
        )
    for key in {pick(30) for _ in range(20)}:
        status = ("open", "abandoned", "recovered", "purchased")[pick(4)]
        rows[t.CARTS].append(
            cart(f"c{key}", COUNTRIES[key % 5], status, str(cents()), number, is_retracted=pick(9) == 0)
        )
    for key in {pick(25) for _ in range(15)}:
        rows[t.INVENTORY_LEVELS].append(level(f"p{key}", pick(50) - 5, ("ok", "low", "out")[pick(3)], number))
    rows[t.INGESTION_RATES] = [
        rate(at(9, pick(60), pick(60)), ("transactions", "users")[pick(2)], "", (pick(9), pick(3), pick(2), 0), number)
        for _ in range(9)
    ]
    rows[t.QUARANTINE] = [
        row(
            t.QUARANTINE,
            topic="users",
            offset=number * 10 + n,
            kafka_at=at(9, pick(60)),
            reason_codes=["a", "b", "c"][: 1 + pick(3)],
        )
        for n in range(4)
    ]
    return rows


@pytest.fixture(scope="module", params=[3, 50_000], ids=["folded-often", "never-folded"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Lake]]:
    """Tables written in many commits and followed commit by commit, and an application over them."""
    folder: Path = tmp_path_factory.mktemp("figures")
    settings = settings_in(folder)
    lake = Lake(settings)
    refresher = Refresher(settings, fold_rows=request.param)
    random = np.random.default_rng(6)
    for number in range(1, BATCHES + 1):
        for table, rows in _batch(number, random).items():
            lake.write(table, rows)
        refresher.refresh()
        assert refresher.problems == {}
    with TestClient(create_app(settings), headers=HEADERS) as client:
        yield client, lake


def gold(lake: Lake, table: Table) -> pl.DataFrame:
    """The table as it is once read, by Polars."""
    found = pl.from_arrow(DeltaTable(delta_uri(lake.settings, table)).to_pyarrow_table())
    assert isinstance(found, pl.DataFrame)
    if table.reading == "snapshots":
        found = found.sort("batch_id").unique(list(table.key), keep="last").filter(~pl.col("is_retracted"))
    return found


def every(client: TestClient, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        mark = "&" if "?" in path else "?"
        body = exact(client.get(f"{path}{mark}limit=7" + (f"&cursor={cursor}" if cursor else "")).text)
        rows += body["data"]
        cursor = body["next_cursor"]
    return rows


def test_visits_are_the_newest_of_each_key(world: tuple[TestClient, Lake]) -> None:
    client, lake = world
    expected = gold(lake, t.SESSIONS).sort("started_at", "user_id", descending=[True, False])
    found = every(client, "/v1/sessions")
    assert [(r["user_id"], r["order_count"], r["revenue"]) for r in found] == [
        (user, orders, f"{revenue:.2f}")
        for user, orders, revenue in expected.select("user_id", "order_count", "revenue").rows()
    ]


def test_carts_by_status_and_country_add_up(world: tuple[TestClient, Lake]) -> None:
    client, lake = world
    expected = gold(lake, t.CARTS)
    for status in ("open", "abandoned", "recovered", "purchased"):
        found = every(client, f"/v1/carts?status={status}&country=US&country=DE&sort=amount")
        wanted = expected.filter((pl.col("status") == status) & pl.col("country").is_in(["US", "DE"])).sort(
            "amount", "cart_id"
        )
        assert [(r["cart_id"], r["amount"]) for r in found] == [
            (cart_id, f"{amount:.2f}") for cart_id, amount in wanted.select("cart_id", "amount").rows()
        ]


def test_stock_and_live_figures_count_the_same(world: tuple[TestClient, Lake]) -> None:
    client, lake = world
    levels = gold(lake, t.INVENTORY_LEVELS)
    assert {r["product_id"]: r["level"] for r in every(client, "/v1/inventory")} == dict(
        levels.select("product_id", "level").rows()
    )
    live = client.get("/v1/live").json()
    carts, sessions, rates = gold(lake, t.CARTS), gold(lake, t.SESSIONS), gold(lake, t.INGESTION_RATES)
    newest = rates.filter(pl.col("second") > rates["second"].max() - timedelta(seconds=60))
    assert live["low_stock_count"] == levels.filter(pl.col("status") == "low").height
    assert live["out_of_stock_count"] == levels.filter(pl.col("status") == "out").height
    assert live["abandoned_cart_count"] == carts.filter(pl.col("status") == "abandoned").height
    assert live["open_session_count"] == sessions.filter(pl.col("is_open")).height
    assert live["records_per_second"] == round(newest["record_count"].sum() / 60, 2)


def test_rates_and_quarantine_are_sums_over_all_commits(world: tuple[TestClient, Lake]) -> None:
    client, lake = world
    measures = ["record_count", "accepted_count", "quarantined_count", "duplicate_count"]
    expected = gold(lake, t.INGESTION_RATES).group_by("topic").agg(pl.col(measures).sum()).sort("topic")
    found = client.get("/v1/ingestion-rates?interval=hour").json()["data"]
    assert [tuple(r[name] for name in ("topic", *measures)) for r in found] == expected.rows()
    reasons = gold(lake, t.QUARANTINE).explode("reason_codes").group_by("reason_codes").len().sort("reason_codes")
    shown = sorted((r["reason"], r["record_count"]) for r in client.get("/v1/quarantine").json()["data"])
    assert shown == reasons.rows()


def test_a_past_version_is_what_delta_has_of_it(world: tuple[TestClient, Lake]) -> None:
    client, lake = world
    for version in (0, 5):
        history = DeltaTable(delta_uri(lake.settings, t.CARTS)).history()
        (commit,) = (one for one in history if one["version"] == version)
        moment = commit["timestamp"] / 1000 + 0.0005
        stamp = f"{np.datetime64(int(moment * 1e6), 'us')}Z"
        table = DeltaTable(delta_uri(lake.settings, t.CARTS), version=version).to_pyarrow_table()
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        wanted = frame.sort("batch_id").unique("cart_id", keep="last").filter(~pl.col("is_retracted"))
        response = client.get("/v1/carts", params={"as_of": stamp})
        assert response.headers["x-table-version"] == str(version)
        assert {r["cart_id"]: r["amount"] for r in exact(response.text)["data"]} == {
            cart_id: f"{amount:.2f}" for cart_id, amount in wanted.select("cart_id", "amount").rows()
        }
