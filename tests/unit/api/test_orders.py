"""GET /v1/orders: whole answers to the cent, with the average order value."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from .test_sales import exact, get


def row(period: str, country: str | None, method: str | None, count: int, revenue: str, average: str) -> dict[str, Any]:
    return {
        "period_start_at": f"2026-03-14T{period}:00Z",
        "country": country,
        "payment_method": method,
        "order_count": count,
        "revenue": revenue,
        "average_order_value": average,
    }


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [
            row("09:00", "DE", "gift_card", 1, "8.00", "8.00"),
            row("09:00", "US", "paypal", 3, "212.99", "71.00"),
            row("10:00", "US", "credit_card", 1, "4.10", "4.10"),
        ]),
        ("group_by=country", [
            row("09:00", "DE", None, 1, "8.00", "8.00"),
            row("09:00", "US", None, 3, "212.99", "71.00"),
            row("10:00", "US", None, 1, "4.10", "4.10"),
        ]),
        ("group_by=none&interval=day", [row("00:00", None, None, 5, "225.09", "45.02")]),
        ("interval=day&payment_method=paypal&payment_method=gift_card", [
            row("00:00", "DE", "gift_card", 1, "8.00", "8.00"),
            row("00:00", "US", "paypal", 3, "212.99", "71.00"),
        ]),
        ("interval=day&country=DE&payment_method=paypal", []),
    ],
)  # fmt: skip
def test_orders_are_summed_to_the_cent(filled: TestClient, query: str, rows: list[dict[str, Any]]) -> None:
    assert get(filled, f"/v1/orders?{query}") == rows


def test_pages_add_up_to_the_whole_answer(filled: TestClient) -> None:
    first = exact(filled.get("/v1/orders?limit=2").text)
    second = exact(filled.get(f"/v1/orders?limit=2&cursor={first['next_cursor']}").text)
    assert first["data"] + second["data"] == get(filled, "/v1/orders")
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["payment_method=cash", "group_by=category", "group_by=none&group_by=country", "category=Coffee"]
)
def test_what_orders_do_not_know_is_refused(filled: TestClient, query: str) -> None:
    assert filled.get(f"/v1/orders?{query}").status_code == 422
