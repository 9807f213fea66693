"""The judge: names every rule that one record breaks, on its tokens. Pure and slow; Spark passes the clean records by.

`lakehouse.transforms.parse` accepts what is plainly right; whatever it hesitates at comes here. Tests hold the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import (
    EARLIEST_TIME,
    FUTURE_TOLERANCE_MINUTES,
    INT32_MAX,
    TIME_PATTERN,
    UUID_PATTERN,
    Contract,
    Field,
    Kind,
)
from lakehouse.contracts.document import BrokenDocumentError, NumberToken, read_object
from lakehouse.contracts.rules import rules_of

_NUMERIC_TEXT = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
_PATTERNS = {
    Kind.UUID: re.compile(UUID_PATTERN.replace("$", r"\Z")),
    Kind.TIME: re.compile(TIME_PATTERN.replace("$", r"\Z")),
}
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_EARLIEST = datetime.strptime(EARLIEST_TIME, _TIME_FORMAT).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Verdict:
    """What the judge found. `codes` are sorted rule ids; `cleaned` is the record with its known fields alone,
    as JSON, where nothing is broken."""

    codes: tuple[str, ...]
    cleaned: bytes | None = None


def judge(contract: Contract, value: bytes | None, kafka_at: datetime, too_old_days: int | None = None) -> Verdict:
    """Judge the raw `value` that Kafka stamped at `kafka_at` (aware, UTC)."""
    try:
        document = read_object(value)
    except BrokenDocumentError as error:
        return Verdict((error.code,))
    codes = set(_field_codes(contract.fields, document, ""))
    codes |= set(_time_codes(document, kafka_at, too_old_days))
    if contract.sum_field and not any(_touches_the_sum(contract, code) for code in codes):
        codes |= set(_sum_codes(contract, document))
    if codes:
        return Verdict(tuple(sorted(codes)))
    return Verdict((), cleaned=_clean(contract, document))


def explain(contract: Contract, codes: tuple[str, ...] | list[str]) -> str:
    """The reasons behind `codes` in words, in one sentence."""
    reasons = _reasons(contract.topic)
    return "; ".join(reasons.get(code, code) for code in codes)


@cache
def _reasons(topic: str) -> dict[str, str]:
    return {rule.id: rule.reason for rule in rules_of(CONTRACTS[topic])}


def _field_codes(fields: tuple[Field, ...], document: dict[str, Any], prefix: str) -> Iterator[str]:
    for item in fields:
        value = document.get(item.name)
        name = prefix + item.name
        if value is None:
            if item.required:
                yield f"missing.{name}"
        elif item.kind in _PATTERNS or item.kind is Kind.TEXT:
            yield from _text_codes(item, value, name)
        elif item.kind is Kind.TEXTS:
            if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
                yield f"wrong_type.{name}"
        elif item.kind is Kind.LINES:
            yield from _line_codes(item, value, name)
        else:
            yield from _number_codes(item, value, name)


def _text_codes(item: Field, value: Any, name: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"wrong_type.{name}"
    elif value == "":
        yield f"empty.{name}"
    elif item.values and value not in item.values:
        yield f"unknown_value.{name}"
    elif item.kind in _PATTERNS and not _is_well_formed(item.kind, value):
        yield f"bad_format.{name}"


def _is_well_formed(kind: Kind, value: str) -> bool:
    return _time(value) is not None if kind is Kind.TIME else bool(_PATTERNS[kind].match(value))


def _line_codes(item: Field, value: Any, name: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"wrong_type.{name}"
    elif not value:
        yield f"empty.{name}"
    else:
        for line in value:
            if isinstance(line, dict):
                yield from _field_codes(item.fields, line, f"{name}.")
            else:
                yield f"wrong_type.{name}"


def _number_codes(item: Field, value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str):
        yield f"number_as_text.{name}" if _NUMERIC_TEXT.match(value) else f"wrong_type.{name}"
        return
    if not isinstance(value, NumberToken) or (item.kind is Kind.INTEGER and value.is_finite and not value.is_integer):
        yield f"wrong_type.{name}"
        return
    if not value.is_finite:
        yield "not_finite"
        return
    if item.kind is Kind.MONEY and value.decimals is None:
        yield f"wrong_type.{name}"
        return
    if item.kind is Kind.MONEY and (value.decimals or 0) > 2:
        yield f"too_many_decimals.{name}"
    number = Decimal(value.text)
    low = item.minimum if item.minimum is not None else -INT32_MAX - 1
    high = item.maximum if item.maximum is not None else INT32_MAX
    if not low <= number <= high:
        yield f"unknown_value.{name}" if item.name == "schema_version" else f"out_of_range.{name}"


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _PATTERNS[Kind.TIME].match(value):
        return None
    try:
        return datetime.strptime(value, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _time_codes(document: dict[str, Any], kafka_at: datetime, too_old_days: int | None) -> Iterator[str]:
    at = _time(document.get("timestamp"))
    if at is None:
        return
    if at > kafka_at + timedelta(minutes=FUTURE_TOLERANCE_MINUTES):
        yield "future.timestamp"
    elif at < _EARLIEST:
        yield "out_of_range.timestamp"
    elif too_old_days is not None and at < kafka_at - timedelta(days=too_old_days):
        yield "too_old.timestamp"


def _touches_the_sum(contract: Contract, code: str) -> bool:
    """A sum over numbers that are broken themselves says nothing."""
    field = code.partition(".")[2].split(".")[0]
    return field in ("", contract.sum_field, contract.lines and contract.lines.name)


def _sum_codes(contract: Contract, document: dict[str, Any]) -> Iterator[str]:
    lines = document[contract.lines.name] if contract.lines else []
    total = sum(Decimal(line["price"].text) * int(line["quantity"].text) for line in lines)
    if contract.sum_field and total != Decimal(document[contract.sum_field].text):
        yield f"sum_mismatch.{contract.sum_field}"


def _clean(contract: Contract, document: dict[str, Any]) -> bytes:
    """The known fields as canonical JSON, number tokens unchanged."""
    return _known(contract.fields, document).encode()


def _known(fields: tuple[Field, ...], document: dict[str, Any]) -> str:
    members = []
    for item in fields:
        value = document.get(item.name)
        if value is None:
            continue
        if isinstance(value, NumberToken):
            text = value.text
        elif item.kind is Kind.LINES:
            text = "[" + ",".join(_known(item.fields, line) for line in value) + "]"
        else:
            text = json.dumps(value, ensure_ascii=False)
        members.append(f'"{item.name}":{text}')
    return "{" + ",".join(members) + "}"
