"""Withdrawing: only what the real-time lane raised, only once the durable path has spoken, and only once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from lakehouse.findings import Finding
from lakehouse.live.price_book import PriceBook
from lakehouse.live.retract import Claims, priced_products, retraction
from lakehouse.tables import MONEY

AT = datetime(2026, 3, 14, 10, tzinfo=UTC)
CLAIM = Finding(
    finding_id="f1",
    kind="price_mismatch",
    severity="warning",
    fingerprint="price_mismatch|p1",
    title="Price of p1 differs from the catalogue",
    detail="p1 was sold at 20.00 USD; the catalogue says 10.00 USD.",
    event_at=AT,
    detected_at=AT,
    score=0.9,
    lane="realtime",
    is_anomaly=True,
    event_id="e1",
    user_id="u1",
    product_id="p1",
    country="DE",
    evidence={
        "lines": [{"catalogue_price": "10.00", "line_number": 1, "price": "20.00", "product_id": "p1"}],
        "record": {"offset": 7, "partition": 2, "topic": "transactions"},
    },
)


def heard(*findings):
    claims = Claims()
    for finding in findings:
        claims.hear(finding.to_json())
    return claims


def test_a_claim_is_due_once_its_record_lies_below_the_cut():
    claims = heard(CLAIM)
    assert claims.due({"transactions/2": 7, "transactions/1": 99}) == []
    assert claims.due({}) == []
    assert claims.due({"transactions/2": 8}) == [CLAIM]


def test_what_the_durable_path_confirms_is_settled_whichever_comes_first():
    confirmed = replace(CLAIM, lane="durable", verdict="confirmed")
    assert heard(CLAIM, confirmed).open == {}
    assert heard(confirmed, CLAIM).open == {}


def test_a_claim_raised_again_after_its_withdrawal_stays_withdrawn():
    withdrawn = retraction(CLAIM, PriceBook(), AT)
    assert heard(CLAIM, withdrawn, CLAIM).open == {}


def test_raised_twice_is_one_claim():
    assert heard(CLAIM, CLAIM).due({"transactions/2": 8}) == [CLAIM]


def test_other_kinds_other_lanes_and_broken_messages_are_passed_by():
    claims = heard(replace(CLAIM, kind="stock_low"), replace(CLAIM, lane="durable"))
    for value in (None, b"", b"{", b"[]", b"3", b'{"kind":"price_mismatch"}', replace(CLAIM, evidence={}).to_json()):
        claims.hear(value)
    assert claims.open == {}


def prices(*rows):
    """A price book of p1 from (minutes after AT, price)."""
    book = PriceBook()
    book.add(
        pa.table(
            {
                "product_id": ["p1"] * len(rows),
                "timestamp": pa.array([AT + timedelta(minutes=m) for m, _ in rows], pa.timestamp("us", tz="UTC")),
                "offset": pa.array(range(len(rows)), pa.int64()),
                "price": pa.array([Decimal(price) for _, price in rows], MONEY),
                "category": ["A"] * len(rows),
            }
        )
    )
    return book


def test_a_withdrawal_has_the_same_id_and_the_prices_of_both_lanes():
    assert priced_products([CLAIM, replace(CLAIM, kind="quantity_burst")]) == {"p1"}
    said_at = AT + timedelta(seconds=3)
    assert retraction(CLAIM, prices((-60, "20.00"), (1, "10.00")), said_at) == replace(
        CLAIM,
        verdict="retracted",
        lane="durable",
        detected_at=said_at,
        title="Withdrawn: Price of p1 differs from the catalogue",
        detail="The catalogue has another price for the time of the order than the real-time lane went by. "
        "Withdrawn: p1 was sold at 20.00 USD; the catalogue says 10.00 USD.",
        evidence={
            "lines": [
                {
                    "catalogue_price": "10.00",
                    "catalogue_price_at_event": "20.00",
                    "line_number": 1,
                    "price": "20.00",
                    "product_id": "p1",
                }
            ],
            "record": {"offset": 7, "partition": 2, "topic": "transactions"},
        },
    )


def test_a_withdrawal_at_the_same_price_says_that_the_record_was_refused():
    said = retraction(CLAIM, prices((-60, "10.00")), AT)
    assert said.detail.startswith("The record was refused or repeats another. Withdrawn: p1")
