"""Order lines and partial sums, row by row and to the cent."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from lakehouse.catalogue import Catalogue
from lakehouse.tables import MONEY, TRANSACTIONS
from lakehouse.transforms.sales import order_lines, orders_by_minute, sales_by_minute

NINE = datetime(2026, 3, 14, 9, 0, 59, 999000, tzinfo=UTC)
NINE_ONE = datetime(2026, 3, 14, 9, 1, tzinfo=UTC)


def line(product_id, quantity, price):
    return {"product_id": product_id, "quantity": quantity, "price": Decimal(price)}


def order(number, at, country, payment_method, *lines):
    row = dict.fromkeys(TRANSACTIONS.schema.names)
    return row | {
        "transaction_id": f"t{number}", "user_id": f"u{number}", "timestamp": at, "country": country,
        "payment_method": payment_method, "products": list(lines), "topic": "transactions", "partition": 0,
        "offset": number, "kafka_at": NINE_ONE, "ingested_at": NINE_ONE, "batch_id": 3,
        "total_amount": sum((one["price"] * one["quantity"] for one in lines), Decimal(0)),
    }  # fmt: skip


def table(*orders):
    schema = pa.schema([field.with_nullable(True) for field in TRANSACTIONS.schema])
    return pa.Table.from_pylist(list(orders), schema=schema)


def catalogue():
    known = Catalogue()
    known.add(["p1", "p2"], ["Books", "Games"], [NINE, NINE])
    return known


ORDERS = table(
    order(1, NINE, "DE", "paypal", line("p1", 3, "0.10"), line("p2", 1, "5.00")),
    order(2, NINE, "DE", "credit_card", line("p1", 1, "0.20")),
    order(3, NINE_ONE, "DE", "paypal", line("p9", 2, "1.00")),
)


def test_each_line_is_a_row_with_its_category_and_amount():
    lines = order_lines(ORDERS, catalogue())
    columns = ["transaction_id", "line_number", "product_id", "category", "quantity", "price", "line_amount", "offset"]
    assert [tuple(row.values()) for row in lines.select(columns).to_pylist()] == [
        ("t1", 1, "p1", "Books", 3, Decimal("0.10"), Decimal("0.30"), 1),
        ("t1", 2, "p2", "Games", 1, Decimal("5.00"), Decimal("5.00"), 1),
        ("t2", 1, "p1", "Books", 1, Decimal("0.20"), Decimal("0.20"), 2),
        ("t3", 1, "p9", "unknown", 2, Decimal("1.00"), Decimal("2.00"), 3),
    ]


def test_lines_of_a_slice_are_numbered_from_one():
    assert order_lines(ORDERS.slice(1), catalogue())["line_number"].to_pylist() == [1, 1]


def test_sales_are_summed_by_minute_country_and_category():
    sums = sales_by_minute(order_lines(ORDERS, catalogue())).sort_by(
        [("minute", "ascending"), ("category", "ascending")]
    )
    minutes = [datetime(2026, 3, 14, 9, minute, tzinfo=UTC) for minute in (0, 1)]
    assert sums.select(["minute", "country", "category", "unit_count", "line_count", "revenue"]).to_pylist() == [
        {"minute": minutes[0], "country": "DE", "category": "Books", "unit_count": 4, "line_count": 2, "revenue": Decimal("0.50")},
        {"minute": minutes[0], "country": "DE", "category": "Games", "unit_count": 1, "line_count": 1, "revenue": Decimal("5.00")},
        {"minute": minutes[1], "country": "DE", "category": "unknown", "unit_count": 2, "line_count": 1, "revenue": Decimal("2.00")},
    ]  # fmt: skip


def test_orders_are_summed_by_minute_country_and_payment():
    sums = orders_by_minute(ORDERS).sort_by([("minute", "ascending"), ("payment_method", "ascending")])
    minutes = [datetime(2026, 3, 14, 9, minute, tzinfo=UTC) for minute in (0, 1)]
    assert sums.select(["minute", "country", "payment_method", "order_count", "revenue"]).to_pylist() == [
        {"minute": minutes[0], "country": "DE", "payment_method": "credit_card", "order_count": 1, "revenue": Decimal("0.20")},
        {"minute": minutes[0], "country": "DE", "payment_method": "paypal", "order_count": 1, "revenue": Decimal("5.30")},
        {"minute": minutes[1], "country": "DE", "payment_method": "paypal", "order_count": 1, "revenue": Decimal("2.00")},
    ]  # fmt: skip


def test_largest_amounts_keep_every_cent():
    price = "9999999999999.99"
    lines = order_lines(table(order(1, NINE, "US", "paypal", line("p1", 1000, price))), catalogue())
    assert sales_by_minute(lines)["revenue"].to_pylist() == [Decimal("9999999999999990.00")]


def test_amounts_that_add_up_beyond_money_stay_partial_sums_of_their_own():
    most = "9999999999999999.99"
    orders = table(*(order(number, NINE, "US", "paypal", line("p1", 1, most)) for number in range(2)))
    sales, by_payment = sales_by_minute(order_lines(orders, catalogue())), orders_by_minute(orders)
    assert (
        sales["revenue"].cast(MONEY).to_pylist() == by_payment["revenue"].cast(MONEY).to_pylist() == [Decimal(most)] * 2
    )
    assert (sales["unit_count"].to_pylist(), by_payment["order_count"].to_pylist()) == ([1, 1], [1, 1])
