"""`lakehouse.marts.cohort_retention`: cohorts worked out by hand, and the same by DuckDB."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest
from mart_data import DAY, LINES, frame, line, rows_of, same, shop, usd
from pyspark.sql import SparkSession

from lakehouse.marts.cohort_retention import cohort_retention
from lakehouse.tables import COHORT_RETENTION


def cohorts(spark: SparkSession, day: date, *rows: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = rows_of(cohort_retention(frame(spark, LINES, rows), day), COHORT_RETENTION)
    assert all(row["as_of_date"] == day for row in found)
    return [tuple(row.values())[1:] for row in found]


def test_a_customer_stays_in_the_month_and_country_of_the_first_purchase(spark: SparkSession) -> None:
    jan, feb, mar = date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)
    rows = cohorts(
        spark,
        date(2024, 2, 29),
        line("2024-01-31T23:59:59.999", "t1", "moves", "p", "10", country="DE"),
        line("2024-02-29T23:59:59.999", "t2", "moves", "p", "5", country="GB"),
        line("2024-02-29T23:59:59.999", "t3", "moves", "p", "1", country="GB"),
        line("2024-02-01T00:00:00", "t4", "once", "p", "7", country="GB"),
        line("2024-01-05T00:00:00", "t6", "same second", "p", "1", country="GB"),
        line("2024-01-05T00:00:00", "t5", "same second", "p", "2", country="DE"),  # DE comes before GB
        line("2024-03-01T00:00:00", "t7", "later", "p", "7"),
    )
    assert rows == [
        (jan, "DE", 0, True, 2, 2, 1.0, usd("13.00"), usd("13.00")),
        (jan, "DE", 1, True, 2, 1, 0.5, usd("6.00"), usd("19.00")),
        (jan, "all", 0, True, 2, 2, 1.0, usd("13.00"), usd("13.00")),
        (jan, "all", 1, True, 2, 1, 0.5, usd("6.00"), usd("19.00")),
        (feb, "GB", 0, True, 1, 1, 1.0, usd("7.00"), usd("7.00")),
        (feb, "all", 0, True, 1, 1, 1.0, usd("7.00"), usd("7.00")),
    ]
    assert mar not in {row[0] for row in rows}


def test_months_without_a_purchase_are_rows_over_a_turn_of_the_year_and_the_last_is_not_complete(
    spark: SparkSession,
) -> None:
    start = date(2023, 12, 1)
    one = usd("1.00")
    rows = cohorts(spark, date(2024, 2, 28), line("2023-12-31T12:00:00", "t", "u", "p", "1"))
    assert [row for row in rows if row[1] == "all"] == [
        (start, "all", 0, True, 1, 1, 1.0, one, one),
        (start, "all", 1, True, 1, 0, 0.0, usd(0), one),
        (start, "all", 2, False, 1, 0, 0.0, usd(0), one),  # 29 February is still to come
    ]


def test_no_purchases_give_no_cohorts(spark: SparkSession) -> None:
    assert cohorts(spark, DAY) == []


@pytest.mark.parametrize("day", [DAY, date(2024, 2, 29)])
def test_a_random_shop_gives_what_duckdb_gives(spark: SparkSession, day: date) -> None:
    lines = shop(2, 500, days=150, users=60).lines
    expected = duckdb.sql(
        f"""
        WITH known AS (FROM lines WHERE sales_date <= DATE '{day}'),
        first AS (
            SELECT DISTINCT ON (user_id) user_id, date_trunc('month', timestamp AT TIME ZONE 'UTC')::DATE AS cohort, country
            FROM known ORDER BY user_id, timestamp, country),
        cohorts AS (SELECT user_id, cohort, unnest([country, 'all']) AS country FROM first),
        sizes AS (SELECT cohort, country, count(*) AS size FROM cohorts GROUP BY ALL),
        months AS (
            SELECT cohort, country, size, unnest(generate_series(0, date_diff('month', cohort, DATE '{day}'))) AS number FROM sizes),
        bought AS (
            SELECT c.cohort, c.country, date_diff('month', cohort, sales_date) AS number, count(DISTINCT user_id) AS active,
                   sum(line_amount) AS revenue
            FROM cohorts c JOIN known USING (user_id) GROUP BY ALL)
        SELECT DATE '{day}' AS as_of_date, cohort AS cohort_month, country, number::INT AS month_number,
               cohort + to_months(number::INT + 1) <= DATE '{day}' + INTERVAL 1 DAY AS is_complete, size AS customer_count,
               coalesce(active, 0) AS active_count, coalesce(active, 0) / size AS retention_rate,
               coalesce(revenue, 0) AS revenue,
               (SELECT sum(b.revenue) FROM bought b
                WHERE b.cohort = m.cohort AND b.country = m.country AND b.number <= m.number) AS cumulative_revenue
        FROM months m LEFT JOIN bought USING (cohort, country, number) ORDER BY cohort, m.country, number
        """
    )
    actual = rows_of(cohort_retention(spark.createDataFrame(lines), day), COHORT_RETENTION)
    same(actual, expected.to_arrow_table().to_pylist())
    assert len(actual) > 30
