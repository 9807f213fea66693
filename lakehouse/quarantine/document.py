"""Reading a broken value as far as it can be read, and writing it again with every number token as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.contracts.document import NumberToken

KeepKey = Literal["first", "last"]
_SPACE = " \t\r\n"


class UnreadableError(ValueError):
    """The value is no object, so that no rule can be applied to it; the message says why in words."""


@dataclass
class Draft:
    """A value being repaired. `trailing` is the text behind the object; both are written again unless a rule changes them."""

    document: dict[str, Any]
    trailing: str = ""

    def to_bytes(self) -> bytes:
        """Raises UnreadableError for a document that is nested too deeply to be written."""
        try:
            return (dump(self.document) + self.trailing).encode()
        except RecursionError:
            raise UnreadableError("it is nested too deeply to be written again") from None
        except UnicodeEncodeError:
            raise UnreadableError("it escapes half of a surrogate pair") from None


def read_draft(value: bytes | None, keep_key: KeepKey | None = None) -> Draft:
    """The object at the start of `value`. Of a key that comes twice `keep_key` says which counts. Raises UnreadableError."""
    try:
        text = (value or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8 text") from None
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        document, end = _decoder(keep_key).raw_decode(text, start)
    except RecursionError:
        raise UnreadableError("it is nested too deeply to be read") from None
    except json.JSONDecodeError:
        raise UnreadableError("it is not JSON" if text.strip() else "it is empty") from None
    if not isinstance(document, dict):
        raise UnreadableError("it is JSON but not an object")
    return Draft(document, text[end:].rstrip(_SPACE))


def read_value(text: str) -> Any:
    """One JSON value, numbers as tokens. Raises json.JSONDecodeError."""
    value, end = _decoder("last").raw_decode(text, len(text) - len(text.lstrip(_SPACE)))
    if text[end:].strip(_SPACE):
        raise json.JSONDecodeError("text follows the value", text, end)
    return value


def dump(value: Any) -> str:
    """A document as JSON, number tokens unchanged."""
    if isinstance(value, NumberToken):
        return value.text
    if isinstance(value, dict):
        return (
            "{"
            + ",".join([f"{json.dumps(name, ensure_ascii=False)}:{dump(item)}" for name, item in value.items()])
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join([dump(item) for item in value]) + "]"
    return json.dumps(value, ensure_ascii=False)


def _decoder(keep_key: KeepKey | None) -> json.JSONDecoder:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs) and keep_key is None:
            raise UnreadableError("an object has the same key twice")
        return dict(reversed(pairs)) if keep_key == "first" else found

    return json.JSONDecoder(
        object_pairs_hook=members,
        parse_float=lambda text: NumberToken(text, False),
        parse_int=lambda text: NumberToken(text, True),
        parse_constant=lambda text: NumberToken(text, False),
    )
