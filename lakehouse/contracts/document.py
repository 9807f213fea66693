"""Reading one value as strictly as JSON is written: every way in which it is not one clean object gets its rule id.

Numbers stay tokens, so that `12.340` still has three decimals and `1e2` still has its exponent when they are judged.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from lakehouse.contracts.base import MAX_VALUE_BYTES

MAX_DEPTH = 500  # levels; the variant parser stops at 1,000


@dataclass(frozen=True)
class NumberToken:
    """A JSON number as written. `is_integer` is about the token: `1.0` is not one."""

    text: str
    is_integer: bool

    @property
    def decimals(self) -> int | None:
        """Digits after the point; None for a token with an exponent."""
        if "e" in self.text or "E" in self.text:
            return None
        return len(self.text.partition(".")[2])

    @property
    def is_finite(self) -> bool:
        return math.isfinite(float(self.text))


class BrokenDocumentError(ValueError):
    """The value is not one JSON object; `code` is the rule that says how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BrokenDocumentError("duplicate_key")
    return members


def _not_finite(_: str) -> Any:
    raise BrokenDocumentError("not_finite")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=lambda text: NumberToken(text, False),
    parse_int=lambda text: NumberToken(text, True),
    parse_constant=_not_finite,
)
_SPACE = " \t\r\n"


def read_object(value: bytes | None) -> dict[str, Any]:
    """The object in `value`, numbers as NumberToken. Raises BrokenDocumentError with the rule's id."""
    if value is None or not value.strip():
        raise BrokenDocumentError("empty")
    if len(value) > MAX_VALUE_BYTES:
        raise BrokenDocumentError("too_large")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise BrokenDocumentError("not_utf8") from None
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        document, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise BrokenDocumentError("too_deep") from None
    except json.JSONDecodeError:
        raise BrokenDocumentError("not_json") from None
    if _depth_exceeds(document, MAX_DEPTH):
        raise BrokenDocumentError("too_deep")
    if text[end:].strip(_SPACE):
        raise BrokenDocumentError("trailing_text")
    if not isinstance(document, dict):
        raise BrokenDocumentError("not_object")
    _check_strings(document)
    return document


def _depth_exceeds(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def _check_strings(document: Any) -> None:
    """An escaped half of a surrogate pair is no text: it could not be stored as UTF-8."""
    todo = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise BrokenDocumentError("not_utf8") from None
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
