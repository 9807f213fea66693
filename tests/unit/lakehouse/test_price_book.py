"""Prices through time: by event time, whatever the order of arrival, and the median of a category as it is now."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from lakehouse.live.price_book import Listing, PriceBook, current_listings, dollars, lower_median
from lakehouse.tables import MONEY


def day(number):
    return datetime(2026, 3, number, tzinfo=UTC)


def products(*rows):
    """Rows of silver/products from (product, day, offset, price, category)."""
    ids, days, offsets, prices, categories = zip(*rows, strict=True)
    return pa.table(
        {
            "product_id": list(ids),
            "name": [f"name {price}" for price in prices],
            "timestamp": pa.array([day(number) for number in days], pa.timestamp("us", tz="UTC")),
            "offset": pa.array(offsets, pa.int64()),
            "price": pa.array([Decimal(price) for price in prices], MONEY),
            "category": list(categories),
        }
    )


ROWS = [("p1", 1, 0, "10.00", "A"), ("p1", 5, 1, "12.00", "A"), ("p1", 5, 7, "13.00", "B"), ("p1", 9, 2, "11.00", "A")]


@pytest.mark.parametrize(
    "rows", list(itertools.permutations(ROWS)), ids=lambda rows: "".join(str(row[2]) for row in rows)
)
def test_the_price_at_a_time_does_not_depend_on_the_order_of_arrival(rows):
    book = PriceBook()
    for row in rows:
        book.add(products(row))
        book.add(products(row))
    assert [book.listing("p1", day(number)) for number in (1, 4, 5, 8, 9, 30)] == [
        Listing(day(1), 0, 1000, "A"),
        Listing(day(1), 0, 1000, "A"),
        Listing(day(5), 7, 1300, "B"),
        Listing(day(5), 7, 1300, "B"),
        Listing(day(9), 2, 1100, "A"),
        Listing(day(9), 2, 1100, "A"),
    ]
    assert (book.usual_cents("A"), book.usual_cents("B")) == (1100, None)


def test_before_its_first_record_a_product_costs_what_it_began_with_and_an_unknown_one_nothing():
    book = PriceBook()
    book.add(products(*ROWS))
    assert book.listing("p1", datetime(2025, 1, 1, tzinfo=UTC)) == Listing(day(1), 0, 1000, "A")
    assert book.listing("p2", day(1)) is None


def test_the_usual_price_follows_the_catalogue():
    book = PriceBook()
    book.add(products(("p1", 1, 0, "1.00", "A"), ("p2", 1, 1, "2.00", "A"), ("p3", 1, 2, "9.00", "A")))
    assert book.usual_cents("A") == 200
    book.add(products(("p2", 2, 3, "30.00", "A")))
    assert book.usual_cents("A") == 900
    book.add(products(("p3", 2, 4, "9.00", "B")))
    assert (book.usual_cents("A"), book.usual_cents("B"), book.usual_cents("C")) == (100, 900, None)


def test_current_listings_and_the_book_agree():
    rows = [*ROWS, ("p2", 2, 3, "20.01", "A"), ("p3", 2, 4, "0.05", "A"), ("p4", 3, 5, "7.00", "B")]
    now = current_listings(products(*rows)).sort_by("product_id").to_pylist()
    assert now == [
        {"product_id": "p1", "name": "name 11.00", "category": "A", "price": Decimal("11.00"), "usual_price": Decimal("11.00")},
        {"product_id": "p2", "name": "name 20.01", "category": "A", "price": Decimal("20.01"), "usual_price": Decimal("11.00")},
        {"product_id": "p3", "name": "name 0.05", "category": "A", "price": Decimal("0.05"), "usual_price": Decimal("11.00")},
        {"product_id": "p4", "name": "name 7.00", "category": "B", "price": Decimal("7.00"), "usual_price": Decimal("7.00")},
    ]  # fmt: skip
    book = PriceBook()
    book.add(products(*rows))
    assert {row["category"]: row["usual_price"] for row in now} == {
        name: Decimal(dollars(book.usual_cents(name) or 0)) for name in ("A", "B")
    }


def test_lower_median_takes_the_lower_of_two():
    assert [lower_median(values) for values in ([3], [4, 1], [9, 1, 5], [4, 3, 2, 1])] == [3, 1, 5, 2]
