"""`lakehouse.marts.sales_trends`: periods worked out by hand, and two years of a random shop by DuckDB."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from mart_data import DAY, LINES, frame, line, rows_of, same, usd
from pyspark.sql import SparkSession

from lakehouse.marts.forecast import back_test, forecast
from lakehouse.marts.sales_trends import sales_trends
from lakehouse.tables import SALES_TRENDS

FORECAST = ("revenue_forecast", "revenue_forecast_low", "revenue_forecast_high")
ERRORS = ("forecast_error", "naive_error", "interval_coverage")


def trends(spark: SparkSession, *rows: dict[str, Any], day: date = DAY) -> list[dict[str, Any]]:
    return rows_of(sales_trends(frame(spark, LINES, rows), day), SALES_TRENDS)


def test_a_first_week_has_its_days_weeks_and_months_with_totals_and_zeros(spark: SparkSession) -> None:
    rows = trends(
        spark,
        line("2024-02-29T23:59:59.999", "t1", "u", "p", "2.50", quantity=2),
        line("2024-03-02T00:00:00", "t2", "u", "p", "1", category="Tea", country="GB"),
        line("2024-03-04T00:00:00", "t3", "u", "p", "9"),  # after the day
        day=date(2024, 3, 3),
    )
    keys = ("period_type", "period_start", "period_end", "category", "country", "is_complete", "unit_count", "revenue")
    # nothing to compare with, and no seven days yet
    others = {name for name in SALES_TRENDS.schema.names if name not in (*keys, "as_of_date", "is_forecast")}
    assert {row[name] for row in rows for name in others} == {None}
    assert {(row["as_of_date"], row["is_forecast"]) for row in rows} == {(date(2024, 3, 3), False)}
    found = [tuple(row[name] for name in keys) for row in rows if row["country"] == "all"]
    leap, first, second, third = (date(2024, 2, 29) + timedelta(days=n) for n in range(4))
    a_day = {
        "Books": [(2, "5.00"), (0, "0.00"), (0, "0.00"), (0, "0.00")],
        "Tea": [(0, "0.00"), (0, "0.00"), (1, "1.00"), (0, "0.00")],
        "all": [(2, "5.00"), (0, "0.00"), (1, "1.00"), (0, "0.00")],
    }
    february, march = date(2024, 2, 1), date(2024, 3, 1)
    assert found == [
        *[
            ("day", day, day, category, "all", True, units, Decimal(amount))
            for n, day in enumerate((leap, first, second, third))
            for category, figures in a_day.items()
            for units, amount in figures[n : n + 1]
        ],
        ("month", february, leap, "Books", "all", False, 2, usd(5)),  # begins before the first sale
        ("month", february, leap, "Tea", "all", False, 0, usd(0)),
        ("month", february, leap, "all", "all", False, 2, usd(5)),
        ("month", march, date(2024, 3, 31), "Books", "all", False, 0, usd(0)),  # not over
        ("month", march, date(2024, 3, 31), "Tea", "all", False, 1, usd(1)),
        ("month", march, date(2024, 3, 31), "all", "all", False, 1, usd(1)),
        ("week", date(2024, 2, 26), third, "Books", "all", False, 2, usd(5)),
        ("week", date(2024, 2, 26), third, "Tea", "all", False, 1, usd(1)),
        ("week", date(2024, 2, 26), third, "all", "all", False, 3, usd(6)),
    ]
    assert {(row["category"], row["country"]) for row in rows} == {
        *[("Books", "US"), ("Books", "all"), ("Tea", "GB"), ("Tea", "all")],
        *[("all", "US"), ("all", "GB"), ("all", "all")],
    }


def test_growth_compares_equal_weekdays_and_whole_months_across_29_february(spark: SparkSession) -> None:
    day = date(2024, 2, 29)
    amounts = {1: "100", 8: "80", 29: "50", 365: "40"}  # USD by days back + 1
    start = date(2022, 12, 30)
    rows = trends(
        spark,
        line(f"{start}T00:00:00", "t0", "u", "p", "1"),
        *[line(f"{day - timedelta(days=n - 1)}T12:00:00", f"t{n}", "u", "p", amount) for n, amount in amounts.items()],
        line("2023-02-01T00:00:00", "t", "u", "p", "10"),
        day=day,
    )
    growth = {
        (row["period_type"], row["period_start"]): tuple(
            row[f"revenue_growth_{name}"] for name in ("week", "month", "year")
        )
        for row in rows
        if (row["category"], row["country"]) == ("all", "all")
    }
    assert growth["day", day] == (0.25, 1.0, 1.5)
    assert growth["day", date(2024, 2, 28)] == (None, None, None)  # nothing to divide by
    assert growth["week", date(2024, 2, 5)] == (-1.0, None, None)
    assert growth["week", date(2024, 2, 26)] == (None, None, None)  # not over
    assert growth["month", date(2024, 2, 1)] == (None, None, 230 / 10 - 1)
    assert growth["month", date(2024, 1, 1)] == (None, None, None)


def test_no_lines_give_no_rows(spark: SparkSession) -> None:
    assert trends(spark) == []
    assert trends(spark, line("2022-01-01T00:00:00", "t", "u", "p", "1")) == []  # before the window


def random_lines(seed: int, last: date, days: int, count: int) -> pa.Table:
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        day = last - timedelta(days=rng.randrange(-1, days))
        if day == last - timedelta(days=9):
            continue  # a day without events
        moment = rng.choice(("00:00:00", "23:59:59.999", "05:00:00", "18:30:00", "03:00:00"))
        amount = str(rng.choice((1, 2, 5)) + 20 * (day.weekday() == 5))
        place = {"category": rng.choice(("Books", "Tea")), "country": rng.choice(("US", "BR", "BR"))}
        rows.append(line(f"{day}T{moment}", f"t{number}", "u", "p", amount, quantity=rng.randint(1, 3), **place))
    return pa.Table.from_pylist(rows, schema=LINES)


@pytest.mark.parametrize(
    ("day", "days"), [(date(2024, 3, 14), 800), (date(2024, 2, 29), 60), (date(2024, 12, 31), 500)]
)
def test_two_years_of_a_random_shop_give_what_duckdb_gives(spark: SparkSession, day: date, days: int) -> None:
    lines = random_lines(days, day, days, 6 * days)
    actual = rows_of(sales_trends(spark.createDataFrame(lines), day), SALES_TRENDS)
    past = [{k: v for k, v in row.items() if k not in (*FORECAST, *ERRORS)} for row in actual if not row["is_forecast"]]
    expected = duckdb_trends(lines, day)
    for theirs in expected:
        for n in (7, 28):
            total = theirs.pop(f"revenue_sum_{n}")
            cents = None if total is None else (total / n).quantize(Decimal("0.01"), ROUND_HALF_UP)
            theirs[f"revenue_average_{n}_days"] = cents
    same(past, [{name: row[name] for name in past[0]} for row in expected])
    assert any(row["revenue_growth_year"] is not None for row in past) is (days > 400)
    assert len(past) > 9 * min(days, 366)
    check_forecasts(actual, day)


def check_forecasts(actual: list[dict[str, Any]], day: date) -> None:
    future = [row for row in actual if row["is_forecast"]]
    assert len(future) == 9 * 14
    for series in {(row["category"], row["country"]) for row in future}:
        mine = [row for row in actual if (row["category"], row["country"]) == series and row["period_type"] == "day"]
        values = np.array([float(row["revenue"]) for row in mine if row["period_start"] <= day][-126:])
        ahead = [row for row in mine if row["period_start"] > day]
        assert [row["period_start"] for row in ahead] == [day + timedelta(days=n) for n in range(1, 15)]
        assert {(row["is_complete"], row["unit_count"], row["revenue"]) for row in ahead} == {(False, None, None)}
        found, test = forecast(values), back_test(values)
        assert found is not None
        for name, wanted in zip(FORECAST, (found.expected, found.low, found.high), strict=True):
            assert [float(row[name]) for row in ahead] == pytest.approx(wanted, abs=0.0051)
        assert {tuple(row[name] for name in ERRORS) for row in ahead} == {(test.error, test.naive_error, test.coverage)}
        season = {row["period_start"].weekday(): row["seasonal_index"] for row in mine}
        assert all(row["seasonal_index"] == season[row["period_start"].weekday()] for row in mine)
        assert sum(season.values()) == pytest.approx(7)


def duckdb_trends(lines: pa.Table, day: date) -> list[dict[str, Any]]:
    """By joins on dates where the mart looks rows back; sums of money in place of means, which DuckDB takes in doubles."""
    return (
        duckdb.sql(
            f"""
        WITH inside AS (
            SELECT (timestamp AT TIME ZONE 'UTC')::DATE AS day, category, country, quantity, line_amount FROM lines
            WHERE sales_date BETWEEN DATE '{day}' - 731 AND DATE '{day}'),
        first AS (SELECT min(day) AS first FROM inside),
        sums AS (
            SELECT day, coalesce(category, 'all') AS category, coalesce(country, 'all') AS country, sum(quantity) AS units,
                   sum(line_amount) AS revenue
            FROM inside GROUP BY GROUPING SETS ((day, category, country), (day, category), (day, country), (day))),
        days AS (SELECT unnest(generate_series(first, DATE '{day}', INTERVAL 1 DAY))::DATE AS day FROM first),
        daily AS (
            SELECT day, category, country, coalesce(units, 0) AS units, coalesce(revenue, 0) AS revenue
            FROM days CROSS JOIN (SELECT DISTINCT category, country FROM sums) LEFT JOIN sums USING (day, category, country)),
        spans AS (
            SELECT 'day' AS kind, day AS start, day AS last, * FROM daily
            UNION ALL SELECT 'week', date_trunc('week', day), date_trunc('week', day) + INTERVAL 6 DAY, * FROM daily
            UNION ALL SELECT 'month', date_trunc('month', day), last_day(day), * FROM daily),
        periods AS (
            SELECT kind, start::DATE AS start, last::DATE AS last, category, country, sum(units) AS units, sum(revenue) AS revenue,
                   start >= (SELECT first FROM first) AND last <= DATE '{day}' AS complete
            FROM spans GROUP BY kind, start, last, category, country),
        season AS (
            SELECT category, country, dayofweek(day) AS weekday, sum(revenue) / nullif(sum(sum(revenue)) OVER
                       (PARTITION BY category, country), 0) * 7 AS index
            FROM daily WHERE day > DATE '{day}' - 56 GROUP BY category, country, weekday),
        weeks AS (
            SELECT a.day, a.category, a.country, count(*) FILTER (b.day > a.day - 7) AS count_7, count(*) AS count_28,
                   sum(b.units) FILTER (b.day > a.day - 7) AS units_7, sum(b.units) AS units_28,
                   sum(b.revenue) FILTER (b.day > a.day - 7) AS revenue_7, sum(b.revenue) AS revenue_28
            FROM daily a JOIN daily b ON a.category = b.category AND a.country = b.country AND b.day BETWEEN a.day - 27 AND a.day
            GROUP BY ALL)
        SELECT DATE '{day}' AS as_of_date, p.kind AS period_type, p.start AS period_start, p.last AS period_end, p.category,
               p.country, p.complete AS is_complete, false AS is_forecast, p.units::BIGINT AS unit_count, p.revenue,
               CASE WHEN count_7 = 7 THEN units_7 / 7 END AS units_average_7_days,
               CASE WHEN count_28 = 28 THEN units_28 / 28 END AS units_average_28_days,
               CASE WHEN count_7 = 7 THEN revenue_7 END AS revenue_sum_7, CASE WHEN count_28 = 28 THEN revenue_28 END AS revenue_sum_28,
               CASE WHEN p.complete THEN p.revenue / nullif(w.revenue, 0) - 1 END AS revenue_growth_week,
               CASE WHEN p.complete THEN p.revenue / nullif(m.revenue, 0) - 1 END AS revenue_growth_month,
               CASE WHEN p.complete THEN p.revenue / nullif(y.revenue, 0) - 1 END AS revenue_growth_year,
               index AS seasonal_index
        FROM periods p
        LEFT JOIN periods w ON w.complete AND w.kind = p.kind AND w.category = p.category AND w.country = p.country
             AND w.start = p.start - 7 AND p.kind <> 'month'
        LEFT JOIN periods m ON m.complete AND m.kind = p.kind AND m.category = p.category AND m.country = p.country
             AND m.start = CASE p.kind WHEN 'month' THEN p.start - INTERVAL 1 MONTH ELSE p.start - INTERVAL 28 DAY END
        LEFT JOIN periods y ON y.complete AND y.kind = p.kind AND y.category = p.category AND y.country = p.country
             AND y.start = CASE p.kind WHEN 'month' THEN p.start - INTERVAL 1 YEAR ELSE p.start - INTERVAL 364 DAY END
        LEFT JOIN weeks d ON p.kind = 'day' AND d.category = p.category AND d.country = p.country AND d.day = p.start
        LEFT JOIN season s ON p.kind = 'day' AND s.category = p.category AND s.country = p.country AND s.weekday = dayofweek(p.start)
        WHERE p.start > DATE '{day}' - 366
        ORDER BY p.kind, p.start, p.category, p.country
        """
        )
        .to_arrow_table()
        .to_pylist()
    )
