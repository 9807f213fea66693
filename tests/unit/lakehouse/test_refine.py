"""A batch splits into silver, quarantine and duplicates: disjoint, complete, with whole expected rows, and the same when tried again."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from corpus import BROKEN, RIGHT
from records import KAFKA_AT, event_id, kafka_table, text

from lakehouse.tables import BY_PATH, POSITION
from lakehouse.transforms.parse import parse
from lakehouse.transforms.refine import Knowledge, Stamp, refine

STARTED_AT = datetime(2026, 3, 14, 10, 0, 1, tzinfo=UTC)
POSITIONS = [column.name for column in POSITION]


@pytest.fixture
def run(spark):
    """Refine (topic, value) pairs in one batch."""

    def parser(records):
        return parse(spark.createDataFrame(records)).toArrow()

    def go(values, knowledge=None, batch_id=1, first_offset=0, watermarks=None):
        stamp = Stamp(batch_id, STARTED_AT, watermarks or {})
        return refine(parser(kafka_table(values, first_offset)), stamp, knowledge or Knowledge(), parser)

    return go


def positions(refined, *paths):
    rows = [row for path in paths if path in refined.rows for row in refined.rows[path].select(POSITIONS).to_pylist()]
    return sorted(row["offset"] for row in rows)


SILVER = [
    f"silver/{topic}"
    for topic in ("transactions", "product_views", "cart_events", "inventory_events", "users", "products")
]


def test_every_record_has_exactly_one_outcome(run):
    values = [(topic, value) for _, topic, value, *_ in [*BROKEN, *RIGHT]]
    refined = run(values)
    outcomes = positions(refined, *SILVER, "silver/quarantine", "silver/duplicates")
    assert outcomes == list(range(len(values)))
    assert positions(refined, "bronze/events") == outcomes
    assert refined.counts["record_count"] == len(values)
    assert refined.counts["accepted_count"] + refined.counts["quarantined_count"] + refined.counts[
        "duplicate_count"
    ] == len(values)


def test_quarantine_has_the_raw_record_and_its_reasons(run):
    refined = run([(topic, value) for _, topic, value, _ in BROKEN])
    rows = refined.rows["silver/quarantine"].to_pylist()
    assert [(row["topic"], row["offset"], row["value"], row["reason_codes"]) for row in rows] == [
        (topic, offset, value, codes) for offset, (_, topic, value, codes) in enumerate(BROKEN)
    ]
    assert rows[0] == {
        "topic": "product_views",
        "partition": 0,
        "offset": 0,
        "key": b"k",
        "value": None,
        "kafka_at": KAFKA_AT,
        "ingested_at": STARTED_AT,
        "reason_codes": ["empty"],
        "detail": "the value is empty",
        "contract_version": 1,
        "batch_id": 1,
    }


def test_unknown_fields_are_accepted_and_counted(run):
    refined = run([("product_views", text("product_views", campaign="spring"))])
    assert refined.counts["warning_count"] == 1
    assert positions(refined, "silver/product_views") == [0]
    assert b"spring" in refined.rows["bronze/events"]["value"][0].as_py()


def test_accepted_row_is_whole(run):
    refined = run([("cart_events", text("cart_events", price=2.5))], batch_id=9)
    row = refined.rows["silver/cart_events"].to_pylist()[0]
    hashes = {name for name in row if "hash" in name}
    assert {name: value for name, value in row.items() if name not in hashes} == {
        "event_id": "0b0c7f6e-5c0f-4f5e-9d57-1f0f5f0a9c11",
        "event_type": "cart_event",
        "schema_version": 1,
        "timestamp": datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC),
        "user_id": "u00000042",
        "session_id": "s-7f3a9c",
        "cart_id": "c-7f3a9c",
        "country": "DE",
        "action": "add",
        "product_id": "p000123",
        "quantity": 2,
        "price": Decimal("2.50"),
        "topic": "cart_events",
        "partition": 0,
        "offset": 0,
        "kafka_at": KAFKA_AT,
        "ingested_at": STARTED_AT,
        "is_late": False,
        "batch_id": 9,
    }


def test_duplicates_name_their_winner_and_conflicts_their_reason(run):
    one, other = (text("product_views", device=device) for device in ("mobile", "tablet"))
    refined = run([("product_views", one), ("product_views", one), ("product_views", other)])
    duplicate = refined.rows["silver/duplicates"].to_pylist()
    assert [{name: row[name] for name in ("offset", "event_id", "winner_topic", "winner_partition", "winner_offset")} for row in duplicate] == [
        {"offset": 1, "event_id": "0b0c7f6e-5c0f-4f5e-9d57-1f0f5f0a9c11", "winner_topic": "product_views", "winner_partition": 0, "winner_offset": 0}
    ]  # fmt: skip
    assert refined.rows["silver/quarantine"]["reason_codes"].to_pylist() == [["conflict.event_id"]]


def test_extra_field_or_other_spelling_makes_no_new_record(run):
    plain = text("transactions", cart_id=None)
    spelled = text("transactions", cart_id=..., note="again").replace(b": ", b" :  ")
    refined = run([("transactions", plain), ("transactions", spelled)])
    assert positions(refined, "silver/duplicates") == [1]


def test_the_same_batch_again_gives_the_same_rows(run):
    values = [(topic, value) for _, topic, value, *_ in [*BROKEN, *RIGHT]]
    knowledge = Knowledge()
    first, second = run(values, knowledge), run(values, knowledge)
    assert first.rows.keys() == second.rows.keys()
    for path in first.rows:
        assert first.rows[path].equals(second.rows[path]), path


def test_late_is_what_lies_behind_the_watermark_before_the_batch(run):
    times = ["2026-03-14T08:59:59.999Z", "2026-03-14T09:00:00.000Z", "2026-03-14T09:55:00.000Z"]
    values = [("users", text("users", event_id=event_id(n), timestamp=time)) for n, time in enumerate(times)]
    watermarks = {"users": datetime(2026, 3, 14, 9, tzinfo=UTC)}
    refined = run(values, watermarks=watermarks)
    assert refined.rows["silver/users"]["is_late"].to_pylist() == [True, False, False]
    assert refined.watermark_times == {"users": datetime(2026, 3, 14, 9, 55, tzinfo=UTC)}


def test_one_event_from_2099_does_not_move_the_watermark(run):
    values = [
        ("users", text("users", event_id=event_id(n), timestamp=time))
        for n, time in enumerate(["2099-01-01T00:00:00.000Z", "2026-03-14T09:00:00.000Z"])
    ]
    assert run(values).watermark_times == {"users": datetime(2026, 3, 14, 9, tzinfo=UTC)}


def test_a_sale_finds_the_category_of_a_product_in_the_same_batch(run):
    product = text("products", event_id=event_id(1), timestamp="2026-03-14T09:00:00.000Z")
    refined = run([("transactions", text("transactions")), ("products", product)])
    assert refined.rows["silver/transaction_items"]["category"].to_pylist() == ["Power Tools"]
    assert refined.rows["gold/sales_by_minute"]["revenue"].to_pylist() == [Decimal("39.98")]
    assert refined.rows["gold/orders_by_minute"]["order_count"].to_pylist() == [1]


def test_rows_have_exactly_the_declared_schema(run):
    refined = run([(topic, value) for _, topic, value in RIGHT])
    for path, rows in refined.rows.items():
        assert rows.schema.equals(BY_PATH[path].schema), path
