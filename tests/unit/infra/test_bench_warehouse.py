"""`globalmart bench warehouse` at a small size: the same data each time, the same rows from Spark and from Polars, a table and a plot."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infra.bench import warehouse_data
from infra.bench.warehouse_data import DAYS, LAST_DAY, Size, lake
from lakehouse.tables import TRANSACTIONS

SIZE = Size(1_000)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOBALMART_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_data_are_made_once_the_same_for_a_size_and_the_last_day_is_a_commit_of_its_own(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    first = lake(SIZE, said.append)
    assert lake(SIZE, said.append) == first
    assert said == ["making 3,660 transactions of 1,000 customers, once"]
    rows = pl.read_delta(str(first / TRANSACTIONS.path)).sort("event_id")
    monkeypatch.setenv("GLOBALMART_CACHE_DIR", str(tmp_path / "other"))
    assert rows.equals(pl.read_delta(str(lake(SIZE, said.append) / TRANSACTIONS.path)).sort("event_id"))

    assert len(rows) == SIZE.daily_orders * DAYS
    assert rows["transaction_id"].n_unique() == len(rows)
    assert (rows["timestamp"].max().date(), rows["user_id"].str.len_bytes().unique().to_list()) == (LAST_DAY, [8])
    lines = rows.select("transaction_id", "total_amount", "products").explode("products").unnest("products")
    sums = lines.group_by("transaction_id", "total_amount").agg(
        (pl.col("quantity") * pl.col("price")).sum().alias("sum")
    )
    assert (sums["sum"] == sums["total_amount"]).all()
    assert 0 < rows["is_late"].sum() < len(rows) / 20
    day_start = datetime.combine(LAST_DAY, datetime.min.time(), UTC)
    before = pl.read_delta(str(first / TRANSACTIONS.path), version=0)
    assert len(before) == len(rows) - SIZE.daily_orders
    assert before["timestamp"].max() < day_start


def test_files_hold_a_day_at_full_size_and_many_days_of_small_shops() -> None:
    full = warehouse_data.commits(Size(10_000_000))
    assert [len(days) for days in full] == [1] * DAYS
    small = warehouse_data.commits(Size(1_000_000))
    assert [day for days in small for day in days] == list(range(DAYS))
    assert {len(days) for days in small[:-2]} == {10}
    assert len(small[-1]) == 1


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_benchmark_of_a_small_shop_has_equal_rows_and_writes_its_table_and_plot(
    cache: Path, jars_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = importlib.import_module("infra.bench.warehouse")
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / "none.env"))
    monkeypatch.setenv("GLOBALMART_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GLOBALMART_JARS_DIR", str(jars_dir))
    monkeypatch.setattr(module, "_SHARES", (0.5, 1.0))
    monkeypatch.setattr(module, "_ROUNDS", 2)
    result = module.warehouse(SIZE.customers)  # raises where a row of Spark and one of Polars differ
    assert result.ratio == round(result.peer / result.ours, 2)
    assert [one["customers"] for one in result.details["sizes"]] == [500, 1_000]
    table, plot = map(Path, result.details["files"])
    assert table.read_text().count("\n") == 4
    assert len(json.loads(plot.read_text())["data"]["values"]) == 6
