"""The refresher: what it reads of gold, what it publishes, and what it does when gold is missing, damaged or rewritten."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from api.manifest import read_manifest
from api.refresher import Refresher, run
from api.served import SERVED
from api.serving import Generation, Watchdog
from lakehouse.heartbeat import read
from lakehouse.settings import Settings
from lakehouse.tables import CUSTOMER_RFM, ORDERS_BY_MINUTE, SALES_BY_MINUTE, Table

from .conftest import DAY, KNOWN, ORDERS, RFM, SALES, Lake, at, customer, sale, wait_for


def served(settings: Settings, table: Table) -> list[tuple[Any, ...]]:
    """The rows that the API would read, without their version, sorted."""
    manifest = read_manifest(settings.serving_dir)
    assert manifest is not None
    generation = Generation(settings.serving_dir, manifest, 1.0, Watchdog())
    columns = ", ".join(column.name for column in table.columns)
    return sorted(generation.query(f"SELECT {columns} FROM {table.name}"))


def naive(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows as DuckDB gives them: times are UTC and without a zone."""
    return sorted(
        tuple(v.replace(tzinfo=None) if hasattr(v, "tzinfo") and v.tzinfo else v for v in row) for row in rows
    )


def test_first_refresh_publishes_every_row_of_every_table(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    lake.fill()
    assert refresher.refresh()
    assert refresher.problems == {}
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)
    assert served(settings, ORDERS_BY_MINUTE) == naive(ORDERS)
    assert served(settings, CUSTOMER_RFM) == naive(RFM)


def test_refresh_without_news_publishes_nothing(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    lake.fill()
    refresher.refresh()
    before = read_manifest(settings.serving_dir)
    assert not refresher.refresh()
    assert read_manifest(settings.serving_dir) == before


def test_an_empty_lake_publishes_a_set_without_tables(settings: Settings, refresher: Refresher) -> None:
    assert refresher.refresh()
    assert refresher.problems == {}
    assert refresher.metas == {}
    assert not refresher.refresh()


def test_a_table_appears_once_it_is_materialised(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    refresher.refresh()
    lake.write(SALES_BY_MINUTE, SALES)
    assert refresher.refresh()
    assert set(refresher.metas) == {"sales_by_minute"}
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)


@pytest.mark.parametrize("fold_rows", [3, 10, 1_000_000])
def test_many_small_refreshes_equal_one_full_load(settings: Settings, lake: Lake, fold_rows: int) -> None:
    refresher = Refresher(settings, fold_rows=fold_rows)
    rows = []
    for number in range(20):
        new = [
            sale(DAY + timedelta(minutes=number * 7 + i), "US", "Coffee", i, 1, f"{number}.{i:02}", number)
            for i in (1, 2)
        ]
        lake.write(SALES_BY_MINUTE, new)
        rows += new
        assert refresher.refresh()
    assert served(settings, SALES_BY_MINUTE) == naive(rows)
    assert refresher.metas["sales_by_minute"].rows == len(rows)
    assert refresher.metas["sales_by_minute"].loaded_version == 0
    assert refresher.metas["sales_by_minute"].delta_version == 19
    assert refresher.metas["sales_by_minute"].known_at == KNOWN.replace(tzinfo=None)


def test_each_row_carries_the_version_that_brought_it(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    lake.write(SALES_BY_MINUTE, SALES[:1])
    refresher.refresh()
    lake.write(SALES_BY_MINUTE, SALES[1:2])
    lake.write(SALES_BY_MINUTE, SALES[2:3])
    refresher.refresh()
    manifest = read_manifest(settings.serving_dir)
    assert manifest is not None
    generation = Generation(settings.serving_dir, manifest, 1.0, Watchdog())
    assert generation.query(
        "SELECT batch_id, revenue::VARCHAR, delta_version FROM sales_by_minute ORDER BY delta_version"
    ) == [
        (1, "12.30", 0),
        (2, "0.70", 1),
        (1, "199.99", 2),
    ]


def test_a_restarted_refresher_goes_on_without_loading_anew(
    settings: Settings, lake: Lake, refresher: Refresher
) -> None:
    lake.write(SALES_BY_MINUTE, SALES[:2])
    refresher.refresh()
    lake.write(SALES_BY_MINUTE, SALES[2:3])
    refresher.refresh()
    epoch = refresher.metas["sales_by_minute"].epoch
    lake.write(SALES_BY_MINUTE, SALES[3:])
    again = Refresher(settings)
    assert again.refresh()
    assert again.metas["sales_by_minute"].epoch == epoch
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)


def test_compaction_changes_no_row_and_loads_nothing(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    for row in SALES:
        lake.write(SALES_BY_MINUTE, [row])
    refresher.refresh()
    epoch = refresher.metas["sales_by_minute"].epoch
    assert lake.table(SALES_BY_MINUTE).optimize.compact()["numFilesRemoved"] == len(SALES)
    lake.write(SALES_BY_MINUTE, [sale(at(11), "IN", "Tents", 1, 1, "5.00")])
    refresher.refresh()
    assert refresher.metas["sales_by_minute"].epoch == epoch
    assert served(settings, SALES_BY_MINUTE) == naive([*SALES, sale(at(11), "IN", "Tents", 1, 1, "5.00")])


def test_a_restored_table_is_loaded_anew(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    lake.write(SALES_BY_MINUTE, SALES[:2])
    lake.write(SALES_BY_MINUTE, SALES[2:])
    refresher.refresh()
    epoch = refresher.metas["sales_by_minute"].epoch
    lake.table(SALES_BY_MINUTE).restore(0)
    assert refresher.refresh()
    assert served(settings, SALES_BY_MINUTE) == naive(SALES[:2])
    assert refresher.metas["sales_by_minute"].epoch != epoch


def test_a_table_made_anew_with_more_versions_is_recognised(
    settings: Settings, lake: Lake, refresher: Refresher, tmp_path: Path
) -> None:
    lake.write(SALES_BY_MINUTE, SALES)
    refresher.refresh()
    (tmp_path / "lake/gold/sales_by_minute").rename(tmp_path / "old")
    for row in SALES[:3]:
        lake.write(SALES_BY_MINUTE, [row])
    assert refresher.refresh()
    assert served(settings, SALES_BY_MINUTE) == naive(SALES[:3])


def test_a_day_materialised_again_replaces_that_day_only(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    lake.write(CUSTOMER_RFM, RFM)
    refresher.refresh()
    again = [customer(date(2026, 3, 14), "u9", 3, 2, "20.00", "lost")]
    lake.write(CUSTOMER_RFM, again, mode="overwrite", predicate="as_of_date = '2026-03-14'")
    refresher.refresh()
    assert served(settings, CUSTOMER_RFM) == naive([RFM[0], *again])


def test_a_new_day_is_added_with_its_partition_value_and_the_oldest_leaves(
    settings: Settings, lake: Lake, refresher: Refresher
) -> None:
    lake.write(CUSTOMER_RFM, RFM)
    refresher.refresh()
    epoch = refresher.metas["customer_rfm"].epoch
    lake.write(CUSTOMER_RFM, [customer(date(2026, 3, 15), "u1", 2, 7, "700.50", "champions")])
    refresher.refresh()
    assert served(settings, CUSTOMER_RFM) == naive(
        [*RFM[1:], customer(date(2026, 3, 15), "u1", 2, 7, "700.50", "champions")]
    )
    assert refresher.metas["customer_rfm"].epoch == epoch


def test_a_table_that_is_gone_is_no_longer_served(
    settings: Settings, lake: Lake, refresher: Refresher, tmp_path: Path
) -> None:
    lake.fill()
    refresher.refresh()
    (tmp_path / "lake/gold/orders_by_minute").rename(tmp_path / "old")
    assert refresher.refresh()
    assert set(refresher.metas) == {"sales_by_minute", "customer_rfm"}


@pytest.mark.parametrize("damage", ["commit", "file", "file_cut_short", "file_gone"])
def test_damaged_gold_keeps_the_last_good_rows_and_names_the_table(
    settings: Settings, lake: Lake, refresher: Refresher, tmp_path: Path, damage: str
) -> None:
    lake.write(SALES_BY_MINUTE, SALES[:2])
    refresher.refresh()
    folder = tmp_path / "lake/gold/sales_by_minute"
    before = set(folder.glob("*.parquet"))
    lake.write(SALES_BY_MINUTE, SALES[2:])
    lake.write(ORDERS_BY_MINUTE, ORDERS)
    (new,) = set(folder.glob("*.parquet")) - before
    target = folder / f"_delta_log/{1:020d}.json" if damage == "commit" else new
    good = target.read_bytes()
    if damage == "file_gone":
        target.unlink()
    else:
        target.write_bytes(good[:100] if damage == "file_cut_short" else b"not what it was")
    assert refresher.refresh()
    assert list(refresher.problems) == ["gold/sales_by_minute"]
    assert served(settings, SALES_BY_MINUTE) == naive(SALES[:2])
    assert served(settings, ORDERS_BY_MINUTE) == naive(ORDERS)

    target.write_bytes(good)
    assert refresher.refresh()
    assert refresher.problems == {}
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)


def test_a_store_that_is_away_is_a_problem_and_not_a_crash(
    settings: Settings, lake: Lake, refresher: Refresher
) -> None:
    lake.fill()
    refresher.refresh()
    away = settings.model_copy(
        update={"lake_uri": "s3a://lakehouse", "s3_endpoint": "http://127.0.0.1:1", "s3_access_key": "a"}
    )
    cut_off = Refresher(away)
    assert not cut_off.refresh()
    assert set(cut_off.problems) == {table.path for table in SERVED}
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)


def test_a_publication_that_failed_is_tried_again(
    settings: Settings, lake: Lake, refresher: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write(SALES_BY_MINUTE, SALES)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("api.refresher.write_live", full_disk)
        with pytest.raises(OSError, match="No space"):
            refresher.refresh()
    assert refresher.refresh()
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)


@pytest.mark.parametrize("damage", ["pointer", "live", "base"])
def test_damaged_serving_files_are_built_anew(
    settings: Settings, lake: Lake, refresher: Refresher, damage: str
) -> None:
    lake.fill()
    refresher.refresh()
    manifest = refresher.manifest
    if damage == "pointer":
        (settings.serving_dir / "current.json").write_text("{")
    elif damage == "live":
        (settings.serving_dir / manifest.live).write_bytes(b"no database")
    else:
        (settings.serving_dir / manifest.bases["sales_by_minute"]).unlink()
    again = Refresher(settings)
    assert again.refresh()
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)


def test_files_that_no_recent_set_needs_are_removed(settings: Settings, lake: Lake) -> None:
    refresher = Refresher(settings, fold_rows=2)
    for number in range(30):
        lake.write(SALES_BY_MINUTE, [sale(at(9), "US", "Coffee", 1, 1, "1.00", number)])
        refresher.refresh()
    names = {path.name for path in settings.serving_dir.iterdir()}
    assert {name for name in names if name.startswith("live-")} == {f"live-{n}.duckdb" for n in range(26, 31)}
    assert len(names) <= 5 + 5 + 1
    assert refresher.manifest.files <= names


def test_serving_meta_says_what_the_files_hold(settings: Settings, lake: Lake, refresher: Refresher) -> None:
    lake.write(SALES_BY_MINUTE, SALES[:2])
    lake.write(SALES_BY_MINUTE, SALES[2:])
    refresher.refresh()
    with duckdb.connect(str(settings.serving_dir / refresher.manifest.live), read_only=True) as con:
        rows = con.execute('SELECT name, delta_version, "rows", known_at FROM serving_meta').fetchall()
    assert rows == [("sales_by_minute", 1, 5, KNOWN.replace(tzinfo=None))]


def test_rows_written_by_another_writer_with_nanosecond_times_are_read(
    settings: Settings, lake: Lake, refresher: Refresher, tmp_path: Path
) -> None:
    """Spark writes INT96 times unless told otherwise; they reach Arrow as nanoseconds."""
    lake.write(SALES_BY_MINUTE, SALES[:1])
    refresher.refresh()
    lake.write(SALES_BY_MINUTE, SALES[1:2])
    folder = tmp_path / "lake/gold/sales_by_minute"
    path = next(folder / uri for uri in _added(lake.table(SALES_BY_MINUTE), folder))
    pq.write_table(pq.read_table(path), path, use_deprecated_int96_timestamps=True)
    refresher.refresh()
    assert refresher.problems == {}
    assert served(settings, SALES_BY_MINUTE) == naive(SALES[:2])


def _added(table: DeltaTable, folder: Path) -> list[str]:
    first = (folder / f"_delta_log/{0:020d}.json").read_text()
    return [Path(uri).name for uri in table.file_uris() if Path(uri).name not in first]


def test_the_loop_publishes_news_and_its_heartbeat_tells_trouble_and_recovery(
    settings: Settings, lake: Lake, tmp_path: Path
) -> None:
    quick = settings.model_copy(update={"refresh_seconds": 0.01})
    stop = threading.Event()
    loop = threading.Thread(target=run, args=(quick, stop))
    loop.start()
    try:
        lake.fill()
        wait_for(lambda: len((read(quick, "refresher") or {}).get("table_versions", {})) == 3)
        commit = tmp_path / f"lake/gold/sales_by_minute/_delta_log/{0:020d}.json"
        good = commit.read_bytes()
        commit.write_bytes(b"{")
        wait_for(lambda: (read(quick, "refresher") or {})["state"] == "waiting")
        assert "gold/sales_by_minute" in (read(quick, "refresher") or {})["reason"]
        commit.write_bytes(good)
        wait_for(lambda: (read(quick, "refresher") or {})["state"] == "running")
    finally:
        stop.set()
        loop.join()
    assert served(settings, SALES_BY_MINUTE) == naive(SALES)
