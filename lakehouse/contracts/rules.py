"""The rules: every way a record can break its contract, with id, reason in words and severity.

A rule about the record as a whole has its kind as id (`not_json`); one about a field adds the field (`missing.user_id`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lakehouse.contracts.base import MAX_VALUE_BYTES, Contract, Field, Kind

Severity = Literal["error", "warning"]

RECORD_RULES = {
    "empty": "the value is empty",
    "too_large": f"the value is longer than {MAX_VALUE_BYTES} bytes",
    "not_utf8": "the value is not UTF-8 text, or escapes half of a surrogate pair",
    "not_json": "the value is not JSON",
    "not_object": "the value is JSON but not an object",
    "too_deep": "the value is nested too deeply to be read",
    "not_finite": "a number is NaN, infinite, or too large for any number type",
    "duplicate_key": "an object has the same key twice",
    "trailing_text": "text follows the object",
}
FIELD_RULES = {
    "missing": "{field} is absent or null",
    "wrong_type": "{field} is not {kind}",
    "number_as_text": "{field} is a number written as text",
    "too_many_decimals": "{field} has more than two decimals",
    "unknown_value": "{field} is not one of {values}",
    "out_of_range": "{field} is outside {limits}",
    "bad_format": "{field} is not {kind}",
    "empty": "{field} is empty",
}
TIME_RULES = {
    "future.timestamp": "timestamp lies more than 10 minutes ahead of the record's Kafka time",
    "too_old.timestamp": "timestamp lies further back than the platform's setting allows",
}
ORDER_RULES = {
    "conflict.event_id": "another record with this event_id and other fields came first",
    "conflict.transaction_id": "another record with this transaction_id and other fields came first",
}
WARNING_RULES = {
    "unknown_field": "the record has a field that its contract does not know; it is kept in bronze",
}

KIND_WORDS = {
    Kind.TEXT: "a string",
    Kind.UUID: "a UUID",
    Kind.TIME: "a time like 2026-03-14T09:26:53.589Z",
    Kind.INTEGER: "an integer",
    Kind.MONEY: "a number with at most two decimals",
    Kind.NUMBER: "a number",
    Kind.TEXTS: "an array of strings",
    Kind.LINES: "an array of objects",
}
_STRINGS = (Kind.TEXT, Kind.UUID, Kind.TIME)
_NUMBERS = (Kind.INTEGER, Kind.MONEY, Kind.NUMBER)


@dataclass(frozen=True)
class Rule:
    id: str
    reason: str
    severity: Severity


def rules_of(contract: Contract) -> list[Rule]:
    """Every rule that can be broken by a record of `contract`, each id once."""
    rules = [Rule(code, reason, "error") for code, reason in (RECORD_RULES | TIME_RULES).items()]
    for item in contract.fields:
        rules += _field_rules(item, "")
    if contract.sum_field:
        rules.append(
            Rule(
                f"sum_mismatch.{contract.sum_field}",
                f"{contract.sum_field} is not the sum of quantity x price",
                "error",
            )
        )
    ids = {"event_id", contract.business_id}
    rules += [Rule(code, reason, "error") for code, reason in ORDER_RULES.items() if code.split(".")[1] in ids]
    rules += [Rule(code, reason, "warning") for code, reason in WARNING_RULES.items()]
    return rules


def _field_rules(item: Field, prefix: str) -> Iterator[Rule]:
    name = prefix + item.name
    for kind in _kinds(item):
        reason = FIELD_RULES[kind].format(
            field=name,
            kind=KIND_WORDS[item.kind],
            values=", ".join(item.values),
            limits=f"{item.minimum} to {item.maximum}" if item.minimum is not None else "the times since the year 2000",
        )
        yield Rule(f"{kind}.{name}", reason, "error")
    for part in item.fields:
        yield from _field_rules(part, f"{name}.")


def _kinds(item: Field) -> list[str]:
    """Which of FIELD_RULES apply to a field of this kind."""
    kinds = ["missing"] if item.required else []
    kinds.append("wrong_type")
    if item.kind in _NUMBERS:
        kinds += ["number_as_text", "out_of_range"]
        if item.name == "schema_version":
            kinds.append("unknown_value")
            kinds.remove("out_of_range")
    if item.kind is Kind.MONEY:
        kinds.append("too_many_decimals")
    if item.kind in _STRINGS:
        kinds.append("empty")
    if item.kind in (Kind.UUID, Kind.TIME):
        kinds.append("bad_format")
    if item.name == "timestamp":
        kinds.append("out_of_range")
    if item.kind is Kind.LINES:
        kinds.append("empty")
    if item.values:
        kinds.append("unknown_value")
    return kinds
