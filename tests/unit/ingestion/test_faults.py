"""Faults: each produces what its label says, by the contracts' own judge, and nothing but the struck record changes."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import pytest

from ingestion.anomalies import KINDS
from ingestion.events import TRANSACTION
from ingestion.faults import Injector
from ingestion.labels import Label
from ingestion.options import history, parse_start
from ingestion.records import EVENT_ID_PLACE, Records
from ingestion.shares import FaultShareError, Shares
from ingestion.source import Source
from ingestion.topics import INPUT_NAMES
from ingestion.violations import MIB, encode, malformed, violations
from ingestion.world import PRODUCT_COUNT, World
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import judge
from lakehouse.contracts.rules import rules_of

PARTITIONS = dict.fromkeys(INPUT_NAMES, 4)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
MOST_OF_A_BLOCK = 6_000
Row = tuple[str, bytes, bytes | None, Label]


def sent(shares: Shares, catalogue: int = 1, blocks: int = 4) -> list[Row]:
    """(topic, key, value, label) in order of sending, of a part of a history of May 2026."""
    source = Source(history(3 * 86_400.0, parse_start("2026-05-29"), scale=0.03, shares=shares), PARTITIONS)
    chosen = (*islice(source.catalogue(), catalogue), *islice(source.blocks(), blocks))
    made = [source.records(block.pick(np.arange(min(len(block), MOST_OF_A_BLOCK)))) for block in chosen]
    made.append(source.rest())
    return [
        (INPUT_NAMES[records.kinds[place]], records.keys[place], records.values[place], labels.get(place, Label(None)))
        for records, labels in made
        for place in range(len(records))
    ]


@pytest.fixture(scope="module")
def mixed() -> list[Row]:
    return sent(Shares(0.03, 0.03, 0.02, 0.02, 0.01, 0.3, 0.02, 0.1))


def struck(rows: list[Row], prefix: str) -> list[Row]:
    found = [row for row in rows if (row[3].fault or "").startswith(prefix)]
    assert found, prefix
    return found


def test_every_label_agrees_with_the_contracts_judge(mixed: list[Row]) -> None:
    differing = []
    for number, (topic, _, value, label) in enumerate(mixed):
        if label.fault or number % 10 == 0:
            codes = judge(CONTRACTS[topic], value, NOW).codes
            expected = tuple(code for code in label.judged(NOW_MS).codes if not code.startswith("conflict."))
            if codes != expected:
                differing.append((label, codes, value))
    assert differing == []


def test_every_rule_of_every_contract_is_broken_by_some_fault() -> None:
    """But for those that only an order of records or a setting can break."""
    document = json.loads(next(value for topic, _, value, _ in sent(Shares(), 0, 1) if topic == "users") or b"")
    records = {code for _, _, code in malformed(document)}
    for kind, topic in enumerate(INPUT_NAMES):
        broken = {violation.code for violation in violations(kind)} | records
        rules = {rule.id for rule in rules_of(CONTRACTS[topic]) if rule.severity == "error"}
        assert {rule for rule in rules - broken if not rule.startswith(("conflict.", "too_old."))} == set(), topic


def test_expected_place_follows_from_the_codes(mixed: list[Row]) -> None:
    for *_, label in mixed:
        if label.codes:
            assert label.expected == "quarantine"
        else:
            assert label.expected == ("duplicates" if (label.fault or "").startswith("duplicate") else "silver")
        assert label.codes == tuple(sorted(label.codes))


def test_a_copy_has_the_bytes_and_key_of_an_earlier_record(mixed: list[Row]) -> None:
    place = {value: number for number, (_, _, value, _) in reversed(list(enumerate(mixed)))}
    for number, (topic, key, value, label) in enumerate(mixed):
        if label.fault == "duplicate":
            first = mixed[place[value]]
            assert place[value] < number
            assert first[:3] == (topic, key, value)
            assert first[3] == Label(None, "silver", (), label.of_event_id, None, label.at_ms)


def test_rewritten_and_renumbered_copies_have_the_fields_of_their_original(mixed: list[Row]) -> None:
    originals = {
        label.event_id: json.loads(value or b"")
        for *_, value, label in mixed
        if label.expected == "silver" and label.event_id
    }
    for _, _, value, label in struck(mixed, "duplicate:"):
        copy, original = json.loads(value or b""), originals[label.of_event_id]
        if label.fault == "duplicate:transaction_id":
            assert copy.pop("event_id") != original["event_id"]
            copy["event_id"] = original["event_id"]
        assert copy == original


def test_a_conflict_shares_one_id_and_comes_after_its_original(mixed: list[Row]) -> None:
    originals = {
        label.event_id: (number, value) for number, (*_, value, label) in enumerate(mixed) if label.expected == "silver"
    }
    kinds = Counter()
    for number, (topic, _, value, label) in enumerate(mixed):
        if (label.fault or "").startswith("conflict:"):
            first, original = originals[label.of_event_id]
            body, other = json.loads(value or b""), json.loads(original or b"")
            same = {name for name in ("event_id", "transaction_id") if name in body and body[name] == other[name]}
            assert first < number
            assert label.codes == tuple(f"conflict.{name}" for name in same)
            assert body != other
            kinds[topic, label.fault] += 1
    assert kinds["transactions", "conflict:event_id"] > 0
    assert kinds["transactions", "conflict:transaction_id"] > 0


def test_no_two_good_records_share_an_id(mixed: list[Row]) -> None:
    good = [json.loads(value or b"") for *_, value, label in mixed if label.expected == "silver"]
    ids = Counter(document["event_id"] for document in good)
    orders = Counter(document["transaction_id"] for document in good if "transaction_id" in document)
    assert [key for key, count in (ids + orders).items() if count > 1] == []


def test_late_records_are_minutes_to_days_behind_and_stay_good(mixed: list[Row]) -> None:
    for *_, value, label in struck(mixed, "late"):
        assert label.expected == "silver"
        assert json.loads(value or b"")["event_id"] == label.event_id


def test_skew_within_the_tolerance_is_good_and_beyond_it_is_not() -> None:
    at = NOW_MS + 10 * 60_000
    assert Label("skew:within", at_ms=at).judged(NOW_MS) == Label("skew:within", at_ms=at)
    beyond = Label("skew:beyond", at_ms=at + 1).judged(NOW_MS)
    assert (beyond.expected, beyond.codes) == ("quarantine", ("future.timestamp",))


def test_a_broken_time_comes_before_being_a_duplicate_or_a_conflict() -> None:
    old = NOW_MS - 11 * 86_400_000
    copy = Label("duplicate", "duplicates", (), "a", "a", old).judged(NOW_MS, too_old_ms=10 * 86_400_000)
    conflict = Label("conflict:event_id", "quarantine", ("conflict.event_id",), "a", "a", old).judged(
        NOW_MS, too_old_ms=10 * 86_400_000
    )
    assert (copy.expected, copy.codes) == ("quarantine", ("too_old.timestamp",))
    assert (conflict.expected, conflict.codes) == ("quarantine", ("too_old.timestamp",))


def test_extra_fields_are_accepted(mixed: list[Row]) -> None:
    names = set()
    for topic, _, value, label in struck(mixed, "extra_field"):
        document = json.loads(value or b"")
        names |= set(document) - {field.name for field in CONTRACTS[topic].fields}
        assert label.expected == "silver"
    assert names == {"campaign", "experiment", "referrer", "score"}


def test_anomalies_of_every_kind_are_good_records(mixed: list[Row]) -> None:
    found = struck(mixed, "anomaly:")
    kinds = {label.fault.removeprefix("anomaly:"): topic for topic, *_, label in found if label.fault}
    assert kinds == dict.fromkeys(KINDS, "transactions") | {"view_bot": "product_views"}
    assert {label.expected for *_, label in found} == {"silver"}


def test_records_of_one_burst_name_its_first_and_keep_its_customer_and_key(mixed: list[Row]) -> None:
    bursts: dict[str | None, list[Row]] = {}
    for row in struck(mixed, "anomaly:"):
        bursts.setdefault(row[3].of_event_id, []).append(row)
    for first, rows in bursts.items():
        documents = {label.event_id: json.loads(value or b"") for _, _, value, label in rows}
        assert first in documents
        assert len({(row[0], row[1], row[3].fault) for row in rows}) == 1
        assert {document["user_id"] for document in documents.values()} == {rows[0][1].decode()}
    sizes = Counter(rows[0][3].fault for rows in bursts.values() if len(rows) > 1)
    assert set(sizes) == {"anomaly:purchase_burst", "anomaly:card_testing", "anomaly:view_bot"}


def test_orders_of_anomalies_have_catalogue_prices_but_for_the_wrong_one(mixed: list[Row]) -> None:
    cents = World(1).product_cents(np.arange(PRODUCT_COUNT))
    wrong = Counter()
    for _, _, value, label in struck(mixed, "anomaly:"):
        for line in json.loads(value or b"").get("products", ()):
            if round(line["price"] * 100) != cents[int(line["product_id"][1:])]:
                wrong[label.fault] += 1
    assert wrong == {"anomaly:price_mismatch": len([*struck(mixed, "anomaly:price_mismatch")])}


def test_anomalies_are_no_larger_a_share_of_the_orders_than_asked_for() -> None:
    orders = [label for topic, *_, label in sent(Shares(anomalies=0.05), blocks=12) if topic == "transactions"]
    odd = sum(label.fault is not None for label in orders) / len(orders)
    assert 0.02 < odd < 0.065


def test_struck_records_are_about_the_shares_asked_for() -> None:
    rows = sent(Shares(duplicates=0.05, malformed=0.02))
    clean = [row for row in rows if row[3].fault is None]
    assert len(struck(rows, "duplicate")) / len(clean) == pytest.approx(0.05, rel=0.1)
    assert len(struck(rows, "malformed")) / len(clean) == pytest.approx(0.02, rel=0.15)


def test_clean_records_are_the_same_with_and_without_added_faults() -> None:
    options = history(86_400.0, parse_start("2026-05-29"), scale=0.01)
    source = Source(options, PARTITIONS)
    blocks = [(block, source.records(block)[0]) for block in source.blocks()]
    injector = Injector(Shares(duplicates=0.1, malformed=0.1, violations=0.1), 1, live=False)
    for block, records in blocks:
        merged, labels = injector.inject(Records(*(list(column) for column in vars(records).values())), block.arrival)
        kept = [value for place, value in enumerate(merged.values) if labels.get(place, Label(None)).fault is None]
        assert kept == records.values


def test_the_same_run_gets_the_same_faults() -> None:
    shares = Shares(0.05, 0.05, 0.02, 0.02, 0.02, 0.1, 0.02, 0.05)
    assert sent(shares, 0, 3) == sent(shares, 0, 3)


def test_malformed_values_are_what_their_names_say() -> None:
    good = next(value for topic, _, value, _ in sent(Shares(), 0, 1) if topic == "product_views") or b""
    made = {name: value for name, value, _ in malformed(json.loads(good))}
    assert made["empty"] == b""
    assert made["tombstone"] is None
    assert len(made["too_large"] or b"") == MIB
    with pytest.raises(UnicodeDecodeError):
        (made["not_utf8"] or b"").decode()
    assert b"[" * 1000 in (made["too_deep"] or b"")


def test_the_event_id_stands_where_it_is_looked_for(mixed: list[Row]) -> None:
    for topic, _, value, label in mixed[::50]:
        if label.fault is None and value:
            assert json.loads(value)["event_id"] == value[EVENT_ID_PLACE].decode(), topic


def test_thirds_of_a_cent_are_written_as_asked() -> None:
    document = {"price": 1.0, "products": [{"price": 1.0}], "total_amount": 1.0}
    tokens = set()
    for violation in violations(TRANSACTION):
        if violation.code == "too_many_decimals.total_amount":
            changed = dict(document)
            violation.change(changed)
            tokens.add(encode(changed).rsplit(b":", 1)[1])
    assert tokens == {b"12.345}", b"12.340}"}


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ({"late": 1.5}, "--late is 1.5"),
        ({"extra_fields": -0.1}, "--extra-fields is -0.1"),
        ({"late": 0.6, "skew": 0.6}, "add up to 1.2"),
        ({"duplicates": float("nan")}, "--duplicates is nan"),
    ],
)
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float], text: str) -> None:
    with pytest.raises(FaultShareError, match=text):
        Shares(**shares)


def test_held_back_records_come_when_their_time_has_come() -> None:
    injector = Injector(Shares(duplicates=1.0), 3, live=True)
    value = b'{"event_id":"00000000-0000-4000-8000-000000000000","event_type":"x","schema_version":1,"timestamp":"2026-05-29T00:00:00.000Z"}'
    first, labels = injector.inject(Records([1], [0], [b"U0000001"], [value]), np.array([0]))
    rest, rest_labels = injector.rest()
    assert [*first.values, *rest.values] == [value, value]
    assert labels[0].fault is None
    assert [label.fault for label in rest_labels.values()] == ["duplicate"]


def test_a_jump_to_another_country_is_over_when_the_history_is() -> None:
    source = Source(
        history(3_600.0, parse_start("2026-05-29T20:00:00Z"), scale=0.3, shares=Shares(anomalies=0.2)), PARTITIONS
    )
    made = [source.records(block) for block in source.blocks()]
    made.append(source.rest())
    ends = [
        label.at_ms for _, labels in made for label in labels.values() if label.fault == "anomaly:impossible_travel"
    ]
    assert len(ends) > 10
    assert max(at for at in ends if at) <= parse_start("2026-05-29T21:00:01Z")
