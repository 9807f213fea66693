"""The judge names exactly the broken rules, and passes what is right."""

import json

import pytest
from corpus import BROKEN, RIGHT
from records import KAFKA_AT, text

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import explain, judge
from lakehouse.contracts.rules import rules_of


@pytest.mark.parametrize(("topic", "value", "codes"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken_record_gets_exactly_its_rules(topic, value, codes):
    verdict = judge(CONTRACTS[topic], value, KAFKA_AT)
    assert list(verdict.codes) == codes
    assert verdict.cleaned is None


@pytest.mark.parametrize(("topic", "value"), [case[1:] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_right_record_is_cleaned_and_still_right(topic, value):
    verdict = judge(CONTRACTS[topic], value, KAFKA_AT)
    assert verdict.codes == ()
    assert judge(CONTRACTS[topic], verdict.cleaned, KAFKA_AT) == verdict
    known = {item.name for item in CONTRACTS[topic].fields}
    kept = {name: v for name, v in json.loads(value).items() if name in known and v is not None}
    assert json.loads(verdict.cleaned) == kept


def test_every_code_is_a_rule_of_its_contract_with_words():
    for _, topic, _, codes in BROKEN:
        ids = {rule.id for rule in rules_of(CONTRACTS[topic])}
        assert set(codes) <= ids
        words = explain(CONTRACTS[topic], codes)
        assert words
        assert not any(code in words.split("; ") for code in codes)


def test_every_kind_of_rule_is_in_the_corpus():
    """`missing.user_id` is of the kind `missing`; conflicts and the too-old setting have tests of their own."""
    covered = {code.split(".")[0] for case in BROKEN for code in case[3]}
    kinds = {rule.id.split(".")[0] for c in CONTRACTS.values() for rule in rules_of(c) if rule.severity == "error"}
    assert kinds - covered == {"conflict", "too_old"}


def test_rule_ids_are_unique_per_contract():
    for contract in CONTRACTS.values():
        ids = [rule.id for rule in rules_of(contract)]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("time", "days", "codes"),
    [
        ("2026-03-07T10:00:00.000Z", 7, ()),
        ("2026-03-07T09:59:59.999Z", 7, ("too_old.timestamp",)),
        ("2026-03-07T09:59:59.999Z", None, ()),
    ],
)
def test_too_old_follows_the_setting(time, days, codes):
    assert judge(CONTRACTS["product_views"], text("product_views", timestamp=time), KAFKA_AT, days).codes == codes
