"""Figures of the live view that are more than a query."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from api.explorer.figures.live import filled

START = datetime(2026, 3, 14, 9, 0, 0)


def point(seconds: int, topic: str, rate: float) -> dict[str, Any]:
    return {"second": START + timedelta(seconds=seconds), "topic": topic, "records_per_second": rate}


def test_a_step_without_records_is_zero_for_each_topic() -> None:
    known = [point(0, "users", 5.0), point(20, "transactions", 2.5), point(20, "users", 1.0)]
    assert filled(known) == [
        point(0, "transactions", 0.0),
        point(0, "users", 5.0),
        point(10, "transactions", 0.0),
        point(10, "users", 0.0),
        point(20, "transactions", 2.5),
        point(20, "users", 1.0),
    ]


def test_no_records_have_no_steps() -> None:
    assert filled([]) == []
