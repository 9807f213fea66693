"""Conversion by country, and recovery of carts by category and country, to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pytest
from shop_events import Event, at, batch, run, settings

from lakehouse.catalogue import Catalogue
from lakehouse.live.carts import CartsView
from lakehouse.live.conversion import UnknownFieldError, conversion, recovery
from lakehouse.live.sessions import SessionsView
from lakehouse.tables import CARTS, SESSIONS


def answer(sql: str, **relations: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        for name, rows in relations.items():
            connection.register(name, rows)
        return connection.sql(sql).fetchall()


def catalogue() -> Catalogue:
    known = Catalogue()
    known.add(["b1", "b2", "g1"], ["Books", "Books", "Games"], [at("0:00")] * 3)
    return known


def test_conversion_counts_sessions_with_an_order_once_and_merged_sessions_once() -> None:
    def event(topic: str, user: str, time: str, country: str, number: int) -> Event:
        return Event(topic, user, at(time), number, (("b1", 1, "5.00"),), country=country)

    events = [
        event("product_views", "a", "9:00", "DE", 1),
        event("transactions", "a", "9:10", "US", 2),  # another country, the same session
        event("transactions", "a", "9:11", "DE", 3),
        event("product_views", "b", "9:00", "DE", 4),
        event("product_views", "b", "9:50", "DE", 5),
        event("product_views", "c", "9:00", "US", 6),
        event("product_views", "d", "9:00", "US", 7),
        event("transactions", "e", "9:00", "US", 8),
    ]
    bridge = [event("product_views", "b", "9:25", "DE", 9)]  # joins the two sessions of b
    lake = run(SessionsView(settings()), [batch(0, events, at("9:30")), batch(1, bridge, at("9:30"))])
    rows = lake.current(SESSIONS)
    assert answer(conversion(), sessions=rows) == [("DE", 2, 1, 0.5), ("US", 3, 1, 1 / 3)]
    assert answer(conversion(["started_date"]), sessions=rows) == [(at("0:00").date(), 5, 2, 0.4)]


def carts() -> Any:
    numbers = iter(range(100))

    def change(cart: str, time: str, line: tuple[str, int, str], country: str = "DE", action: str = "add") -> Event:
        return Event("cart_events", f"u-{cart}", at(time), next(numbers), (line,), 0, country, cart, action)

    def buy(cart: str, time: str) -> Event:
        return Event("transactions", f"u-{cart}", at(time), next(numbers), (("b1", 1, "1.00"),), cart=cart)

    events = [
        change("left", "9:00", ("b1", 2, "5.00")),
        change("left", "9:01", ("b2", 1, "0.01")),
        change("left", "9:02", ("g1", 1, "20.00")),
        change("back", "9:00", ("b1", 1, "5.00")),
        buy("back", "9:31"),
        change("bought", "9:00", ("b1", 9, "5.00")),
        buy("bought", "9:05"),
        change("open", "10:00", ("g1", 9, "5.00")),
        change("emptied", "9:00", ("g1", 1, "5.00")),
        change("emptied", "9:01", ("g1", 1, "5.00"), action="remove"),
        change("abroad", "9:00", ("g1", 3, "0.10"), "US"),
    ]
    return run(CartsView(settings()), [batch(0, events, at("10:05"), catalogue())]).current(CARTS)


def test_recovery_by_category_and_country_counts_what_is_at_risk() -> None:
    assert answer(recovery(), carts=carts()) == [
        ("Books", "DE", 1, 1, 0.5, 3, Decimal("10.01"), Decimal("5.00")),
        ("Games", "DE", 1, 0, 0.0, 1, Decimal("20.00"), Decimal(0)),
        ("Games", "US", 1, 0, 0.0, 3, Decimal("0.30"), Decimal(0)),
    ]


def test_recovery_by_country_counts_a_cart_of_two_categories_once() -> None:
    assert answer(recovery(["country"]), carts=carts()) == [
        ("DE", 1, 1, 0.5, 4, Decimal("30.01"), Decimal("5.00")),
        ("US", 1, 0, 0.0, 3, Decimal("0.30"), Decimal(0)),
    ]


def test_no_carts_and_no_sessions_give_no_rows() -> None:
    assert answer(recovery(), carts=CARTS.schema.empty_table()) == []
    assert answer(conversion(), sessions=SESSIONS.schema.empty_table()) == []


def test_a_field_that_is_not_kept_is_refused() -> None:
    with pytest.raises(UnknownFieldError, match="not by user_id"):
        conversion(["country", "user_id"])
    with pytest.raises(UnknownFieldError, match="not by nothing"):
        recovery([])
