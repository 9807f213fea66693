"""`lakehouse.transforms.rfm_increment`: customers moved on from an earlier day are those that a computation in full gives."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession
from rfm_orders import USED, Order, in_full, silver

from lakehouse.transforms import rfm
from lakehouse.transforms import rfm_increment as increment
from lakehouse.transforms.state import State

SEEN = 100  # the last micro-batch that the state knows
CUSTOMERS = 400


def moved(spark: SparkSession, orders: list[Order], then: date, now: date) -> list[tuple[Any, ...]]:
    """`now` out of `then`, which knew the micro-batches up to SEEN."""
    rows = spark.createDataFrame(silver(orders).select(list(USED))).persist()
    kept = rfm.rfm(rows.where(f"batch_id <= {SEEN}"), then).toArrow()
    changes = increment.changes(rows, State(then, SEEN), now).toArrow()
    rows.unpersist()
    with increment.moved(kept, changes, (now - then).days) as duck:
        assert not increment.is_clipped(duck)
        result = increment.scored(duck, increment.cut_points(duck), now).read_all()
    return sorted(tuple(row.values()) for row in result.to_pylist())


# from a day to the next, around a leap day, over three days that were left out, and the same day once more
@pytest.mark.parametrize(
    ("then", "now"),
    [
        (date(2026, 3, 13), date(2026, 3, 14)),
        (date(2024, 2, 29), date(2024, 3, 1)),
        (date(2026, 3, 10), date(2026, 3, 14)),
        (date(2026, 3, 14), date(2026, 3, 14)),
    ],
)
def test_any_history_moved_on_is_the_history_in_full(spark: SparkSession, then: date, now: date) -> None:
    """Every customer is a case of its own: few orders at moments around the edges of both windows, known before or not."""
    rng = random.Random(f"{then} {now}")
    edges = [start + timedelta(days=rfm.WINDOW_DAYS * at) for start in _days(then, now) for at in (0, 1)]
    moments = [
        f"{day}T{clock}"
        for edge in edges
        for day in (edge - timedelta(days=1), edge, edge + timedelta(days=1), edge + timedelta(days=40))
        for clock in ("00:00:00.000", "12:00:00.001", "23:59:59.999")
    ]
    orders = [
        (rng.choice((1, 50, SEEN, SEEN + 1, SEEN + 9)), f"u{user}", rng.choice(moments), _amount(rng))
        for user in range(CUSTOMERS)
        for _ in range(rng.choice((1, 1, 2, 3, 7)))
    ]
    expected = in_full(orders, now)
    known = {row[1] for row in in_full([order for order in orders if order[0] <= SEEN], then)}
    users = {row[1] for row in expected}
    assert users - known
    assert known - users or then == now
    assert moved(spark, orders, then, now) == expected


def _days(then: date, now: date) -> list[date]:
    """The first day of each window."""
    return [rfm.window(day)[0].date() for day in {then, now}]


def _amount(rng: random.Random) -> str:
    """Many equal amounts, nothing at all, and more than fits in the fast sums."""
    return rng.choice(("5.00", "5.00", "0.00", "0.01", "999999.99", "1000000.00", "12345678901.23"))


def test_by_name_who_leaves_who_returns_who_is_late_and_who_stays(spark: SparkSession) -> None:
    then, now = date(2026, 3, 13), date(2026, 3, 14)
    orders = [
        (1, "leaves", "2025-03-14T23:59:59.999", "8.00"),  # the only purchase, on the day that falls out
        (1, "keeps one", "2025-03-14T10:00:00.000", "8.00"),
        (1, "keeps one", "2025-03-15T00:00:00.000", "2.50"),
        (1, "returns", "2025-03-14T10:00:00.000", "8.00"),
        (SEEN + 1, "returns", "2026-03-14T00:00:00.000", "9.00"),
        (1, "is late", "2026-03-12T10:00:00.000", "1.00"),
        (SEEN + 1, "is late", "2026-03-01T10:00:00.000", "1.00"),  # late, and before the last purchase
        (SEEN + 1, "too late", "2025-03-14T10:00:00.000", "1.00"),  # for a day that is out already
        (SEEN, "was early", "2026-03-14T00:00:00.000", "3.00"),  # known before its day was asked for
        (SEEN, "same second", "2026-03-13T12:00:00.000", "1.00"),
        (SEEN + 1, "same second", "2026-03-13T12:00:00.000", "1.00"),
        (SEEN + 1, "tomorrow", "2026-03-15T00:00:00.000", "1.00"),
        (1, "stays", "2025-09-01T10:00:00.000", "4.00"),
    ]
    found = {row[1]: row[2:5] for row in moved(spark, orders, then, now)}
    assert {user: (days, count, str(money)) for user, (days, count, money) in found.items()} == {
        "keeps one": (364, 1, "2.50"),
        "returns": (0, 1, "9.00"),
        "is late": (2, 2, "2.00"),
        "was early": (0, 1, "3.00"),
        "same second": (1, 2, "2.00"),
        "stays": (194, 1, "4.00"),
    }
