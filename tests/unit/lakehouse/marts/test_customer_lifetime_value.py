"""`lakehouse.marts.customer_lifetime_value` and its back-test: histories by hand and by DuckDB, predictions by the papers' formulas."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from mart_data import DAY, LINES, frame, line, rows_of, same, shop, usd
from pyspark.sql import SparkSession
from scipy.special import hyp2f1

from lakehouse.marts.customer_lifetime_value import (
    LifetimeModel,
    customer_lifetime_value,
    fit,
    lifetime_value,
    purchase_history,
)
from lakehouse.marts.lifetime_back_test import back_test
from lakehouse.marts.purchase_model import PurchaseModel
from lakehouse.marts.spend_model import SpendModel
from lakehouse.tables import CUSTOMER_LIFETIME_VALUE

MODEL = LifetimeModel(PurchaseModel(r=0.9, alpha=35.0, a=0.7, b=3.0), SpendModel(p=5.0, q=3.0, v=12.0))


def test_a_history_counts_days_with_a_purchase(spark: SparkSession) -> None:
    lines = [
        line("2024-03-01T00:00:00", "t1", "once", "p", "10"),
        line("2024-02-28T23:59:59.999", "t2", "leap", "p", "10", country="DE"),
        line("2024-02-29T00:00:00", "t3", "leap", "p", "20", country="GB"),  # a millisecond, a day and a country later
        line("2024-02-29T00:00:00", "t4", "leap", "p", "5", country="GB"),  # the same second
        line("2024-03-01T09:00:00", "t5", "leap", "p", "0.03"),
        line("2024-03-01T09:00:00", "t6", "nothing paid", "p", "0"),
        line("2024-03-02T00:00:00", "t7", "later", "p", "1"),
    ]
    rows = rows_of(
        lifetime_value(purchase_history(frame(spark, LINES, lines), date(2024, 3, 1)), MODEL, date(2024, 3, 1)),
        CUSTOMER_LIFETIME_VALUE,
    )
    assert [tuple(row.values())[1:6] for row in rows] == [
        ("leap", 2, 2, 2, usd("11.68")),  # 35.03 in three days
        ("nothing paid", 0, 0, 0, usd(0)),
        ("once", 0, 0, 0, usd(10)),
    ]


def test_each_prediction_follows_the_papers_formulas(spark: SparkSession) -> None:
    lines = shop(5, 400, users=60).lines
    expected = (
        duckdb.sql(
            """
        WITH days AS (
            SELECT user_id, (timestamp AT TIME ZONE 'UTC')::DATE AS day, sum(line_amount) AS amount FROM lines
            WHERE timestamp AT TIME ZONE 'UTC' < TIMESTAMP '2024-03-15' GROUP BY ALL)
        SELECT DATE '2024-03-14' AS as_of_date, user_id, count(*) - 1 AS frequency, max(day) - min(day) AS recency_days,
               DATE '2024-03-14' - min(day) AS age_days, sum(amount) AS amount, count(*) AS n
        FROM days GROUP BY user_id ORDER BY user_id
        """
        )
        .to_arrow_table()
        .to_pylist()
    )
    actual = rows_of(
        lifetime_value(purchase_history(spark.createDataFrame(lines), DAY), MODEL, DAY), CUSTOMER_LIFETIME_VALUE
    )
    same(
        [row | {"predicted_order_value": None, "predicted_value": None} for row in actual],
        [predicted(row) for row in expected],
    )
    for row in actual:  # cents of a double may round the other way
        value = order_value(row)
        assert float(row["predicted_order_value"]) == pytest.approx(value, abs=0.0051)
        assert float(row["predicted_value"]) == pytest.approx(value * row["predicted_purchases"], abs=0.0051)
    assert len(actual) > 15
    assert {row["frequency"] for row in actual} > {0, 1, 2}


def predicted(row: dict[str, Any]) -> dict[str, Any]:
    r, alpha, a, b = 0.9, 35.0, 0.7, 3.0
    x, recency, age, t = row["frequency"], row["recency_days"], row["age_days"], 90
    odds = a / (b + x - 1) * ((alpha + age) / (alpha + recency)) ** (r + x) if x else 0.0
    rest = ((alpha + age) / (alpha + age + t)) ** (r + x) * hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
    row["monetary"] = (row.pop("amount") / row.pop("n") + Decimal("1e-9")).quantize(Decimal("0.01"))
    row["p_alive"] = 1 / (1 + odds)
    row["predicted_purchases"] = float((a + b + x - 1) / (a - 1) * (1 - rest) / (1 + odds))
    return row | {"predicted_order_value": None, "predicted_value": None}


def order_value(row: dict[str, Any]) -> float:
    p, q, v = 5.0, 3.0, 12.0
    n, mean = row["frequency"] + 1, float(row["monetary"])
    return (q - 1) / (p * n + q - 1) * v * p / (q - 1) + p * n / (p * n + q - 1) * mean


def test_the_whole_mart_is_the_fit_of_its_own_customers_and_comes_out_the_same_twice(spark: SparkSession) -> None:
    lines = spark.createDataFrame(shop(6, 300).lines)
    once = rows_of(customer_lifetime_value(lines, DAY), CUSTOMER_LIFETIME_VALUE)
    again = rows_of(customer_lifetime_value(lines.repartition(5, "transaction_id"), DAY), CUSTOMER_LIFETIME_VALUE)
    history = purchase_history(lines, DAY)
    assert once == again == rows_of(lifetime_value(history, fit(history), DAY), CUSTOMER_LIFETIME_VALUE)
    assert len(once) > 15


def test_no_customers_and_one_customer(spark: SparkSession) -> None:
    nobody = frame(spark, LINES, [])
    assert rows_of(customer_lifetime_value(nobody, DAY), CUSTOMER_LIFETIME_VALUE) == []
    assert back_test(nobody, DAY) is None
    (one,) = rows_of(
        customer_lifetime_value(frame(spark, LINES, [line("2024-03-14T00:00:00", "t", "u", "p", "20")]), DAY),
        CUSTOMER_LIFETIME_VALUE,
    )
    assert (one["frequency"], one["p_alive"], one["monetary"]) == (0, 1.0, usd(20))
    assert one["predicted_value"] > 0


def test_the_back_test_comes_near_to_customers_who_buy_as_the_model_supposes(spark: SparkSession) -> None:
    lines = spark.createDataFrame(simulated(np.random.default_rng(3), 4_000))
    found = back_test(lines, DAY)
    assert found is not None
    assert found.predicted_purchases == pytest.approx(found.actual_purchases, rel=0.06)
    assert float(found.predicted_revenue) == pytest.approx(float(found.actual_revenue), rel=0.08)
    assert found.absolute_error < found.naive_error


def test_the_back_test_counts_the_days_held_out_of_the_customers_known_before(spark: SparkSession) -> None:
    lines = [
        line("2023-12-15T23:59:59", "t1", "known", "p", "10"),
        line("2023-12-16T00:00:00", "t2", "new", "p", "99"),  # first seen in the days held out
        line("2024-03-14T12:00:00", "t3", "known", "p", "5"),
        line("2024-03-14T12:00:00", "t4", "known", "p", "6"),
        line("2024-03-14T12:00:00", "t5", "new", "p", "99"),
        line("2024-03-15T00:00:00", "t6", "known", "p", "99"),
    ]
    found = back_test(frame(spark, LINES, lines), DAY)
    assert found is not None
    assert (found.customers, found.actual_purchases, found.actual_revenue) == (1, 1, usd(11))
    assert found.naive_error == 1.0  # no purchase after the first, so none expected
    assert found.absolute_error == pytest.approx(abs(1 - found.predicted_purchases))


def simulated(rng: np.random.Generator, customers: int) -> pa.Table:
    """Lines of customers who buy as both models say, over two years up to `DAY`."""
    rows = []
    begin = DAY - timedelta(days=730)
    for number in range(customers):
        rate, stop = rng.gamma(1.2, 1 / 30.0), rng.beta(0.8, 6.0)
        spend_rate = rng.gamma(4.0, 1 / 15.0)
        now = float(rng.integers(0, 730))
        while now < 731:
            day = begin + timedelta(days=int(now))
            amount = usd(str(round(rng.gamma(6.0, 1 / spend_rate), 2)))
            rows.append(line(f"{day}T12:00:00", f"t{len(rows)}", f"u{number}", "p", "0", price=amount))
            if rng.random() < stop:
                break
            now += max(1.0, rng.exponential(1 / rate))
    return pa.Table.from_pylist(rows, schema=LINES)
