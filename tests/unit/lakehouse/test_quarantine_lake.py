"""The quarantine as read from a lake of files: filters, states, examples, outcomes, forecasts; only what the ledger has counts."""

from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from records import KAFKA_AT, event_id, text

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import judge
from lakehouse.errors import GlobalMartError
from lakehouse.ledger import LedgerEntry
from lakehouse.quarantine.forecast import forecast, typed
from lakehouse.quarantine.lake import Filters, QuarantineLake
from lakehouse.quarantine.listing import listing
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.replay import link
from lakehouse.quarantine.store import Decided
from lakehouse.settings import Settings
from lakehouse.streams.sinks import Sinks

STREAMING = [table for table in t.TABLES if table.layer == "silver"] + [t.LEDGER_STREAMING]
HOUR = timedelta(hours=1)


def place(offset, topic="cart_events", partition=0):
    return Position(topic, partition, offset)


def bad_row(position, codes, at=KAFKA_AT, batch_id=0, value=b"{}"):
    return {
        **position._asdict(), "key": b"k", "value": value, "kafka_at": at, "ingested_at": at, "reason_codes": codes,
        "detail": None, "contract_version": 1, "batch_id": batch_id,
    }  # fmt: skip


def good_row(topic, position, value):
    contract = CONTRACTS[topic]
    schema = t.BY_PATH[f"silver/{topic}"].schema
    zeros = {field.name: 0 for field in schema if pa.types.is_integer(field.type)}
    provenance = {**position._asdict(), "kafka_at": KAFKA_AT, "ingested_at": KAFKA_AT, "is_late": False, "batch_id": 0}
    return zeros | typed(contract, judge(contract, value, KAFKA_AT).cleaned) | provenance


QUARANTINED = [
    bad_row(place(1), ["missing.user_id"]),
    bad_row(place(2), ["missing.session_id", "missing.user_id"], KAFKA_AT + HOUR),
    bad_row(place(3), ["not_json"], KAFKA_AT + 2 * HOUR, value=b"\x1b[31mred\xff"),
    bad_row(place(1, partition=1), ["missing.user_id"], KAFKA_AT + 3 * HOUR),
    bad_row(place(7, "users"), ["not_json"], KAFKA_AT + 4 * HOUR),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    settings = Settings(_env_file=None, lake_uri=tmp_path_factory.mktemp("lake").as_uri())
    sinks = Sinks(settings, STREAMING)
    sinks.create_missing()
    rows = {
        t.QUARANTINE.path: [*QUARANTINED, bad_row(place(99), ["not_json"], batch_id=1)],  # batch 1 is not complete
        t.DUPLICATES.path: [
            {
                **place(5)._asdict(), "event_id": event_id(1), "winner_topic": "cart_events", "winner_partition": 0,
                "winner_offset": 4, "kafka_at": KAFKA_AT, "ingested_at": KAFKA_AT, "batch_id": 0,
            }
        ],
        t.CART_EVENTS.path: [good_row("cart_events", place(4), text("cart_events", event_id=event_id(1)))],
        t.TRANSACTIONS.path: [
            good_row("transactions", place(0, "transactions"), text("transactions", event_id=event_id(2), transaction_id="t-1"))
        ],
    }  # fmt: skip
    sinks.append({path: pa.Table.from_pylist(some, schema=t.BY_PATH[path].schema) for path, some in rows.items()}, 0)
    counts = dict.fromkeys(
        ("record_count", "accepted_count", "quarantined_count", "duplicate_count", "warning_count"), 0
    )
    entry = LedgerEntry(1, 0, 0, KAFKA_AT, KAFKA_AT, {"cart_events/0": 6}, {}, {}, counts)
    sinks.append({t.LEDGER_STREAMING.path: entry.to_rows()}, 0)
    return QuarantineLake(settings)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [place(1), place(2), place(3), place(1, partition=1), place(7, "users")]),
        (Filters(reason="missing.user_id"), [place(1), place(2), place(1, partition=1)]),
        (Filters(reason="missing"), [place(1), place(2), place(1, partition=1)]),
        (Filters(reason="miss"), []),
        (Filters(reason="not_json", topic="users"), [place(7, "users")]),
        (Filters(since=KAFKA_AT + HOUR, until=KAFKA_AT + 3 * HOUR), [place(2), place(3)]),
        (Filters(positions=(place(1), place(7, "users"))), [place(1), place(7, "users")]),
        (Filters(positions=(place(99),)), []),
    ],
    ids=[
        "all",
        "rule",
        "kind",
        "no prefix of a word",
        "rule and topic",
        "time",
        "positions",
        "batch not in the ledger",
    ],
)
def test_filters_choose_records(lake, filters, expected):
    assert [record.position for record in lake.records(filters)] == expected


def test_outcomes_name_where_records_ended(lake):
    asked = [place(1), place(4), place(5), place(6), place(99), place(0, "transactions")]
    assert lake.outcomes(asked) == {
        place(1): "quarantine", place(4): "silver", place(5): "duplicates", place(0, "transactions"): "silver",
    }  # fmt: skip
    assert [lake.is_taken(place(offset)) for offset in (5, 6)] == [True, False]
    assert lake.ends([place(1), place(2), place(3, "users")]) == {"cart_events/0": 6, "users/0": 0}


def test_groups_have_counts_states_and_the_newest_examples(lake):
    decided = {
        place(1): Decided("r", place(1)),
        place(2): Decided("r", place(2), replay=place(4)),
        place(1, partition=1): Decided("r", place(1, partition=1), replay=place(3)),  # it ended in quarantine again
        place(7, "users"): None,
    }
    found = listing(lake, Filters(), decided, "reason", 2)
    assert found.record_count == 5
    assert found.states == {"open": 1, "pending": 1, "repaired": 1, "failed": 1, "discarded": 1}
    assert [(g.reason, g.topic, g.count, dict(g.states), g.positions) for g in found.groups] == [
        (
            "missing.user_id",
            "cart_events",
            3,
            {"pending": 1, "repaired": 1, "failed": 1},
            [place(1, partition=1), place(2)],
        ),
        ("missing.session_id", "cart_events", 1, {"repaired": 1}, [place(2)]),
        ("not_json", "cart_events", 1, {"open": 1}, [place(3)]),
        ("not_json", "users", 1, {"discarded": 1}, [place(7, "users")]),
    ]
    assert found.groups[0].words == "user_id is absent or null"
    assert found.examples[place(3)].value == b"\x1b[31mred\xff"
    assert found.state_of[place(7, "users")] == "discarded"


def test_groups_by_hour_begin_at_the_hour(lake):
    found = listing(lake, Filters(reason="missing.user_id"), {}, "hour", 0)
    assert [(g.period, g.count) for g in found.groups] == [(KAFKA_AT + n * HOUR, 1) for n in (0, 1, 3)]
    assert found.examples == {}


def test_a_forecast_knows_what_silver_has_and_what_comes_before(lake):
    def cleaned(topic, **changes):
        return topic, judge(CONTRACTS[topic], text(topic, **changes), KAFKA_AT).cleaned

    repaired = [
        cleaned("cart_events", event_id=event_id(1)),
        cleaned("cart_events", event_id=event_id(1), quantity=9),
        cleaned("product_views", event_id=event_id(1)),
        cleaned("cart_events", event_id=event_id(3)),
        cleaned("cart_events", event_id=event_id(3)),
        cleaned("cart_events", event_id=event_id(3), quantity=9),
        cleaned("transactions", event_id=event_id(4), transaction_id="t-1"),
        cleaned("transactions", event_id=event_id(5), transaction_id="t-1", country="BR"),
        cleaned("transactions", event_id=event_id(6), transaction_id="t-2"),
    ]
    assert forecast(lake, repaired) == [
        "duplicates", "conflict.event_id", "conflict.event_id", "silver", "duplicates", "conflict.event_id", "duplicates",
        "conflict.transaction_id", "silver",
    ]  # fmt: skip


def test_a_record_typed_for_a_forecast_equals_its_silver_row(lake):
    row = lake.read(t.TRANSACTIONS, [item.name for item in CONTRACTS["transactions"].fields]).to_pylist()[0]
    assert row["total_amount"] == Decimal("39.98")
    value = text("transactions", event_id=event_id(2), transaction_id="t-1")
    assert typed(CONTRACTS["transactions"], judge(CONTRACTS["transactions"], value, KAFKA_AT).cleaned) == row


def test_headers_that_are_no_link_are_none():
    good = [("globalmart-origin", b"users/0/7"), ("globalmart-repair", b"repair-1")]
    assert link(good) == (Position("users", 0, 7), "repair-1")
    for headers in (
        [],
        good[:1],
        good[1:],
        [("globalmart-origin", None), good[1]],
        [("globalmart-origin", b"\xff"), good[1]],
    ):
        assert link(headers) == (None, "")


def test_no_lake_is_one_sentence(file_settings):
    with pytest.raises(GlobalMartError, match="Nothing has been streamed yet"):
        QuarantineLake(file_settings)
