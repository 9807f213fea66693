"""The view of carts: content, value and status in each awkward case, and the plain oracle after every batch of random disorder."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from cart_oracle import carts
from deltalake import DeltaTable, write_deltalake
from shop_events import (
    Event,
    WrittenLake,
    at,
    batch,
    current,
    random_batches,
    random_events,
    run,
    settings,
    taken,
)

from lakehouse.catalogue import Catalogue
from lakehouse.live.base import Lake
from lakehouse.live.carts import CartsView
from lakehouse.live.day_index import DayIndex
from lakehouse.storage import delta_uri
from lakehouse.tables import CARTS


def catalogue() -> Catalogue:
    known = Catalogue()
    known.add(["p0", "p1", "p2", "p3"], ["Books", "Games", "Books", "Toys"], [at("0:00")] * 4)
    known.add(["p1"], ["Garden"], [at("+1d 0:00")])
    return known


CATALOGUE = catalogue()


def change(
    time: str,
    number: int,
    product: str = "p1",
    quantity: int = 1,
    price: str = "5.00",
    action: str = "add",
    cart: str = "c",
) -> Event:
    return Event("cart_events", "u", at(time), number, ((product, quantity, price),), 0, "DE", cart, action)


def purchase(time: str, number: int, cart: str = "c") -> Event:
    return Event("transactions", "u", at(time), number, (("p1", 1, "5.00"),), 0, "US", cart)


def last(*steps: tuple[list[Event], str | None]) -> dict[str, Any]:
    """The one cart after these batches: (events, watermark)."""
    batches = [batch(n, events, at(mark) if mark else None, CATALOGUE) for n, (events, mark) in enumerate(steps)]
    (row,) = current(run(CartsView(settings()), batches), CARTS)
    return row


def test_a_cart_is_a_row_with_content_value_and_times() -> None:
    events = [
        change("9:00", 1, "p0", 3, "2.00"),
        change("9:05", 2, "p1", 1, "10.00"),
        change("9:10", 3, "p0", 1, "2.50", "remove"),
        change("9:10", 4, "p3", 1, "7.00"),
        change("9:11", 5, "p3", 1, "7.00", "remove"),
    ]
    lake = run(CartsView(settings()), [batch(6, events, at("9:20"), CATALOGUE)])
    assert lake.read(CARTS, CARTS.schema.names).to_pylist() == [
        {
            "opened_date": date(2026, 3, 14), "cart_id": "c", "user_id": "u", "country": "DE", "status": "open",
            "opened_at": at("9:00"), "last_activity_at": at("9:11"), "abandoned_at": None, "purchased_at": None,
            "recovered_at": None, "amount": Decimal("15.00"), "unit_count": 3, "product_count": 2,
            "category_amounts": [
                {"category": "Books", "amount": Decimal("5.00"), "unit_count": 2},
                {"category": "Games", "amount": Decimal("10.00"), "unit_count": 1},
            ],
            "items": [
                {"product_id": "p0", "category": "Books", "quantity": 2, "price": Decimal("2.50"), "priced_at": at("9:10")},
                {"product_id": "p1", "category": "Games", "quantity": 1, "price": Decimal("10.00"), "priced_at": at("9:05")},
                {"product_id": "p3", "category": "Toys", "quantity": 0, "price": Decimal("7.00"), "priced_at": at("9:11")},
            ],
            "active_spans": [{"from_at": at("9:00"), "to_at": at("9:11")}],
            "entry_topic": "cart_events", "entry_partition": 0, "entry_offset": 1,
            "batch_id": 6, "known_at": batch(6, [], None).started_at, "is_retracted": False,
        }
    ]  # fmt: skip


def test_what_is_taken_out_before_it_is_known_to_be_in_counts_as_nothing_until_then() -> None:
    out, into = change("9:05", 1, quantity=2, action="remove"), change("9:00", 2, quantity=3)
    early = last(([out], None))
    assert (early["amount"], early["unit_count"], early["category_amounts"]) == (Decimal("0.00"), 0, [])
    late = last(([out], None), ([into], None))
    assert (late["amount"], late["unit_count"]) == (Decimal("5.00"), 1)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_price_is_that_of_the_latest_change_and_of_two_at_a_time_the_higher_one(order: tuple[int, ...]) -> None:
    changes = [change("9:01", 1, price="3.00"), change("9:01", 2, price="2.00"), change("9:00", 3, price="9.00")]
    row = last(*(([changes[place]], None) for place in order))
    assert (row["amount"], row["unit_count"]) == (Decimal("9.00"), 3)


def test_a_cart_is_abandoned_when_the_watermark_is_past_its_last_change_and_the_patience() -> None:
    steps = [([change("9:00", 1)], "9:00"), ([], "9:30"), ([], "9:30:00.001"), ([], "11:00")]
    batches = [batch(n, events, at(mark), CATALOGUE) for n, (events, mark) in enumerate(steps)]
    shown = CartsView(settings())
    shown.load(WrittenLake())
    written = [shown.apply(one).rows[CARTS.path] for one in batches]
    assert [[(r["status"], r["abandoned_at"]) for r in rows.to_pylist()] for rows in written] == [
        [("open", None)],
        [],
        [("abandoned", at("9:30"))],
        [],
    ]


@pytest.mark.parametrize(
    ("steps", "status", "abandoned_at"),
    [
        pytest.param([([change("9:00", 1), purchase("9:30", 1)], "9:40")], "purchased", None, id="bought in time"),
        pytest.param([([change("9:00", 1), purchase("9:31", 1)], "9:40")], "recovered", "9:30", id="bought after it was left"),
        pytest.param([([change("9:00", 1)], "10:00"), ([purchase("9:20", 1)], "10:00")], "purchased", None, id="purchase came late"),
        pytest.param([([change("9:00", 1)], "10:00"), ([change("9:50", 2)], "10:00")], "open", "9:30", id="changed again"),
        pytest.param([([change("9:00", 1), change("9:50", 2)], "11:00")], "abandoned", "10:20", id="left twice"),
        pytest.param(
            [([change("9:00", 1), change("9:50", 2), purchase("9:55", 1)], "10:00")], "recovered", "9:30", id="left, changed, bought"
        ),
        pytest.param(
            [([change("9:00", 1), purchase("9:50", 1)], "10:00"), ([change("9:25", 2)], "10:00")],
            "purchased", None, id="a late change fills the pause",
        ),
        pytest.param([([purchase("9:00", 1), change("9:50", 2)], "11:00")], "purchased", None, id="changed only after the purchase"),
        pytest.param(
            [([change("8:50", 1), change("9:10", 2), purchase("9:00", 1)], "9:30")], "purchased", None, id="changed around the purchase"
        ),
        pytest.param([([change("9:00", 1), purchase("10:00", 1)], None), ([purchase("9:10", 2)], None)], "purchased", None, id="bought twice"),
        pytest.param([([change("9:00", 1), change("9:01", 2, action="remove")], "10:00")], "abandoned", "9:31", id="emptied and left"),
    ],
)  # fmt: skip
def test_status(steps: list[tuple[list[Event], str | None]], status: str, abandoned_at: str | None) -> None:
    row = last(*steps)
    assert (row["status"], row["abandoned_at"]) == (status, abandoned_at and at(abandoned_at))
    assert row["recovered_at"] == (row["purchased_at"] if status == "recovered" else None)


def test_a_transaction_without_a_cart_is_no_cart() -> None:
    direct = Event("transactions", "u", at("9:00"), 1, (("p1", 1, "5.00"),))
    assert current(run(CartsView(settings()), [batch(0, [direct], at("9:00"), CATALOGUE)]), CARTS) == []


def test_a_value_beyond_the_largest_amount_is_written_as_that() -> None:
    row = last(([change("9:00", 1, quantity=2**31 - 1, price="9999999999999999.99"), change("9:00", 2, "p2")], None))
    assert row["amount"] == Decimal("9999999999999999.99")
    assert row["unit_count"] == 2**31


@pytest.mark.parametrize("seed", range(6))
def test_after_every_batch_of_late_and_disordered_events_the_table_holds_what_the_oracle_finds(seed: int) -> None:
    rng = random.Random(seed)
    chosen = settings(live_horizon_hours=rng.choice((0.01, 1, 24, 72)))
    lake, shown, seen = WrittenLake(), CartsView(chosen), []
    shown.load(lake)
    events = random_events(rng, 100, rng.choice((0.2, 2, 6)))
    for one in random_batches(rng, events, CATALOGUE):
        lake.add(shown.apply(one), one.watermark)
        seen += taken(one, events)
        if rng.random() < 0.3:
            assert current(lake, CARTS) == carts(seen, one.watermark, CATALOGUE)
        if rng.random() < 0.1:  # a restart
            shown = CartsView(chosen)
            shown.load(lake)
    assert len(seen) == len(events)
    assert current(lake, CARTS) == carts(seen, lake.watermark, CATALOGUE)


def test_a_purchase_weeks_after_a_restart_finds_its_cart_in_a_real_delta_table(tmp_path: Any) -> None:
    chosen = settings(lake_uri=tmp_path.as_uri(), live_horizon_hours=24)
    DeltaTable.create(delta_uri(chosen, CARTS), CARTS.schema, partition_by=list(CARTS.partition_by))
    others = [change("+1d 9:00", 1, cart="other"), change("+20d 9:00", 2, cart="new")]
    events = [change("0:10", 3), change("+0d 23:50", 4), *others, purchase("+20d 10:00", 5)]
    marks = ["0:10", "+0d 23:50", "+1d 9:00", "+20d 9:00", "+20d 10:00"]
    shown, version, watermark = CartsView(chosen), 0, None
    for number, (event, mark) in enumerate(zip(events, marks, strict=True)):
        shown = CartsView(chosen)
        shown.load(Lake(chosen, {CARTS.path: version}, watermark))
        one = batch(number, [event], at(mark), CATALOGUE)
        write_deltalake(delta_uri(chosen, CARTS), shown.apply(one).rows[CARTS.path], mode="append")
        version, watermark = version + 1, at(mark)
    assert len(shown) == 2
    rows = current(Lake(chosen, {CARTS.path: version}), CARTS)
    assert rows == carts(events, at(marks[-1]), CATALOGUE)
    assert [(row["cart_id"], row["status"]) for row in rows] == [
        ("c", "recovered"),
        ("new", "abandoned"),
        ("other", "abandoned"),
    ]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_memory_keeps_to_the_limit_and_a_cart_that_left_it_is_changed_on(is_restarted: bool) -> None:
    first = [change(f"9:00:00.{n % 1000:03d}", n, cart=f"c{n:05d}") for n in range(3_000)]
    late = [change("9:10", 3_000 + n, cart=f"c{n:05d}") for n in range(0, 3_000, 100)]
    chosen = settings(live_state_limit=1_000)
    shown, lake = CartsView(chosen), WrittenLake()
    shown.load(lake)
    for number, events in enumerate((first, [], [], [], late)):
        one = batch(number, events, at("9:50"), CATALOGUE)
        lake.add(shown.apply(one), one.watermark)
        if is_restarted:
            shown = CartsView(chosen)
            shown.load(lake)
    assert len(shown) <= 1_000
    assert current(lake, CARTS) == carts([*first, *late], at("9:50"), CATALOGUE)


def test_the_day_index_finds_every_day_of_a_key_once_through_merges() -> None:
    index = DayIndex()
    for day in (3, 4, 4, 9):
        index.add([f"k{n}" for n in range(10)], np.full(10, day))
    places, found = index.find(["absent", "k7"])
    assert sorted(zip(places.tolist(), found.tolist(), strict=True)) == [(1, 3), (1, 4), (1, 9)]
