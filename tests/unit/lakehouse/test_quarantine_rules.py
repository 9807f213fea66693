"""Repair rules: what each changes, that it changes nothing else, and that tokens stay as they were written."""

import json
from uuid import UUID

import pytest
from records import text, valid

from lakehouse.contracts import CONTRACTS
from lakehouse.quarantine.document import UnreadableError, read_draft
from lakehouse.quarantine.positions import Position, PositionError
from lakehouse.quarantine.rules import RULES, Change, Rule, RuleError, parse_rules

PLACE = Position("transactions", 1, 42)
LINES = [{"product_id": "p1", "quantity": "2", "price": "19.999"}, {"product_id": "p2", "quantity": 1, "price": 5}]


def repaired(value: bytes | None, *rules: str) -> bytes:
    return Change(parse_rules(rules)).apply(value, PLACE)


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("rename:usr_id=user_id", b'{"usr_id":"u1"}', b'{"user_id":"u1"}'),
        ("rename:usr_id=user_id", b'{"usr_id":"u1","user_id":"u2"}', b'{"usr_id":"u1","user_id":"u2"}'),
        ("rename:usr_id=user_id", b'{"usr_id":"u1","user_id":null}', b'{"user_id":"u1"}'),
        ("set:country=DE", b'{"country":"FR"}', b'{"country":"DE"}'),
        ("set:quantity=1", b"{}", b'{"quantity":1}'),
        ("set:preferences=[]", b"{}", b'{"preferences":[]}'),
        ("default:device=unknown", b'{"device":null}', b'{"device":"unknown"}'),
        ("default:device=unknown", b'{"device":"tv"}', b'{"device":"tv"}'),
        ("drop:cart_id", b'{"cart_id":7,"a":1.50}', b'{"a":1.50}'),
        ("number:price", b'{"price":" 12.340 "}', b'{"price":12.340}'),
        ("number:price", b'{"price":"+7"}', b'{"price":7}'),
        ("number:price", b'{"price":"free"}', b'{"price":"free"}'),
        ("number:price", b'{"price":"1e3"}', b'{"price":"1e3"}'),
        ("text:user_id", b'{"user_id":12345}', b'{"user_id":"12345"}'),
        ("text:user_id", b'{"user_id":true}', b'{"user_id":true}'),
        ("round:price", b'{"price":12.345}', b'{"price":12.35}'),
        ("round:price", b'{"price":12.3}', b'{"price":12.3}'),
        ("trim:price", b'{"price":12.349}', b'{"price":12.34}'),
        ("map:country=us>US", b'{"country":"us"}', b'{"country":"US"}'),
        ("map:country=us>US", b'{"country":"de"}', b'{"country":"de"}'),
        ("utc:at", b'{"at":"2025-03-01T10:00:00Z"}', b'{"at":"2025-03-01T10:00:00.000Z"}'),
        ("utc:at", b'{"at":"2025-03-01 10:00:00"}', b'{"at":"2025-03-01T10:00:00.000Z"}'),
        ("utc:at", b'{"at":"2025-03-01T10:00:00.123456+02:00"}', b'{"at":"2025-03-01T08:00:00.123Z"}'),
        ("utc:at", b'{"at":"yesterday"}', b'{"at":"yesterday"}'),
        ("utc:at", b'{"at":1700000000000}', b'{"at":1700000000000}'),
        ("strip-trailing", b'{"a":1} and more', b'{"a":1}'),
        ("keep-key:first", b'{"a":1,"a":2}', b'{"a":1}'),
        ("keep-key:last", b'{"a":1,"b":{"c":1,"c":2},"a":2}', b'{"a":2,"b":{"c":2}}'),
        ("as-is", b'{"a":1.10} x', b'{"a":1.10} x'),
    ],
)
def test_a_rule_changes_what_it_names(rule, before, after):
    assert repaired(before, rule) == after


def test_a_path_means_every_line():
    value = text("transactions", products=LINES)
    lines = json.loads(repaired(value, "number:products.quantity", "number:products.price", "trim:products.price"))[
        "products"
    ]
    assert lines == [
        {"product_id": "p1", "quantity": 2, "price": 19.99},
        {"product_id": "p2", "quantity": 1, "price": 5},
    ]


def test_total_is_the_sum_of_the_lines():
    value = text("transactions", total_amount=1, products=[{"product_id": "p", "quantity": 3, "price": 19.99}])
    assert b'"total_amount":59.97' in repaired(value, "total")


def test_total_leaves_broken_lines_to_the_judge():
    value = text("transactions", total_amount=1, products=[{"product_id": "p", "quantity": "three", "price": 1}])
    assert json.loads(repaired(value, "total")) == json.loads(value)


def test_a_new_id_is_a_uuid_and_always_the_same_for_a_position():
    first = json.loads(repaired(text("transactions"), "new-id:event_id"))["event_id"]
    assert first == json.loads(repaired(b"{}", "new-id:event_id"))["event_id"]
    assert str(UUID(first)) == first != valid("transactions")["event_id"]
    elsewhere = Change(parse_rules(["new-id:event_id"])).apply(b"{}", Position("transactions", 1, 43))
    assert json.loads(elsewhere)["event_id"] != first


@pytest.mark.parametrize(
    "value",
    [None, b"", b"hello", b"[1]", b"\xff{}", b'{"a":1,"a":2}', b'{"a":' * 2000],
    ids=["null", "empty", "text", "array", "not utf-8", "key twice", "too deep"],
)
def test_what_is_no_object_is_unreadable_for_rules_and_replaced_by_a_patch(value):
    with pytest.raises(UnreadableError):
        repaired(value, "drop:x")
    patched = Change(patch={"b": {"c": "x"}, "d": None}).apply(value, PLACE)
    assert json.loads(patched)["b"] == {"c": "x"}


def test_a_patch_merges_as_rfc_7396_says():
    change = Change(patch={"a": {"b": None, "c": [1]}, "d": None, "e": "f"})
    assert change.apply(b'{"a":{"b":1.10,"x":2.50},"d":1}', PLACE) == b'{"a":{"x":2.50,"c":[1]},"e":"f"}'


@pytest.mark.parametrize("topic", CONTRACTS)
def test_reading_and_writing_keeps_every_field(topic):
    assert json.loads(read_draft(text(topic)).to_bytes()) == valid(topic)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "shout:x",
        "rename:a",
        "rename:=b",
        "rename:a=b.c",
        "set:a",
        "number",
        "number:a=b",
        "map:a=b",
        "total:x",
        "keep-key:middle",
    ],
)
def test_a_rule_that_is_no_rule_is_refused_in_a_sentence(wrong):
    with pytest.raises(RuleError, match=r"\.$"):
        parse_rules([wrong])


def test_every_rule_is_written_as_it_is_read():
    written = ["rename:a=b", "set:a=1", "default:a=x", "drop:a", "number:a", "text:a", "round:a", "trim:a", "map:a=b>c",
               "utc:a", "total", "new-id:a", "strip-trailing", "keep-key:first", "as-is"]  # fmt: skip
    assert [str(Rule.parse(one)) for one in written] == written
    assert [one.partition(":")[0] for one in written] == list(RULES)


def test_positions_are_read_as_they_are_written():
    assert Position.parse(str(PLACE)) == PLACE
    for wrong in (
        "transactions",
        "transactions/1",
        "orders/1/2",
        "transactions/a/2",
        "transactions/1/-2",
        "transactions/1/2/3",
    ):
        with pytest.raises(PositionError, match="is no position"):
            Position.parse(wrong)
