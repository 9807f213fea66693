"""Ways to break a record: every kind of contract violation on every field that it fits, and bytes that are no record at all.

Each entry names exactly the reason codes that the contracts give it. Nothing here draws chance or knows of streams.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from ingestion.events import CART_EVENT, INVENTORY_EVENT, PRODUCT, PRODUCT_VIEW, TRANSACTION, USER

Document: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Document], None]

MIB = 1024 * 1024
_ABSENT = object()
_RAW = re.compile(rb'"@raw ([^"]*)@"')
_INT32_OVER = 3_000_000_000


@dataclass(frozen=True)
class Violation:
    """One way to break one field. `codes` are sorted; `keeps_time` tells that the event time is still good."""

    code: str
    change: Change
    keeps_time: bool = True


def raw(token: str) -> str:
    """A value that `encode` writes as this very token, such as `12.340`, which no float would keep."""
    return f"@raw {token}@"


def encode(document: Document) -> bytes:
    return _RAW.sub(rb"\1", orjson.dumps(document))


@lru_cache
def violations(kind: int) -> tuple[Violation, ...]:
    """All violations that fit records of this kind."""
    fields: list[Iterator[Violation]] = [
        _values(
            "event_id", wrong_type=(7, True), empty=("",), bad_format=("not-a-uuid", "12345678-1234-1234-1234-12345678")
        ),
        _values("event_type", wrong_type=(1,), empty=("",), unknown_value=("refund", _other_type(kind), "TRANSACTION")),
        _values("schema_version", wrong_type=(True, "one", [1]), number_as_text=("1",), unknown_value=(2, 0, 999)),
        _timestamp(),
    ]
    if kind in (TRANSACTION, PRODUCT_VIEW, CART_EVENT):
        fields += [_text("user_id"), _text("session_id"), _country()]
    if kind in (PRODUCT_VIEW, CART_EVENT, INVENTORY_EVENT, PRODUCT):
        fields.append(_text("product_id"))
    fields += {
        TRANSACTION: [
            _text("transaction_id"),
            _optional_text("cart_id"),
            _payment(),
            _lines(),
            _total(),
            *_line_fields(),
        ],
        PRODUCT_VIEW: [_text("device")],
        CART_EVENT: [
            _text("cart_id"),
            _values("action", wrong_type=(0,), empty=("",), unknown_value=("update", "ADD")),
            _integer("quantity", (0, -2, _INT32_OVER)),
            _money("price"),
        ],
        INVENTORY_EVENT: [
            _integer("change", (_INT32_OVER, -_INT32_OVER)),
            _values("reason", wrong_type=(3,), empty=("",), unknown_value=("theft",)),
        ],
        USER: [
            _text("user_id"),
            _text("email"),
            _integer("age", (-1, 151, 999)),
            _country(),
            _values(
                "registration_date",
                wrong_type=(1700000000000,),
                empty=("",),
                bad_format=("2024-01-31", "2024-01-31 10:00:00"),
            ),
            _values("preferences", wrong_type=("Laptops", [1, 2], {"a": 1})),
        ],
        PRODUCT: [
            _text("name"),
            _text("category"),
            _money("price"),
            _integer("inventory", (-5, _INT32_OVER)),
            _values("ratings", wrong_type=(True, "good"), number_as_text=("4.5",), out_of_range=(5.1, -0.1)),
        ],
    }[kind]
    return tuple(violation for field in fields for violation in field)


def malformed(document: Document) -> Iterator[tuple[str, bytes | None, str]]:
    """(name, value, reason code) of everything that is not a well-formed record, made from a good one."""
    good = encode(document)
    body = good[1:-1]
    yield "not_utf8", good[:-1] + b',"note":"caf\xe9 \xff\xfe"}', "not_utf8"
    yield "not_json", b"order 4711: two lamps, paid in cash", "not_json"
    yield "cut_off", good[: len(good) // 2], "not_json"
    yield "too_deep", good[:-1] + b',"note":' + b"[" * 1000 + b"]" * 1000 + b"}", "too_deep"
    yield "too_deep_objects", b'{"a":' * 1000 + b"1" + b"}" * 1000, "too_deep"
    yield "empty", b"", "empty"
    yield "tombstone", None, "empty"
    padding = b',"note":"'
    yield "too_large", good[:-1] + padding + b"x" * (MIB - len(good) - len(padding) - 1) + b'"}', "too_large"
    for name, token in (("nan", "NaN"), ("infinity", "-Infinity"), ("huge_number", "1e309")):
        yield name, encode({**document, "schema_version": raw(token)}), "not_finite"
    yield "duplicate_key", b'{"event_id":"' + document["event_id"].encode() + b'",' + body + b"}", "duplicate_key"
    yield "duplicate_key_deep", good[:-1] + b',"note":{"a":1,"a":2}}', "duplicate_key"
    yield "trailing_text", good + b" and more", "trailing_text"
    yield "two_objects", good + good, "trailing_text"
    yield "top_level_array", b"[" + good + b"]", "not_object"
    yield "top_level_text", b'"' + document["event_id"].encode() + b'"', "not_object"
    yield "top_level_null", b"null", "not_object"


def _set(path: str, value: Any) -> Change:
    def change(document: Document) -> None:
        *parents, name = path.split(".")
        target: Document = document
        for parent in parents:
            target = target[parent][0]
        if value is _ABSENT:
            target.pop(name, None)
        else:
            target[name] = value

    return change


def _values(path: str, *, optional: bool = False, **broken: tuple[Any, ...]) -> Iterator[Violation]:
    """A violation per value of each rule, and the field absent and null unless it is optional."""
    keeps_time = path != "timestamp"
    if not optional:
        broken = {"missing": (_ABSENT, None), **broken}
    for rule, values in broken.items():
        for value in values:
            yield Violation(f"{rule}.{path}", _set(path, value), keeps_time)


def _text(path: str) -> Iterator[Violation]:
    return _values(path, wrong_type=(12345, True, {"id": 1}), empty=("",))


def _optional_text(path: str) -> Iterator[Violation]:
    return _values(path, optional=True, wrong_type=(12345, ["a"]), empty=("",))


def _country() -> Iterator[Violation]:
    return _values("country", wrong_type=(49,), empty=("",), unknown_value=("FR", "us", "Germany"))


def _payment() -> Iterator[Violation]:
    return _values("payment_method", wrong_type=(1,), empty=("",), unknown_value=("bitcoin", "Credit_Card"))


def _integer(path: str, out_of_range: tuple[int, ...]) -> Iterator[Violation]:
    return _values(
        path, wrong_type=(True, "many", raw("1.5"), [1]), number_as_text=("3", "-1"), out_of_range=out_of_range
    )


def _money(path: str) -> Iterator[Violation]:
    return _values(
        path,
        wrong_type=(True, "free", {"usd": 1}),
        number_as_text=("12.34",),
        too_many_decimals=(raw("12.345"), raw("12.340")),
        out_of_range=(raw("-0.01"), raw("-5.00")),
    )


def _timestamp() -> Iterator[Violation]:
    return _values(
        "timestamp",
        wrong_type=(1700000000000,),
        empty=("",),
        bad_format=(
            "2025-03-01 10:00:00",
            "2025-03-01T10:00:00Z",
            "2025-03-01T10:00:00.000",
            "2025-03-01T10:00:00.000+00:00",
            "2025-03-01T10:00:00.000000Z",
            "2025-02-30T10:00:00.000Z",
            "yesterday",
        ),
        out_of_range=("0001-01-01T00:00:00.000Z", "1999-12-31T23:59:59.999Z"),
        future=("2099-01-01T00:00:00.000Z",),
    )


def _lines() -> Iterator[Violation]:
    return _values("products", wrong_type=("P0000001", {"product_id": "P0000001"}, [7]), empty=([],))


def _line_fields() -> list[Iterator[Violation]]:
    # The sum of an order is judged only where its parts are good, so none of these is a sum mismatch as well.
    return [
        _text("products.product_id"),
        _integer("products.quantity", (0, -1, _INT32_OVER)),
        _money("products.price"),
    ]


def _total() -> Iterator[Violation]:
    yield from _money("total_amount")
    for cents in (1, -1, 100_000):
        yield Violation("sum_mismatch.total_amount", _add_to_total(cents))


def _add_to_total(cents: int) -> Change:
    def change(document: Document) -> None:
        total = round(document["total_amount"] * 100) + cents
        document["total_amount"] = raw(f"{total // 100}.{total % 100:02d}")

    return change


def _other_type(kind: int) -> str:
    return "product_view" if kind != PRODUCT_VIEW else "transaction"
