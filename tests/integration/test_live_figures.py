"""Stock, ingestion rates and the sales board on the real stack, through a kill of the driver: each equals a replay of silver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from live_lake import PRODUCT
from notebook_runs import run, shown

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.live.base import newest
from lakehouse.live.board import ORDERS, SALES, Board
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.transforms.watermarks import shop_watermark

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

PRODUCT_COUNT = 250_000


@pytest.fixture(scope="module")
def lake(live_lake: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """All tables under their names, times without zone (UTC); tables of snapshots once read, the ledger apart."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    for table in t.TABLES:
        if table.owner != "streaming" or table.path in (t.BRONZE_EVENTS.path, t.LEDGER_STREAMING.path):
            continue
        rows = open_table(live_lake, table).to_pyarrow_dataset().to_table().select(table.schema.names)
        con.register(table.name, plain(newest(rows, table) if table.reading == "snapshots" else rows))
    con.register("ledger", ledger(live_lake))
    yield con
    con.close()


def plain(rows: pa.Table) -> pa.Table:
    fields = [pa.field(f.name, pa.timestamp("us") if pa.types.is_timestamp(f.type) else f.type) for f in rows.schema]
    return rows.cast(pa.schema(fields))


def ledger(settings: Settings) -> pa.Table:
    """(batch_id, started_at, watermark of the shop, counts) of every batch."""
    rows = open_table(settings, t.LEDGER_STREAMING).to_pyarrow_dataset().to_table()
    watermarks = [shop_watermark(dict(marks)) for marks in rows["watermarks"].to_pylist()]
    kept = rows.select(
        ["batch_id", "started_at", "record_count", "accepted_count", "quarantined_count", "duplicate_count"]
    )
    return plain(kept.append_column("watermark", pa.array(watermarks, t.TIME)))


def test_stock_of_all_products_equals_a_replay_of_silver(lake):
    replay = """
        WITH opened AS (
            SELECT product_id, arg_min(inventory, (partition, "offset")) AS opening, arg_min(timestamp, (partition, "offset")) AS at
            FROM products GROUP BY product_id
        ),
        moved AS (SELECT product_id, sum(change) AS units, max(timestamp) AS at FROM inventory_events GROUP BY product_id),
        gone AS (SELECT product_id, sum(quantity) AS units, max(timestamp) AS at FROM transaction_items GROUP BY product_id)
        SELECT product_id, coalesce(opening, 0) + coalesce(moved.units, 0) - coalesce(gone.units, 0), opening,
            coalesce(moved.units, 0), coalesce(gone.units, 0), greatest(opened.at, moved.at, gone.at)
        FROM opened FULL JOIN moved USING (product_id) FULL JOIN gone USING (product_id) ORDER BY product_id"""
    kept = "SELECT product_id, level, opening_count, changed_count, sold_count, updated_at FROM inventory_levels ORDER BY 1"
    expected, found = lake.execute(replay).fetchall(), lake.execute(kept).fetchall()
    assert len(expected) >= PRODUCT_COUNT
    assert found == expected
    assert sum(row[4] for row in found) > 100


def test_status_alarm_and_oversold_units_follow_from_the_level(lake):
    wrong = lake.execute("""
        SELECT * FROM inventory_levels
        WHERE (status = 'out') <> (level <= 0) OR oversold_count <> greatest(-level, 0) OR ever_oversold_count < oversold_count
            OR (level BETWEEN 1 AND 5 AND status <> 'low') OR (status = 'ok') <> (alarm = 'ok')""").fetchall()
    assert wrong == []


def test_each_alert_about_stock_was_told_once(lake):
    told = lake.execute("SELECT kind, severity, fingerprint FROM alerts WHERE fingerprint = ? ORDER BY batch_id, kind", [
        f"stock|{PRODUCT}"
    ]).fetchall()  # fmt: skip
    assert [(kind, severity) for kind, severity, _ in told][-3:] == [
        ("out_of_stock", "critical"), ("oversold", "warning"), ("back_in_stock", "info"),
    ]  # fmt: skip
    repeated = lake.execute("""
        SELECT alert_id, verdict, count(*) FROM alerts WHERE starts_with(fingerprint, 'stock|')
        GROUP BY 1, 2 HAVING count(*) > 1""").fetchall()
    assert repeated == []
    row = lake.execute(
        "SELECT status, alarm, ever_oversold_count > 900000 FROM inventory_levels WHERE product_id = ?", [PRODUCT]
    )
    assert row.fetchall() == [("ok", "ok", True)]


def test_ingestion_rates_equal_what_became_of_every_record(lake):
    silver = " UNION ALL ".join(
        f"SELECT topic, kafka_at, '' AS reasons, 1 AS accepted, 0 AS quarantined, 0 AS duplicate, is_late::INT AS late FROM {topic}"
        for topic in CONTRACTS
    )
    expected = lake.execute(f"""
        SELECT date_trunc('second', kafka_at)::TIMESTAMP, topic, reasons,
            count(*), sum(accepted), sum(quarantined), sum(duplicate), sum(late)
        FROM (
            {silver}
            UNION ALL SELECT topic, kafka_at, array_to_string(reason_codes, ' '), 0, 1, 0, 0 FROM quarantine
            UNION ALL SELECT topic, kafka_at, '', 0, 0, 1, 0 FROM duplicates
        ) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""").fetchall()
    found = lake.execute("""
        SELECT second, topic, reasons, sum(record_count), sum(accepted_count), sum(quarantined_count), sum(duplicate_count),
            sum(late_count) FROM ingestion_rates GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""").fetchall()
    assert found == expected
    assert all(sum(column) > 20 for column in zip(*(row[3:] for row in found), strict=True))


def test_ingestion_rates_of_a_batch_are_its_counts_in_the_ledger(lake):
    names = "record_count", "accepted_count", "quarantined_count", "duplicate_count"
    found = lake.execute(f"""
        SELECT batch_id, {", ".join(f"sum({name})" for name in names)} FROM ingestion_rates GROUP BY 1 ORDER BY 1""").fetchall()
    expected = lake.execute(
        f"SELECT batch_id, {', '.join(names)} FROM ledger WHERE record_count > 0 ORDER BY 1"
    ).fetchall()
    assert found == expected


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("interval", ["minute", "hour"])
@pytest.mark.parametrize(
    ("subject", "dimension", "silver", "count", "money"),
    [
        (SALES, "category", "transaction_items", "sum(quantity)", "line_amount"),
        (ORDERS, "payment_method", "transactions", "count(*)", "total_amount"),
    ],
    ids=["sales", "orders"],
)
def test_the_board_equals_silver_now_and_as_it_was(lake, subject, dimension, silver, count, money, interval, share):
    of_sales = "ledger WHERE batch_id IN (SELECT batch_id FROM transactions)"
    known_at = lake.execute(f"SELECT quantile_disc(started_at, ?) FROM {of_sales}", [share]).fetchone()[0]
    board = Board(subject, interval, ("country", dimension), known_at=aware(known_at))
    rows = lake.execute(*board.sql()).fetchall()
    names = (
        "period_start_at",
        "country",
        dimension,
        subject.measures[0],
        "revenue",
        "status",
        "final_at",
        "final_revenue",
    )
    places = [board.columns.index(name) for name in names]
    expected = lake.execute(
        f"""
        WITH sold AS (
            SELECT s.*, date_trunc('{interval}', timestamp)::TIMESTAMP AS start, start + INTERVAL 1 {interval} AS "end"
            FROM {silver} s JOIN ledger USING (batch_id) WHERE started_at <= $known_at
        ),
        closed AS (
            SELECT "end", min(batch_id) AS closing, min(started_at) AS final_at
            FROM (SELECT DISTINCT "end" FROM sold) JOIN ledger ON watermark >= "end" WHERE started_at <= $known_at GROUP BY 1
        )
        SELECT start, country, {dimension}, {count}, sum({money}),
            CASE WHEN any_value(closing) IS NULL THEN 'provisional' WHEN max(batch_id) > any_value(closing) THEN 'restated'
                 ELSE 'final' END,
            any_value(final_at),
            CASE WHEN any_value(closing) IS NOT NULL THEN coalesce(sum({money}) FILTER (batch_id <= closing), 0) END
        FROM sold LEFT JOIN closed USING ("end") GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
        {"known_at": known_at},
    ).fetchall()
    assert [tuple(row[place] for place in places) for row in rows] == expected
    assert expected
    if share == 1.0:
        assert len(expected) > 5
        assert {row[5] for row in expected} >= {"provisional", "restated"}


def aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


def test_notebooks_of_the_lakehouse_and_of_the_books_run_on_the_stream(live_lake):
    tour, proof = (run(name, {}) for name in ("1_tour_of_the_lakehouse", "6_proof_of_the_books"))
    assert "the two engines agree to the cent" in shown(tour)
    assert "at version " in shown(tour)
    assert "is not there yet" not in shown(tour) + shown(proof)
    assert "The books balance up to batch " in shown(proof)
