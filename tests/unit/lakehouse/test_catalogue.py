"""A product's category is that of the event's time, whatever the order in which its records came."""

from datetime import UTC, datetime

import pytest

from lakehouse.catalogue import Catalogue


def day(number):
    return datetime(2026, 3, number, tzinfo=UTC)


def test_unknown_product_is_said_so():
    assert Catalogue().categories(["p1"], [day(1)]) == ["unknown"]


def test_category_holds_before_the_first_record_and_after():
    catalogue = Catalogue()
    catalogue.add(["p1"], ["Books"], [day(5)])
    assert catalogue.categories(["p1", "p1"], [day(1), day(9)]) == ["Books", "Books"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_changes_count_from_their_event_time_in_any_order_and_twice(order):
    records = [("p1", "Books", day(2)), ("p1", "Games", day(4)), ("p1", "Toys", day(6))]
    catalogue = Catalogue()
    for _ in range(2):
        for number in order:
            catalogue.add(*([value] for value in records[number]))
    times = [day(1), day(2), day(3), day(4), day(5), day(6), day(7)]
    assert catalogue.categories(["p1"] * 7, times) == ["Books", "Books", "Books", "Games", "Games", "Toys", "Toys"]
