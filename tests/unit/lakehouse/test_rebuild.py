"""Rebuild on a lake of files: equal content for equal input, every kind of damage found and mended, and a cut-short swap finished."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from records import KAFKA_AT, event_id, kafka_table, text

from lakehouse import tables as t
from lakehouse.errors import GlobalMartError, LeaseHeldError
from lakehouse.lease import Lease
from lakehouse.ledger import LedgerEntry, last_entry, read_entries
from lakehouse.live import views
from lakehouse.live.base import Batch, Lake
from lakehouse.rebuild import run as rebuild_run
from lakehouse.rebuild.run import rebuild
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.streams.checkpoint import Checkpoint
from lakehouse.streams.sinks import Sinks
from lakehouse.transforms.parse import parse
from lakehouse.transforms.refine import Knowledge, Stamp, refine
from lakehouse.transforms.watermarks import advanced, shop_watermark

NOW = datetime(2026, 3, 15, tzinfo=UTC)
STREAMING = [table for table in t.TABLES if table.owner == "streaming"]
BATCHES = [
    [
        ("products", text("products", product_id="p000123", category="Lamps")),
        ("product_views", text("product_views", event_id=event_id(1))),
        ("transactions", text("transactions", event_id=event_id(2), transaction_id="t-1")),
        ("product_views", text("product_views", event_id=event_id(3), campaign="spring")),
    ],
    [
        ("product_views", text("product_views", event_id=event_id(1))),  # a duplicate
        ("transactions", text("transactions", event_id=event_id(4), transaction_id="t-1", country="GB")),  # a conflict
        ("transactions", text("transactions", event_id=event_id(5), transaction_id="t-2", country="IN")),
        ("cart_events", b"not json"),
        ("users", text("users", event_id=event_id(6))),
    ],
    [("inventory_events", text("inventory_events", event_id=event_id(7), change=-3))],
]


def stream(settings, spark, batches):
    """What the streaming service leaves in the lake after these batches, without Kafka."""
    sinks = Sinks(settings, STREAMING)
    sinks.create_missing()
    knowledge, live = Knowledge(), views.load(settings, Lake(settings, {}))
    checkpoint = Checkpoint(settings)
    generation = checkpoint.open(None, -1)
    checkpoint.begin(generation)
    (checkpoint.folder(generation) / "metadata").write_text('{"id":"x"}')
    watermarks, offset = {}, 0

    def parser(records):
        return parse(spark.createDataFrame(records)).toArrow()

    for number, values in enumerate(batches):
        started_at = KAFKA_AT + timedelta(seconds=number)
        refined = refine(parser(kafka_table(values, offset)), Stamp(number, started_at, watermarks), knowledge, parser)
        offset += len(values)
        watermarks = advanced(watermarks, refined.watermark_times, timedelta(minutes=10))
        batch = Batch(number, started_at, refined.rows, shop_watermark(watermarks), knowledge.catalogue)
        sinks.append(refined.rows | views.apply(live, batch).rows, number)
        versions = {path: v for path, v in sinks.versions().items() if path != t.LEDGER_STREAMING.path}
        entry = LedgerEntry(
            generation.number, number, number, started_at, started_at, {"transactions/0": offset}, watermarks, versions,
            refined.counts,
        )  # fmt: skip
        sinks.append({t.LEDGER_STREAMING.path: entry.to_rows()}, number)
        for log in ("offsets", "commits"):
            (checkpoint.folder(generation) / log).mkdir(exist_ok=True)
            (checkpoint.folder(generation) / log / str(number)).write_text("v1\n{}\n")


def content(settings):
    """All rows of all tables but the ledger, as written."""
    return {
        table.path: sorted(map(str, open_table(settings, table).to_pyarrow_table().to_pylist()))
        for table in STREAMING
        if table is not t.LEDGER_STREAMING
    }


def verdicts(found):
    return {one.table for one in found.comparisons if not one.is_equal}


@pytest.fixture(scope="module")
def streamed(spark, tmp_path_factory):
    """A folder with lake and checkpoint after BATCHES, to be copied."""
    home = tmp_path_factory.mktemp("streamed")
    settings = Settings(_env_file=None, state_dir=home / "state", lake_uri=(home / "lake").as_uri())
    stream(settings, spark, BATCHES)
    return home


@pytest.fixture
def lake(file_settings, streamed):
    home = file_settings.state_dir.parent
    for name in ("lake", "state"):
        shutil.copytree(streamed / name, home / name)
    return file_settings


@pytest.fixture
def again(lake, spark):
    """Rebuild the lake, saying nothing."""

    def go(**options):
        return rebuild(lake, lambda: spark, NOW, say=lambda _: None, **options)

    return go


def folder(settings, table):
    return Path(unquote(urlparse(settings.lake_uri).path)) / table.path


def test_equal_input_gives_equal_content(lake, again):
    before, ledger = content(lake), read_entries(open_table(lake, t.LEDGER_STREAMING))
    assert sum(map(len, before.values())) > 20
    found = again()
    assert verdicts(found) == set()
    assert found.swapped == []
    assert (found.batch_id, found.record_count) == (2, 10)
    assert content(lake) == before
    assert read_entries(open_table(lake, t.LEDGER_STREAMING)) == ledger
    assert not list(folder(lake, t.USERS).parents[1].glob("_rebuild/*"))


def test_a_deleted_file_a_doubled_row_and_a_changed_amount_are_found_and_mended(lake, again):
    before = content(lake)
    (lost, *_) = folder(lake, t.PRODUCT_VIEWS).glob("*.parquet")
    lost.unlink()
    write_deltalake(open_table(lake, t.USERS), open_table(lake, t.USERS).to_pyarrow_table(), mode="append")
    change = {"revenue": "CAST(revenue + 0.01 AS DECIMAL(18,2))"}
    open_table(lake, t.SALES_BY_MINUTE).update(updates=change, predicate="country = 'IN'")

    dry = again(dry_run=True)
    differing = {"silver/product_views", "silver/users", "gold/sales_by_minute"}
    assert verdicts(dry) == differing
    assert dry.swapped == []
    by_table = {one.table: one for one in dry.comparisons}
    assert by_table["silver/product_views"].damage == f"silver/product_views/{lost.name} cannot be read"
    assert by_table["silver/users"].live.row_count == 2
    assert by_table["silver/users"].first_keys == [{"event_id": event_id(6), "in_live": True}]
    sales = by_table["gold/sales_by_minute"]
    assert sales.live.money["revenue"] - sales.rebuilt.money["revenue"] == Decimal("0.01")
    assert sorted((key["country"], key["in_live"]) for key in sales.first_keys) == [("IN", False), ("IN", True)]

    assert set(again().swapped) == differing
    assert content(lake) == before


def test_a_table_that_is_gone_altogether_comes_back(lake, again):
    before = content(lake)
    for path in sorted(folder(lake, t.QUARANTINE).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert again().swapped == ["silver/quarantine"]
    assert content(lake) == before


def test_a_swap_of_equal_tables_changes_no_row_and_the_stream_goes_on_in_a_new_generation(lake, again):
    before, rows = last_entry(open_table(lake, t.LEDGER_STREAMING)), content(lake)
    found = again(swap_all=True)
    assert found.swapped == [one.table for one in found.comparisons]
    assert content(lake) == rows
    last = last_entry(open_table(lake, t.LEDGER_STREAMING))
    assert (last.batch_id, last.next_offsets, last.watermarks) == (4, before.next_offsets, before.watermarks)
    sinks = Sinks(lake, STREAMING)
    sinks.create_missing()
    generation = Checkpoint(lake).open(last, sinks.last_batch())
    assert generation.is_new
    assert (generation.first_batch, generation.start_offsets) == (5, before.next_offsets)
    sinks.restore(last.table_versions, spared=t.LEDGER_STREAMING)
    assert content(lake) == rows


def test_rows_of_a_batch_that_was_never_finished_are_dropped_by_a_swap(lake, again):
    before = content(lake)
    sinks = Sinks(lake, STREAMING)
    sinks.create_missing()
    rows = open_table(lake, t.USERS).to_pyarrow_table()
    unfinished = rows.set_column(rows.column_names.index("batch_id"), rows.schema.field("batch_id"), pa.array([3]))
    sinks.append({t.USERS.path: unfinished}, 3)
    assert verdicts(again(dry_run=True)) == set()
    assert again().swapped == ["silver/users"]
    assert content(lake) == before
    assert last_entry(open_table(lake, t.LEDGER_STREAMING)).batch_id == 5


def test_a_swap_cut_short_is_finished_by_a_second_run_and_undone_by_a_start_of_the_stream(lake, again, monkeypatch):
    before = content(lake)
    write_deltalake(open_table(lake, t.USERS), open_table(lake, t.USERS).to_pyarrow_table(), mode="append")
    damaged = content(lake)
    real, done = rebuild_run.swap.__globals__["_replace"], []

    def dies_after_two(settings, rebuilt, table):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(table.path)
        return real(settings, rebuilt, table)

    monkeypatch.setitem(rebuild_run.swap.__globals__, "_replace", dies_after_two)
    with pytest.raises(KeyboardInterrupt):
        again(swap_all=True)
    monkeypatch.undo()

    last = last_entry(open_table(lake, t.LEDGER_STREAMING))
    stale = [path for path in done if open_table(lake, t.BY_PATH[path]).version() != last.table_versions[path]]
    assert stale == done
    assert again().swapped == ["silver/users"]
    assert content(lake) == before != damaged
    last = last_entry(open_table(lake, t.LEDGER_STREAMING))
    versions = {table.path: open_table(lake, table).version() for table in STREAMING if table is not t.LEDGER_STREAMING}
    assert last.table_versions == versions


def test_it_is_refused_while_the_stream_owns_the_tables_but_a_dry_run_is_not(lake, again):
    with Lease(lake, "streaming"):
        with pytest.raises(LeaseHeldError, match="owns the streaming tables of this lake; stop it first"):
            again()
        assert verdicts(again(dry_run=True)) == set()


def test_an_empty_lake_and_an_unreadable_bronze_are_one_sentence(file_settings, lake, again, spark, tmp_path):
    nothing = file_settings.model_copy(update={"lake_uri": (tmp_path / "empty").as_uri()})
    with pytest.raises(GlobalMartError, match="Nothing has been streamed yet"):
        rebuild(nothing, lambda: spark, NOW, say=lambda _: None)
    for path in folder(lake, t.BRONZE_EVENTS).glob("*.parquet"):
        path.unlink()
    with pytest.raises(GlobalMartError, match="Bronze cannot be read"):
        again()
