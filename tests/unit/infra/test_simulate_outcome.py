"""What a simulation comes to: hours, alarms that answer incidents, problems in sentences, the object and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from infra.bench.looks import Look
from infra.simulate.alarms import GRACE, Told, match
from infra.simulate.outcome import Alarm, DayRun, Hour, Made, Outcome, Sold, by_hour, problems
from infra.simulate.page import alarm_rows, page, span
from infra.simulate.plan import Clock, Incident, Plan, parse_incident
from lakehouse.books.money import MoneyLine
from lakehouse.books.positions import Difference
from lakehouse.books.prove import Books, PartitionBooks
from lakehouse.ledger import LedgerEntry

START = datetime(2026, 6, 8, tzinfo=UTC)
BEGAN = datetime(2026, 6, 20, 12, tzinfo=UTC)
CLOCK = Clock(START, BEGAN, 3600)  # an hour in a second
DAY = timedelta(days=1)
LOSS = Incident("broker-loss", timedelta(hours=4), timedelta(hours=8))


def real(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def entry(batch_id: int, committed: float, took: float, quarantined: int, lag: int) -> LedgerEntry:
    counts = {"record_count": 100, "quarantined_count": quarantined, "duplicate_count": 1}
    return LedgerEntry(
        generation=1,
        batch_id=batch_id,
        spark_batch_id=batch_id,
        started_at=real(committed - took),
        committed_at=real(committed),
        next_offsets={},
        watermarks={},
        table_versions={},
        counts=counts,
        lag_records={"transactions": lag, "users": 1},
    )


def told(kind: str, taken: float, event_at: datetime | None = None) -> Told:
    return Told(kind, f"a {kind}", event_at or real(taken), real(taken))


def books(balanced: bool = True) -> Books:
    lines = [PartitionBooks("transactions", 0, 10, 10, 7, 2, 1, 0)]
    money = [MoneyLine("gold/orders_by_minute", Decimal("12.34"), Decimal("12.34"))]
    differences = [] if balanced else [Difference("transactions", 0, 3, 4, "missing in silver")]
    return Books(balanced, BEGAN, 5, lines, money, differences)


def outcome(**changes: Any) -> Outcome:
    incident = match(LOSS, CLOCK, START + DAY, [told("service_down", 6)])
    assert incident is not None
    plan = Plan(START, 1, 3600, 0.02, 1, (LOSS,))
    hours = by_hour(
        CLOCK,
        START + timedelta(hours=2),
        {START: Sold(500, 20, Decimal("99.90"))},
        [entry(0, 0.5, 0.25, 3, 7)],
        [Look(real(0.7), {"bronze/events": 2, "silver/users": 1})],
    )
    alarm = Alarm(
        "service_down", "critical", "kafka is down", "<b>", "resolved", 1, real(6), START + timedelta(hours=6)
    )
    made = DayRun(START.date(), "SUCCESS", real(25), 80.0, START + DAY, (Made("gold/fact_sales", 3.5),))
    values: dict[str, Any] = {
        "plan": plan,
        "clock": CLOCK,
        "reached_at": START + DAY,
        "ended_at": real(120),
        "is_interrupted": False,
        "drain_seconds": 4.0,
        "sent": {"transactions": 10},
        "injected": {"late": 1},
        "most_seconds_behind": 0.1,
        "hours": hours,
        "runs": [made],
        "alarms": [alarm],
        "incidents": [incident],
        "books": books(),
    }
    return Outcome(**{**values, **changes})


def test_an_hour_has_what_was_sold_in_it_and_what_the_platform_did_meanwhile() -> None:
    rows = by_hour(
        CLOCK,
        START + timedelta(hours=3),
        {START: Sold(500, 20, Decimal("99.90"))},
        [entry(0, -1, 1, 9, 9), entry(1, 0.5, 0.25, 3, 7), entry(2, 0.9, 0.75, 2, 4), entry(3, 2.0, 1.0, 0, 0)],
        [Look(real(0.2), {"a": 1}), Look(real(0.7), {"a": 2, "b": 3})],
    )
    assert rows == [
        Hour(START, 500, 20, Decimal("99.90"), 5, 2, 2, 0.5, 0.75, 8, 5),
        Hour(START + timedelta(hours=1), 0, 0, Decimal("0.00"), 0, 0, 0, None, None, None, 5),
        Hour(START + timedelta(hours=2), 0, 0, Decimal("0.00"), 0, 1, 1, 1.0, 1.0, 1, 5),
    ]


def test_a_day_is_the_sum_of_its_hours() -> None:
    (row,) = outcome().days
    assert row == {
        "day": date(2026, 6, 8),
        "event_count": 500,
        "order_count": 20,
        "revenue": Decimal("99.90"),
        "quarantined_count": 3,
        "duplicate_count": 1,
        "batch_count": 1,
        "batch_seconds_longest": 0.25,
        "lag_record_count": 8,
        "file_count": 3,
        "alarm_count": 1,
    }


def test_the_first_alarm_of_the_right_kind_answers_an_incident() -> None:
    found = match(
        LOSS, CLOCK, START + DAY, [told("data_quality", 4.5), told("stream_stalled", 7), told("service_down", 6)]
    )
    assert found is not None
    assert (found.alarm, found.seconds_to_alarm, found.simulated_seconds_to_alarm) == ("a service_down", 2.0, 7200)
    assert found.alarm_counts == {"service_down": 1, "stream_stalled": 1}


def test_alarms_before_an_incident_or_long_after_it_are_not_its() -> None:
    found = match(
        LOSS, CLOCK, START + DAY, [told("service_down", 3.9), told("service_down", 9 + GRACE.total_seconds())]
    )
    assert found is not None
    assert found.alarm is None
    assert found.alarm_counts == {}


def test_empty_shelves_are_told_by_the_shops_time() -> None:
    wave = Incident("stock-out-wave", timedelta(hours=4), timedelta(hours=8))
    before, within = START + timedelta(hours=3), START + timedelta(hours=5)
    found = match(wave, CLOCK, START + DAY, [told("out_of_stock", 5, before), told("out_of_stock", 6, within)])
    assert found is not None
    assert found.seconds_to_alarm == 2.0


def test_a_simulation_that_ended_before_an_incident_says_nothing_of_it() -> None:
    assert match(LOSS, CLOCK, START + timedelta(hours=3), []) is None


def test_what_did_not_go_well_is_said_in_sentences() -> None:
    plan = Plan(START, 2, 3600, 0.02, 1, (LOSS,))
    quiet = match(LOSS, CLOCK, START + 2 * DAY, [])
    peak = match(parse_incident("sale-peak@1h", 2 * DAY), CLOCK, START + 2 * DAY, [])
    assert quiet is not None
    assert peak is not None
    failed = DayRun(START.date(), "FAILURE", None, None, None, (), ("step x failed: no disk.",))
    assert problems(plan, False, [failed], [quiet, peak], books(balanced=False)) == [
        "The books do not balance: 1 difference.",
        "The run of 2026-06-08 failed: step x failed: no disk.",
        "The run of 2026-06-09 was not made in time.",
        "broker-loss of 2026-06-08 04:00 raised none of the alarms service_down, service_unwell, stream_stalled, stream_behind.",
    ]
    assert problems(plan, True, [], [quiet], books()) == []


def test_the_object_has_exact_money_and_times() -> None:
    body = json.loads(outcome().to_json(), parse_float=Decimal)
    assert body["hours"][0]["revenue"] == Decimal("99.90")
    assert body["days"][0]["event_count"] == 500
    assert body["plan"]["incidents"] == ["broker-loss@4h+4h"]
    assert body["reached_at"] == "2026-06-09T00:00:00Z"
    assert body["books"]["balanced"] is True


def test_the_page_stands_alone_and_escapes_what_it_is_told() -> None:
    html = page(outcome(), "1.2.3")
    assert html.count("<svg") == 8
    assert "<script" not in html
    assert "src=" not in html
    assert "href=" not in html
    assert "&lt;b&gt;" in html
    assert "Everything went as it should" in html
    assert "2 h" in html  # to the alarm, on the shop's clock


@pytest.mark.parametrize(
    "changes",
    [
        {"hours": [], "runs": [], "alarms": [], "incidents": [], "is_interrupted": True, "drain_seconds": None},
        {"books": books(balanced=False), "problems": ["The books do not balance: 1 difference."]},
    ],
)
def test_a_partial_or_bad_outcome_has_a_page_too(changes: dict[str, Any]) -> None:
    html = page(outcome(**changes), "1.2.3")
    assert "Everything went as it should" not in html or changes.get("is_interrupted")
    assert ("Interrupted at" in html) == bool(changes.get("is_interrupted"))


def test_rare_kinds_of_alarm_are_drawn_as_one() -> None:
    base = outcome().alarms[0]
    many = [replace(base, kind=f"kind_{number}") for number in range(8) for _ in range(2 if number < 5 else 1)]
    rows = alarm_rows(many)
    assert len(rows) == 6
    assert next(row["alarm_count"] for row in rows if row["kind"] == "others") == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "none"), (0.4, "0 s"), (12, "12 s"), (144, "2 min 24 s"), (12_000, "3 h 20 min"), (93_600, "1 d 2 h")],
)
def test_spans_in_words(seconds: float | None, words: str) -> None:
    assert span(seconds) == words
