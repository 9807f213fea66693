"""The repair rules: small declarative changes of one record, each written as `name` or `name:argument`. Pure.

A rule touches only what it names, and only where it fits; whatever it leaves is judged by the contract as it is.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.document import NumberToken
from lakehouse.errors import GlobalMartError
from lakehouse.quarantine.document import Draft, KeepKey, dump, read_draft, read_value
from lakehouse.quarantine.positions import Position

_NAMESPACE = uuid.UUID("6f1d5a52-8a0b-5f0e-9d4e-3c1f0b7a2e64")
_NUMBER = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)\s*$")
_CENT = Decimal("0.01")

RULES = {
    "rename": ("OLD=NEW", "give a field its right name, where the new one is absent"),
    "set": ("FIELD=VALUE", "give a field this value, whatever it was; VALUE is JSON, or else text"),
    "default": ("FIELD=VALUE", "as set, where the field is absent or null"),
    "drop": ("FIELD", "take a field out"),
    "number": ("FIELD", "a number written as text becomes a number"),
    "text": ("FIELD", "a number becomes text"),
    "round": ("FIELD", "a number gets two decimals, half a cent up"),
    "trim": ("FIELD", "a number gets two decimals, the others cut off"),
    "map": ("FIELD=OLD>NEW", "text that is OLD becomes NEW"),
    "utc": (
        "FIELD",
        "a time in another ISO 8601 spelling is written as the contract wants it; without a zone it counts as UTC",
    ),
    "total": ("", "a transaction's total_amount becomes the sum of quantity x price over its lines"),
    "new-id": ("FIELD", "a new id, made from the record's position, so that it is always the same one"),
    "strip-trailing": ("", "text behind the object is cut off"),
    "keep-key": ("first|last", "of a key that an object has twice, this one counts"),
    "as-is": ("", "nothing: the record is played again as it was, such as after a contract has changed"),
}
"""Name of each rule: how its argument is written, and what it does."""
_BARE = {name for name, (argument, _) in RULES.items() if not argument}


class RuleError(GlobalMartError):
    """A repair rule is not one of RULES or its argument is not as it must be."""


@dataclass(frozen=True)
class Rule:
    name: str
    field: str = ""
    argument: str = ""

    def __str__(self) -> str:
        separator = "=" if self.argument else ""
        return f"{self.name}:{self.field}{separator}{self.argument}" if self.field else self.name

    @staticmethod
    def parse(text: str) -> Rule:
        """A rule as people write it. Raises RuleError."""
        name, _, rest = text.strip().partition(":")
        form = RULES.get(name)
        if form is None:
            raise RuleError(f"There is no repair rule {name!r}: there are {', '.join(RULES)}.")
        field, _, argument = rest.partition("=")
        wants_argument = "=" in form[0]
        right = (not rest) if name in _BARE else bool(field) and bool(argument) == wants_argument
        if name == "map":
            right = right and argument.count(">") == 1
        if name == "keep-key":
            right = field in ("first", "last")
        if name == "rename":
            right = right and "." not in argument
        if not right:
            raise RuleError(f"The repair rule {text!r} is written {name}{':' if form[0] else ''}{form[0]}.")
        return Rule(name, field, argument)


@dataclass(frozen=True)
class Change:
    """What is done to each record of a repair: rules in their order, or one merge patch (RFC 7396)."""

    rules: tuple[Rule, ...] = ()
    patch: Any = None

    @property
    def replays_unchanged(self) -> bool:
        return any(rule.name == "as-is" for rule in self.rules)

    def apply(self, value: bytes | None, position: Position) -> bytes:
        """The repaired value. Raises UnreadableError where the rules cannot be applied to it; a patch takes the place of such a value."""
        if self.patch is not None:
            return _patched(value, self.patch)
        draft = read_draft(value, self._keep_key())
        for rule in self.rules:
            _APPLY[rule.name](draft, rule, position)
        return draft.to_bytes()

    def _keep_key(self) -> KeepKey | None:
        kept = [rule.field for rule in self.rules if rule.name == "keep-key"]
        return ("first" if kept[-1] == "first" else "last") if kept else None

    def describe(self) -> list[str]:
        """The change as it goes into the books of decisions."""
        return [str(rule) for rule in self.rules] if self.patch is None else [f"patch {dump(self.patch)}"]


def parse_rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    return tuple(Rule.parse(text) for text in texts)


def _patched(value: bytes | None, patch: Any) -> bytes:
    try:
        draft = read_draft(value, "last")
    except ValueError:
        draft = Draft({})
    return Draft(_merge(draft.document, patch)).to_bytes()


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396: null takes a member out, an object goes into the object below, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


def _places(document: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """(object, name of its member) for `path`; `products.price` means the price in every line. Whether it is there is not asked."""
    *parents, name = path.split(".")
    found: list[Any] = [document]
    for parent in parents:
        below = [item.get(parent) for item in found if isinstance(item, dict)]
        found = [part for item in below for part in (item if isinstance(item, list) else [item])]
    for item in found:
        if isinstance(item, dict):
            yield item, name


def _value(text: str) -> Any:
    try:
        return read_value(text)
    except json.JSONDecodeError:
        return text


def _rename(draft: Draft, rule: Rule, _: Position) -> None:
    for item, old in _places(draft.document, rule.field):
        if old in item and item.get(rule.argument) is None:
            item[rule.argument] = item.pop(old)


def _set(draft: Draft, rule: Rule, _: Position) -> None:
    for item, name in _places(draft.document, rule.field):
        if rule.name == "set" or item.get(name) is None:
            item[name] = _value(rule.argument)


def _drop(draft: Draft, rule: Rule, _: Position) -> None:
    for item, name in _places(draft.document, rule.field):
        item.pop(name, None)


def _map(draft: Draft, rule: Rule, _: Position) -> None:
    old, new = rule.argument.split(">")
    for item, name in _places(draft.document, rule.field):
        if item.get(name) == old:
            item[name] = new


def _new_id(draft: Draft, rule: Rule, position: Position) -> None:
    for item, name in _places(draft.document, rule.field):
        item[name] = str(uuid.uuid5(_NAMESPACE, f"{position}/{rule.field}"))


def _total(draft: Draft, _rule: Rule, position: Position) -> None:
    contract = CONTRACTS[position.topic]
    if contract.sum_field is None or contract.lines is None:
        return
    lines = draft.document.get(contract.lines.name)
    try:
        total = sum((Decimal(line["price"].text) * Decimal(line["quantity"].text) for line in lines or ()), Decimal(0))
    except (AttributeError, KeyError, TypeError, InvalidOperation):
        return  # the parts are broken themselves: the judge names them
    draft.document[contract.sum_field] = NumberToken(f"{total:f}", False)


def _strip_trailing(draft: Draft, _rule: Rule, _position: Position) -> None:
    draft.trailing = ""


def _nothing(_draft: Draft, _rule: Rule, _position: Position) -> None:
    """The rule has done its work in reading, or has none."""


def _each(convert: Callable[[Any], Any]) -> Callable[[Draft, Rule, Position], None]:
    """A rule that converts a field's value where it is there; `convert` returns what it cannot convert as it is."""

    def apply(draft: Draft, rule: Rule, _: Position) -> None:
        for item, name in _places(draft.document, rule.field):
            if item.get(name) is not None:
                item[name] = convert(item[name])

    return apply


def _to_number(value: Any) -> Any:
    if not isinstance(value, str) or not _NUMBER.match(value):
        return value
    text = f"{Decimal(value.strip()):f}"
    return NumberToken(text, "." not in text)


def _to_text(value: Any) -> Any:
    return value.text if isinstance(value, NumberToken) else value


def _to_cents(rounding: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, NumberToken) or (value.decimals or 0) <= 2:
            return value
        return NumberToken(f"{Decimal(value.text).quantize(_CENT, rounding=rounding):f}", False)

    return convert


def _to_utc(value: Any) -> Any:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


_APPLY: dict[str, Callable[[Draft, Rule, Position], None]] = {
    "rename": _rename,
    "set": _set,
    "default": _set,
    "drop": _drop,
    "number": _each(_to_number),
    "text": _each(_to_text),
    "round": _each(_to_cents(ROUND_HALF_UP)),
    "trim": _each(_to_cents(ROUND_DOWN)),
    "map": _map,
    "utc": _each(_to_utc),
    "total": _total,
    "new-id": _new_id,
    "strip-trailing": _strip_trailing,
    "keep-key": _nothing,
    "as-is": _nothing,
}
