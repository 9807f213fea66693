"""The dry run: each selected record gets exactly one outcome, by the judge and by what silver has."""

from datetime import UTC, datetime, timedelta

import pytest
from corpus import BROKEN
from records import KAFKA_AT, event_id, text

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import judge
from lakehouse.quarantine.forecast import typed
from lakehouse.quarantine.lake import BadRecord
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.repair import attempt
from lakehouse.quarantine.rules import Change, parse_rules

NOW = KAFKA_AT + timedelta(hours=1)


def bad(values):
    """Quarantined records of one partition, with the codes that the judge gives them."""
    records = []
    for offset, (topic, value) in enumerate(values):
        codes = judge(CONTRACTS[topic], value, KAFKA_AT).codes
        records.append(BadRecord(Position(topic, 0, offset), b"k", value, KAFKA_AT, codes, None))
    return records


def all_new(repaired):
    return ["silver"] * len(repaired)


def tried(values, *rules, forecast=all_new, patch=None, now=NOW):
    change = Change(patch=patch) if patch is not None else Change(parse_rules(rules))
    return attempt(bad(values), change, now, forecast)


def test_recovered_and_broken_are_told_apart_with_reasons():
    report = tried(
        [
            ("cart_events", text("cart_events", quantity="3")),
            ("cart_events", text("cart_events", quantity="many")),
            ("cart_events", text("cart_events", quantity="3", user_id=...)),
            ("cart_events", b"not json"),
        ],
        "number:quantity",
    )
    assert [(trial.record.position.offset, trial.outcome, trial.why) for trial in report.trials] == [
        (0, "silver", ""),
        (1, "broken", "quantity is not an integer"),
        (2, "broken", "user_id is absent or null"),
        (3, "unreadable", "no rule can be applied: it is not JSON"),
    ]
    assert report.counts() == {
        "selected": 4, "silver": 1, "duplicates": 0, "conflict": 0, "broken": 2, "unreadable": 1, "untouched": 0,
    }  # fmt: skip
    assert [trial.value for trial in report.replayed] == [
        text("cart_events", quantity=3).replace(b": ", b":").replace(b", ", b",")
    ]
    assert [(why, count, first.position.offset) for why, count, first in report.failures()] == [
        ("quantity is not an integer", 1, 1),
        ("user_id is absent or null", 1, 2),
        ("no rule can be applied: it is not JSON", 1, 3),
    ]


def test_what_the_rules_leave_alone_is_not_replayed_even_if_it_is_right_by_now():
    ahead = text("product_views", timestamp=(KAFKA_AT + timedelta(minutes=20)).strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    assert tried([("product_views", ahead)], "drop:campaign").counts()["untouched"] == 1
    report = tried([("product_views", ahead)], "as-is")
    assert [(trial.outcome, trial.value) for trial in report.trials] == [("silver", ahead)]


def test_records_that_silver_has_are_no_recoveries():
    def known(repaired):
        return ["duplicates", "conflict.event_id", "silver"][: len(repaired)]

    values = [("product_views", text("product_views", device=..., event_id=event_id(n))) for n in range(3)]
    report = tried(values, "set:device=tv", forecast=known)
    assert [(trial.outcome, trial.why) for trial in report.trials] == [
        ("duplicates", ""),
        ("conflict", "another record with this event_id and other fields came first"),
        ("silver", ""),
    ]
    assert [trial.record.position.offset for trial in report.replayed] == [0, 2]


def test_a_patch_recovers_what_is_not_even_json():
    report = tried([("product_views", b"order 4711")], patch={"event_id": event_id(1), **valid_body()})
    assert report.counts()["silver"] == 1


def valid_body():
    from lakehouse.quarantine.document import read_value

    body = read_value(text("product_views").decode())
    return {name: value for name, value in body.items() if name != "event_id"}


@pytest.mark.parametrize(("topic", "value", "codes"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_rule_that_does_nothing_recovers_nothing(topic, value, codes):
    (trial,) = tried([(topic, value)], "as-is", now=KAFKA_AT).trials
    assert trial.outcome == "broken"
    assert trial.why


@pytest.mark.parametrize("topic", CONTRACTS)
def test_forecast_types_fields_as_silver_does(topic):
    cleaned = judge(CONTRACTS[topic], text(topic), KAFKA_AT).cleaned
    fields = typed(CONTRACTS[topic], cleaned)
    assert list(fields) == [item.name for item in CONTRACTS[topic].fields]
    assert fields["timestamp"] == datetime(2026, 3, 14, 9, 26, 53, 589_000, UTC)
