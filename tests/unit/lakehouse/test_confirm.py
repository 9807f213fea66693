"""The durable word: the catalogue as of event time decides, over restarts as without one."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.catalogue import Catalogue
from lakehouse.findings import Finding, finding_id
from lakehouse.live.base import Batch, Lake
from lakehouse.live.confirm import Confirm, Line, Order, judge
from lakehouse.settings import CHECKOUT
from lakehouse.storage import delta_uri
from lakehouse.tables import PRODUCTS, TRANSACTIONS

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
STARTED = NOON + timedelta(hours=1)


def fill(table, **columns):
    """Rows of `table` with every column; those not named hold something plain."""
    size = len(next(iter(columns.values())))
    plain = {pa.string(): "x", pa.int32(): 1, pa.int64(): 1, pa.bool_(): False, pa.float64(): 1.0}
    arrays = [
        pa.array(columns.get(field.name, [plain.get(field.type, NOON)] * size), field.type) for field in table.schema
    ]
    return pa.table(arrays, schema=table.schema)


def listed(*rows):
    """silver/products from (product, time, offset, price)."""
    ids, times, offsets, prices = zip(*rows, strict=True)
    return fill(PRODUCTS, product_id=ids, timestamp=times, offset=offsets, price=[Decimal(price) for price in prices])


def sold(*rows):
    """silver/transactions from (event id, time, [(product, quantity, price)])."""
    lines = [
        [{"product_id": p, "quantity": q, "price": Decimal(price)} for p, q, price in products] for *_, products in rows
    ]
    totals = [sum((line["quantity"] * line["price"] for line in order), Decimal("0.00")) for order in lines]
    return fill(
        TRANSACTIONS,
        event_id=[event_id for event_id, *_ in rows],
        timestamp=[at for _, at, _ in rows],
        products=lines,
        total_amount=totals,
        offset=range(len(rows)),
        topic=["transactions"] * len(rows),
        user_id=["u1"] * len(rows),
        country=["DE"] * len(rows),
    )


def batch(number, products=None, orders=None):
    rows = {PRODUCTS.path: products, TRANSACTIONS.path: orders}
    return Batch(number, STARTED, {path: table for path, table in rows.items() if table is not None}, None, Catalogue())


SHELF = listed(("p1", NOON, 0, "20.00"), ("p2", NOON, 1, "20.00"))


def test_one_whole_finding():
    said = Confirm().apply(batch(1, SHELF, sold(("e1", NOON, [("p1", 1, "20.00"), ("p2", 2, "5.00")]))))
    assert said.rows == {}
    assert said.findings == [
        Finding(
            finding_id=finding_id("price_mismatch", "e1"),
            kind="price_mismatch",
            severity="warning",
            fingerprint="price_mismatch|p2",
            title="Price of p2 differs from the catalogue",
            detail="p2 was sold at 5.00 USD; the catalogue says 20.00 USD.",
            event_at=NOON,
            detected_at=STARTED,
            score=0.986,
            verdict="confirmed",
            lane="durable",
            is_anomaly=True,
            event_id="e1",
            user_id="u1",
            product_id="p2",
            country="DE",
            evidence={
                "lines": [{"catalogue_price": "20.00", "line_number": 2, "price": "5.00", "product_id": "p2"}],
                "record": {"offset": 0, "partition": 1, "topic": "transactions"},
            },
        )
    ]


def kinds(output):
    return [(finding.event_id, finding.kind) for finding in output.findings]


def test_the_price_at_the_time_of_the_order_counts_not_the_newest():
    view = Confirm()
    view.apply(batch(1, SHELF))
    changed = listed(("p1", NOON + timedelta(minutes=10), 2, "10.00"))
    orders = sold(
        ("before, old price", NOON + timedelta(minutes=9), [("p1", 1, "20.00")]),
        ("before, new price", NOON + timedelta(minutes=9), [("p1", 1, "10.00")]),
        ("after, old price", NOON + timedelta(minutes=10), [("p1", 1, "20.00")]),
        ("after, new price", NOON + timedelta(minutes=10), [("p1", 1, "10.00")]),
    )
    assert kinds(view.apply(batch(2, changed, orders))) == [
        ("before, new price", "price_mismatch"),
        ("after, old price", "price_mismatch"),
    ]


def test_no_orders_say_nothing():
    assert Confirm().apply(batch(1)).findings == []
    assert Confirm().apply(batch(1, SHELF)).findings == []


@pytest.mark.parametrize("restart_before", [2, 3])
def test_a_view_loaded_from_the_lake_says_what_one_that_ran_on_says(file_settings, restart_before):
    shelves = {1: SHELF, 2: listed(("p1", NOON + timedelta(minutes=5), 2, "40.00"))}
    orders = {
        3: sold(
            ("e1", NOON, [("p1", 1, "40.00")]),
            ("e2", NOON + timedelta(minutes=6), [("p1", 70, "40.00"), ("p2", 300, "20.00")]),
        )
    }
    ran_on = Confirm()
    for number in (1, 2, 3):
        expected = ran_on.apply(batch(number, shelves.get(number), orders.get(number)))
    for number in range(1, restart_before):
        write_deltalake(delta_uri(file_settings, PRODUCTS), shelves[number], mode="append")
    restarted = Confirm()
    restarted.load(Lake(file_settings, {PRODUCTS.path: restart_before - 2}))
    if restart_before == 2:  # version 0 stands for an empty table
        restarted.apply(batch(1, SHELF))
    for number in range(restart_before, 4):
        said = restarted.apply(batch(number, shelves.get(number), orders.get(number)))
    assert said.findings == expected.findings
    assert kinds(said) == [("e1", "price_mismatch"), ("e2", "quantity_burst"), ("e2", "amount_outlier")]


def test_the_example_in_the_docs_is_a_finding_but_for_the_lane():
    text = (CHECKOUT / "docs" / "streaming.md").read_text()
    documented = json.loads(text.split("### `detections`")[1].split("```json\n")[1].split("```")[0])
    at = datetime.fromisoformat(documented["event_at"])
    order = Order(
        documented["event_id"], "U0000007", "DE", at, 199, {"offset": 81723, "partition": 2, "topic": "transactions"}
    )
    said = judge(order, [Line(1, "P0000042", 1, 199, 19999, 19999)], datetime.fromisoformat(documented["detected_at"]))
    assert [json.loads(one.to_json()) for one in said] == [documented | {"lane": "durable", "verdict": "confirmed"}]
