"""The real-time lane's transform: whole messages, and word for word what the durable view says of the same orders."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest
from records import KAFKA_AT, event_id, kafka_table, text

from lakehouse.catalogue import Catalogue
from lakehouse.findings import finding_id
from lakehouse.live.base import Batch
from lakehouse.live.confirm import Confirm
from lakehouse.live.price_book import current_listings
from lakehouse.tables import PRODUCTS, TRANSACTIONS
from lakehouse.transforms.realtime import MAX_LINES, judge

LISTED_AT = datetime(2026, 3, 1, tzinfo=UTC)
SHELF = [
    ("p1", "Drill", "Tools", "20.00"),
    ("p2", "Saw", "Tools", "30.00"),
    ("p3", "Rake", "Garden", "10.00"),
    ("p4", "Free sample", "Samples", "0.00"),
]
PRODUCT_ROWS = pa.table(
    {
        "product_id": [product_id for product_id, *_ in SHELF],
        "name": [name for _, name, *_ in SHELF],
        "category": [category for *_, category, _ in SHELF],
        "price": pa.array([Decimal(price) for *_, price in SHELF], pa.decimal128(18, 2)),
        "timestamp": pa.array([LISTED_AT] * len(SHELF), pa.timestamp("us", tz="UTC")),
        "offset": pa.array(range(len(SHELF)), pa.int64()),
    }
)


def order(number, *lines, **changes):
    """A transaction of lines (product, quantity, price); its total is their sum."""
    products = [{"product_id": p, "quantity": q, "price": float(price)} for p, q, price in lines]
    total = sum(Decimal(price) * q for _, q, price in lines)
    return text(
        "transactions",
        **{
            "event_id": event_id(number),
            "transaction_id": f"t{number}",
            "timestamp": "2026-03-14T09:59:59.500Z",
            "products": products,
            "total_amount": float(total),
            **changes,
        },
    )


ORDERS = [
    order(0, ("p1", 1, "20.00"), ("p3", 2, "10.20")),  # a fifth of a dollar is within the tolerance
    order(1, ("p1", 1, "20.00"), ("p2", 1, "3.00"), ("p3", 1, "5.00")),  # two wrong prices, the first is the worse
    order(2, ("p3", 59, "10.00")),
    order(3, ("p3", 60, "10.00"), ("p1", 75, "20.00")),
    order(4, ("p2", 100, "20.00")),  # the median of the category's two prices is the lower one; and a wrong price
    order(5, ("p1", 1, "20.41"), ("p2", 1, "29.39")),  # a cent beyond the tolerance, above and below
    order(6, ("unknown", 80, "999.00")),
    order(7, ("p4", 1, "0.01")),
    order(8, *[("p1", 1, "1.00")] * (MAX_LINES + 1)),
    order(9, ("p1", 1, "1.00"), timestamp=(KAFKA_AT - timedelta(minutes=61)).isoformat()[:19] + ".000Z"),
    order(10, ("p1", 1, "1.00"), country="FR"),
    order(11, ("p1", 7, "13.37"), user_id='ü"\\/\u2028', cart_id=None),
]


OTHERS = [
    ("product_views", text("product_views", event_id=event_id(20), product_id="p1", timestamp="2026-03-14T09:59:59.500Z")),
    ("cart_events", text("cart_events", event_id=event_id(21), product_id="p2", timestamp="2026-03-14T09:59:59.500Z")),
    ("inventory_events", text("inventory_events", event_id=event_id(22), product_id="new", timestamp="2026-03-14T09:59:59.500Z")),
]  # fmt: skip
BROKEN = [
    ("transactions", None),
    ("transactions", b"{"),
    ("transactions", ORDERS[1].replace(b'"price": 3.0', b'"price": "3.00"')),
    ("product_views", ORDERS[1]),
    ("cart_events", b"[]"),
    ("users", text("users")),
    ("transactions", order(30, ("p3", 1, "10.00"), timestamp="2099-01-01T00:00:00.000Z")),
]


@pytest.fixture(scope="module")
def messages(spark):
    """What the lane says of all records in one batch: (topic, key, value), in the order of the records."""
    values = [*(("transactions", value) for value in ORDERS), *OTHERS, *BROKEN]
    catalogue = spark.createDataFrame(current_listings(PRODUCT_ROWS))
    rows = judge(spark.createDataFrame(kafka_table(values)), catalogue).toArrow().to_pylist()
    return [(row["topic"], row["key"], row["value"]) for row in rows]


@pytest.fixture(scope="module")
def raised(messages):
    """The findings: (key, body)."""
    return [(key, json.loads(value)) for topic, key, value in messages if topic == "detections"]


@pytest.fixture(scope="module")
def live(messages):
    """The live events: (key, body)."""
    return [(key, json.loads(value)) for topic, key, value in messages if topic == "live_events"]


def durable(judged):
    """What the durable view says of the orders at the places `judged`."""
    rows = []
    for offset, value in enumerate(ORDERS):
        if offset in judged:
            body = json.loads(value)
            lines = [
                line | {"price": Decimal(str(line["price"])).quantize(Decimal("0.01"))} for line in body["products"]
            ]
            total = sum(line["price"] * line["quantity"] for line in lines)
            place = {"topic": "transactions", "partition": 0, "offset": offset}
            at = datetime.fromisoformat(body["timestamp"])
            rows.append(body | place | {"products": lines, "total_amount": total, "timestamp": at})
    names = ["event_id", "user_id", "country", "timestamp", "products", "total_amount", "topic", "partition", "offset"]
    schema = pa.schema([TRANSACTIONS.schema.field(name) for name in names])
    batch = {PRODUCTS.path: PRODUCT_ROWS, TRANSACTIONS.path: pa.Table.from_pylist(rows, schema=schema)}
    output = Confirm().apply(Batch(1, KAFKA_AT, batch, None, Catalogue()))
    return [json.loads(finding.to_json()) for finding in output.findings]


def test_a_wrong_price_is_one_finding_with_both_prices(raised):
    assert [(key, body) for key, body in raised if body["event_id"] == event_id(1)] == [
        (
            finding_id("price_mismatch", event_id(1)),
            {
                "country": "DE",
                "detail": "p2 was sold at 3.00 USD; the catalogue says 30.00 USD.",
                "detected_at": "2026-03-14T10:00:00.000Z",
                "event_at": "2026-03-14T09:59:59.500Z",
                "event_id": event_id(1),
                "evidence": {
                    "lines": [
                        {"catalogue_price": "30.00", "line_number": 2, "price": "3.00", "product_id": "p2"},
                        {"catalogue_price": "10.00", "line_number": 3, "price": "5.00", "product_id": "p3"},
                    ],
                    "record": {"offset": 1, "partition": 0, "topic": "transactions"},
                },
                "finding_id": finding_id("price_mismatch", event_id(1)),
                "fingerprint": "price_mismatch|p2",
                "is_anomaly": True,
                "kind": "price_mismatch",
                "lane": "realtime",
                "product_id": "p2",
                "score": 0.988,
                "severity": "warning",
                "title": "Price of p2 differs from the catalogue",
                "user_id": "u00000042",
                "verdict": "raised",
            },
        )
    ]


def test_kinds_are_found_at_their_thresholds_and_not_below(raised):
    assert [(body["event_id"][-2:], body["kind"], body["score"]) for _, body in raised] == [
        ("01", "price_mismatch", 0.988),
        ("03", "quantity_burst", 0.6),
        ("04", "price_mismatch", 0.97),
        ("04", "quantity_burst", 0.7),
        ("04", "amount_outlier", 0.5),
        ("05", "price_mismatch", 0.512),
        ("06", "quantity_burst", 0.625),
        ("07", "price_mismatch", 1.0),
        ("11", "price_mismatch", 0.969),
    ]


def test_both_lanes_say_the_same_but_for_lane_verdict_and_time(raised):
    """Where the lane judges: not orders too long for it, not what is history by the time it comes, not broken records."""
    changed = {"lane": "durable", "verdict": "confirmed", "detected_at": "2026-03-14T10:00:00.000Z"}
    assert [body | changed for _, body in raised] == durable({0, 1, 2, 3, 4, 5, 6, 7, 11})
    assert {one["event_id"] for one in durable({8, 9})} == {event_id(8), event_id(9)}


def test_a_message_is_byte_for_byte_what_a_finding_writes(messages):
    """Keys in order, no spaces, nulls written, text unescaped."""
    values = [value for topic, _, value in messages if topic == "detections"]
    assert values == [orjson.dumps(json.loads(value), option=orjson.OPT_SORT_KEYS).decode() for value in values]


def test_live_events_carry_names_and_categories(live):
    visit = {
        "timestamp": "2026-03-14T09:59:59.500Z", "kafka_at": "2026-03-14T10:00:00.000Z", "user_id": "u00000042",
        "session_id": "s-7f3a9c", "country": "DE",
    }  # fmt: skip
    assert [pair for pair in live if pair[1]["event_id"] in {event_id(n) for n in (0, 20, 21, 22)}] == [
        (
            "u00000042",
            visit
            | {
                "event_id": event_id(0),
                "event_type": "transaction",
                "transaction_id": "t0",
                "cart_id": "c-7f3a9c",
                "payment_method": "credit_card",
                "total_amount": 40.4,
                "lines": [
                    {"product_id": "p1", "name": "Drill", "category": "Tools", "quantity": 1, "price": 20.0},
                    {"product_id": "p3", "name": "Rake", "category": "Garden", "quantity": 2, "price": 10.2},
                ],
            },
        ),
        (
            "u00000042",
            visit
            | {
                "event_id": event_id(20),
                "event_type": "product_view",
                "device": "mobile",
                "lines": [{"product_id": "p1", "name": "Drill", "category": "Tools"}],
            },
        ),
        (
            "u00000042",
            visit
            | {
                "event_id": event_id(21),
                "event_type": "cart_event",
                "cart_id": "c-7f3a9c",
                "action": "add",
                "lines": [{"product_id": "p2", "name": "Saw", "category": "Tools", "quantity": 2, "price": 19.99}],
            },
        ),
        (
            "new",
            {
                "timestamp": "2026-03-14T09:59:59.500Z",
                "kafka_at": "2026-03-14T10:00:00.000Z",
                "event_id": event_id(22),
                "event_type": "inventory_event",
                "reason": "restock",
                "lines": [{"product_id": "new", "quantity": 40}],
            },
        ),
    ]


def test_broken_records_history_and_orders_too_long_say_nothing(live):
    assert {body["event_id"] for _, body in live} == {event_id(n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 11, 20, 21, 22)}
