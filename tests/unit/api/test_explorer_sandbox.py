"""Analysts' SQL: what reads runs, all else is stopped and leaves the server well; rows and persons that a key may not see are not there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.access import Access, Role
from api.errors import CursorGoneError, QueryLimitError
from api.explorer.sandbox import run as sandbox
from api.explorer.sandbox.run import StatementError, run
from api.serving import Generation

ALL = Access("k1", "ada", Role.analyst, sees_personal=True)
MASKED = Access("k2", "ben", Role.analyst)
ONLY_DE = Access("k3", "cem", Role.analyst, countries=frozenset({"DE"}))


@pytest.fixture
def generation(filled: TestClient) -> Generation:
    found: Generation = filled.app.state.serving.current()  # type: ignore[attr-defined]
    return found


def test_what_reads_runs_and_money_stays_exact(generation: Generation) -> None:
    sql = """WITH by_country AS (SELECT country, sum(revenue) AS revenue FROM sales_by_minute GROUP BY country)
             SELECT b.country, b.revenue, o.orders, g.n
             FROM by_country b JOIN (SELECT country, sum(order_count) AS orders FROM orders_by_minute GROUP BY 1) o USING (country)
             CROSS JOIN (SELECT count(*) AS n FROM range(3)) g ORDER BY b.country"""
    found = run(generation, ALL, sql)
    assert [(name, kind.split("(")[0]) for name, kind in found.columns] == [
        ("country", "VARCHAR"), ("revenue", "DECIMAL"), ("orders", "HUGEINT"), ("n", "BIGINT"),
    ]  # fmt: skip
    assert found.rows == [["DE", "8.00", 1, 3], ["US", "217.09", 4, 3]]
    assert found.tables == ("orders_by_minute", "sales_by_minute")
    assert not found.is_cut


ESCAPES = [
    # writes
    "DELETE FROM sales_by_minute",
    "INSERT INTO sales_by_minute SELECT * FROM sales_by_minute",
    "UPDATE sales_by_minute SET revenue = 0",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE OR REPLACE VIEW sales_by_minute AS SELECT 1",
    "DROP VIEW sales_by_minute",
    "COPY sales_by_minute TO 'out.csv'",
    "COPY (SELECT 1) TO '/tmp/out.parquet'",
    "EXPORT DATABASE '/tmp/out'",
    "WITH x AS (DELETE FROM sales_by_minute RETURNING *) SELECT * FROM x",
    # files
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('s3://lakehouse/gold/*')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'data.parquet'",
    "SELECT * FROM (SELECT * FROM read_blob('/etc/hostname'))",
    "SELECT (SELECT content FROM read_text('/etc/hostname'))",
    "SELECT * FROM sales_by_minute WHERE country IN (SELECT content FROM read_text('/etc/hostname'))",
    "SELECT * FROM delta_scan('file:///tmp')",
    # other databases, extensions, settings
    "ATTACH '/tmp/other.duckdb'",
    "DETACH live",
    "USE live",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CHECKPOINT",
    # around the caller's views
    "SELECT * FROM live.sales_by_minute",
    "SELECT * FROM live.main.serving_meta",
    "SELECT * FROM memory.main.sales_by_minute",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM sqlite_master",
    "WITH duckdb_views AS (SELECT 1) SELECT * FROM duckdb_views, (SELECT * FROM duckdb_views) x",
    "SELECT * FROM query('SELECT * FROM live.sales_by_minute')",
    "SELECT * FROM query_table('live.sales_by_minute')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SHOW ALL TABLES",
    "DESCRIBE live.sales_by_minute",
    # several, none, nonsense
    "SELECT 1; DROP TABLE sales_by_minute",
    "SELECT 1; SELECT 2",
    "",
    ";",
    "no sql at all",
    "SELECT * FROM nothing_of_that_name",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT getenv('HOME')",
    "SELECT " + "abs(" * 3000 + "1" + ")" * 3000,
    "SELECT 1 -- " + "x" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("sql", ESCAPES)
def test_what_does_more_than_read_is_refused(generation: Generation, tmp_path: Path, sql: str) -> None:
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises((StatementError, QueryLimitError)) as refused:
        run(generation, ALL, sql)
    assert str(refused.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert generation.query("SELECT count(*) FROM sales_by_minute") == [(5,)]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE loop AS (SELECT 1 AS i UNION ALL SELECT i FROM loop) SELECT count(*) FROM loop",
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
        "SELECT count(*) FROM sales_by_minute a, range(1000000) b, range(1000000) c, orders_by_minute d",
    ],
)
def test_what_never_ends_is_ended(generation: Generation, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(QueryLimitError, match=r"longer|stopped|MiB"):
        run(generation, ALL, sql, seconds=1)
    assert time.monotonic() - started < 30
    assert run(generation, ALL, "SELECT count(*) FROM sales_by_minute").rows == [[5]]


@pytest.mark.parametrize("sql", ["SELECT list(range) FROM range(1000000000)", "SELECT length(repeat('x', 4000000000))"])
def test_what_needs_too_much_memory_is_stopped(generation: Generation, sql: str) -> None:
    with pytest.raises((QueryLimitError, StatementError)):
        run(generation, ALL, sql)
    assert run(generation, ALL, "SELECT 1").rows == [[1]]


def test_more_rows_than_allowed_are_cut_and_said_to_be(generation: Generation) -> None:
    found = run(generation, ALL, "SELECT range FROM range(1000000)", most_rows=10)
    assert (len(found.rows), found.is_cut) == (10, True)
    found = run(generation, ALL, "SELECT repeat('x', 1000000) FROM range(1000)")
    assert found.is_cut
    assert len(found.rows) < 50


def test_a_statement_beside_two_others_is_asked_to_come_again(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [sandbox._places.acquire(blocking=False) for _ in range(2)]
    try:
        assert all(taken)
        with pytest.raises(QueryLimitError, match="try again"):
            run(generation, ALL, "SELECT 1")
    finally:
        for _ in taken:
            sandbox._places.release()
    assert run(generation, ALL, "SELECT 1").rows == [[1]]


def test_a_key_of_one_country_has_its_rows_and_tables_only(generation: Generation) -> None:
    assert run(generation, ONLY_DE, "SELECT DISTINCT country FROM sales_by_minute").rows == [["DE"]]
    with pytest.raises(StatementError, match="no table customer_rfm"):
        run(generation, ONLY_DE, "SELECT * FROM customer_rfm")


def test_user_ids_are_hidden_but_equal_ones_stay_equal(generation: Generation) -> None:
    sql = "SELECT user_id, count(*) FROM customer_rfm GROUP BY user_id ORDER BY count(*) DESC"
    first, second = run(generation, MASKED, sql).rows, run(generation, MASKED, sql).rows
    assert [count for _, count in first] == [2, 1, 1]
    assert all(name.startswith("p_") for name, _ in first)
    assert {name for name, _ in first}.isdisjoint(name for name, _ in second)
    shown = run(generation, ALL, sql)
    assert shown.rows[0] == ["u1", 2]
    assert shown.is_personal


@pytest.mark.parametrize("column", ["age", "preferences"])
def test_what_describes_a_person_is_there_with_the_grant_only(generation: Generation, column: str) -> None:
    sql = f"SELECT {column} FROM dim_user"
    assert run(generation, ALL, sql).is_personal
    with pytest.raises(StatementError, match=column):
        run(generation, MASKED, sql)


def test_a_version_that_is_not_served_is_gone(generation: Generation) -> None:
    assert run(generation, ALL, "SELECT count(*) FROM sales_by_minute", {"sales_by_minute": 0}).rows == [[5]]
    with pytest.raises(CursorGoneError):
        run(generation, ALL, "SELECT count(*) FROM sales_by_minute", {"sales_by_minute": 99})


def test_nothing_of_the_server_is_in_the_statement_s_environment(generation: Generation) -> None:
    os.environ["GLOBALMART_TEST_SECRET"] = "told"
    try:
        with pytest.raises(StatementError):
            run(generation, ALL, "SELECT getenv('GLOBALMART_TEST_SECRET')")
    finally:
        del os.environ["GLOBALMART_TEST_SECRET"]
