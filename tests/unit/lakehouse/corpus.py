"""Every way a record can be wrong, with the rule ids that must name it; and odd records that are right all the same."""

from __future__ import annotations

import json
from typing import Any

from records import text, valid

from lakehouse.contracts.base import MAX_VALUE_BYTES

T, V, C, I, U, P = "transactions", "product_views", "cart_events", "inventory_events", "users", "products"  # noqa: E741
_LINE = {"product_id": "p1", "quantity": 2, "price": 19.99}


def raw(topic: str, name: str, token: str) -> bytes:
    """The valid record with the value of `name` replaced by a token as written."""
    record = valid(topic) | {name: "@token@"}
    return json.dumps(record).replace('"@token@"', token).encode()


def line(**changes: Any) -> list[dict[str, Any]]:
    merged = _LINE | changes
    return [{name: value for name, value in merged.items() if value is not ...}]


BROKEN: list[tuple[str, str, bytes | None, list[str]]] = [
    ("tombstone", V, None, ["empty"]),
    ("no bytes", V, b"", ["empty"]),
    ("blanks", V, b"  \n", ["empty"]),
    ("1 MiB of text", V, text(V, device="x" * (1 << 20)), ["too_large"]),
    ("one byte too long", V, text(V) + b" " * (MAX_VALUE_BYTES + 1 - len(text(V))), ["too_large"]),
    ("latin-1", V, text(V).replace(b"mobile", b"caf\xe9"), ["not_utf8"]),
    ("half a surrogate pair", V, text(V, device="\ud83d"), ["not_utf8"]),
    ("plain text", V, b"hello", ["not_json"]),
    ("cut off", V, text(V)[:-20], ["not_json"]),
    ("trailing comma", V, text(V)[:-1] + b",}", ["not_json"]),
    ("single quotes", V, text(V).replace(b'"', b"'"), ["not_json"]),
    ("byte order mark", V, b"\xef\xbb\xbf" + text(V), ["not_json"]),
    ("array", V, b"[" + text(V) + b"]", ["not_object"]),
    ("number", V, b"1", ["not_object"]),
    ("null", V, b"null", ["not_object"]),
    ("1,000 arrays deep", V, raw(V, "device", "[" * 1000 + "]" * 1000), ["too_deep"]),
    ("1,000 objects deep in an extra field", V, raw(V, "extra", '{"a":' * 1000 + "1" + "}" * 1000), ["too_deep"]),
    ("NaN", T, raw(T, "total_amount", "NaN"), ["not_finite"]),
    ("Infinity in an extra field", T, raw(T, "extra", "-Infinity"), ["not_finite"]),
    ("1e309", T, raw(T, "total_amount", "1e309"), ["not_finite"]),
    ("key twice", V, text(V)[:-1] + b',"device":"mobile"}', ["duplicate_key"]),
    ("key twice, inside", V, raw(V, "extra", '{"a":1,"a":1}'), ["duplicate_key"]),
    ("text after the object", V, text(V) + b" trailing", ["trailing_text"]),
    ("two objects", V, text(V) + text(V), ["trailing_text"]),
    ("bracket after the object", V, text(V) + b"]", ["trailing_text"]),
    ("bracket and more after the object", V, text(V) + b",0] x", ["trailing_text"]),
    ("comma and object after the object", V, text(V) + b",{}", ["trailing_text"]),
    ("no event_id", V, text(V, event_id=...), ["missing.event_id"]),
    ("null event_id", V, text(V, event_id=None), ["missing.event_id"]),
    ("event_id no UUID", V, text(V, event_id="42"), ["bad_format.event_id"]),
    ("event_id with a line break", V, text(V, event_id=valid(V)["event_id"] + "\n"), ["bad_format.event_id"]),
    ("unknown type", V, text(V, event_type="click"), ["unknown_value.event_type"]),
    ("type of another topic", V, text(V, event_type="user"), ["unknown_value.event_type"]),
    ("no type", V, text(V, event_type=...), ["missing.event_type"]),
    ("unknown version", V, text(V, schema_version=2), ["unknown_value.schema_version"]),
    ("version with a point", V, raw(V, "schema_version", "1.0"), ["wrong_type.schema_version"]),
    ("version as text", V, text(V, schema_version="1"), ["number_as_text.schema_version"]),
    ("time without milliseconds", V, text(V, timestamp="2026-03-14T09:26:53Z"), ["bad_format.timestamp"]),
    ("time with an offset", V, text(V, timestamp="2026-03-14T09:26:53.589+00:00"), ["bad_format.timestamp"]),
    ("30 February", V, text(V, timestamp="2026-02-30T09:26:53.589Z"), ["bad_format.timestamp"]),
    ("time as a number", V, text(V, timestamp=1773480413), ["wrong_type.timestamp"]),
    ("dated 2099", V, text(V, timestamp="2099-01-01T00:00:00.000Z"), ["future.timestamp"]),
    ("a millisecond too far ahead", V, text(V, timestamp="2026-03-14T10:10:00.001Z"), ["future.timestamp"]),
    ("dated year 1", V, text(V, timestamp="0001-01-01T00:00:00.000Z"), ["out_of_range.timestamp"]),
    ("no user", V, text(V, user_id=...), ["missing.user_id"]),
    ("empty user", V, text(V, user_id=""), ["empty.user_id"]),
    ("user a number", V, text(V, user_id=7), ["wrong_type.user_id"]),
    ("unknown country", V, text(V, country="FR"), ["unknown_value.country"]),
    ("country in small letters", V, text(V, country="de"), ["unknown_value.country"]),
    ("two things wrong", V, text(V, country="FR", device=None), ["missing.device", "unknown_value.country"]),
    ("third decimal", T, raw(T, "total_amount", "39.981"), ["too_many_decimals.total_amount"]),
    ("third decimal 0", T, raw(T, "total_amount", "39.980"), ["too_many_decimals.total_amount"]),
    ("amount as text", T, text(T, total_amount="39.98"), ["number_as_text.total_amount"]),
    ("amount in words", T, text(T, total_amount="much"), ["wrong_type.total_amount"]),
    ("amount with an exponent", T, raw(T, "total_amount", "3998e-2"), ["wrong_type.total_amount"]),
    ("amount too large", T, raw(T, "total_amount", "1" * 17), ["out_of_range.total_amount"]),
    ("negative amount", T, text(T, total_amount=-1), ["out_of_range.total_amount"]),
    ("amount is not the sum", T, text(T, total_amount=39.97), ["sum_mismatch.total_amount"]),
    ("unknown payment", T, text(T, payment_method="cash"), ["unknown_value.payment_method"]),
    ("no lines", T, text(T, products=[]), ["empty.products"]),
    ("lines no array", T, text(T, products={}), ["wrong_type.products"]),
    ("a line no object", T, text(T, products=[1]), ["wrong_type.products"]),
    ("line price as text", T, text(T, products=line(price="19.99")), ["number_as_text.products.price"]),
    ("line price with three decimals", T, text(T, products=line(price=19.999)), ["too_many_decimals.products.price"]),
    ("line without a price", T, text(T, products=line(price=...)), ["missing.products.price"]),
    ("one of two lines without", T, text(T, products=line() + line(quantity=...)), ["missing.products.quantity"]),
    ("no units", T, text(T, products=line(quantity=0), total_amount=0), ["out_of_range.products.quantity"]),
    ("half a unit", T, text(T, products=line(quantity=0.5)), ["wrong_type.products.quantity"]),
    ("empty product", T, text(T, products=line(product_id="")), ["empty.products.product_id"]),
    ("cart a number", T, text(T, cart_id=7), ["wrong_type.cart_id"]),
    ("empty cart", T, text(T, cart_id=""), ["empty.cart_id"]),
    ("unknown action", C, text(C, action="drop"), ["unknown_value.action"]),
    ("negative units", C, text(C, quantity=-1), ["out_of_range.quantity"]),
    ("too many units", C, text(C, quantity=2**31), ["out_of_range.quantity"]),
    ("price true", C, text(C, price=True), ["wrong_type.price"]),
    ("change 32 bits cannot hold", I, text(I, change=-(2**31) - 1), ["out_of_range.change"]),
    ("unknown reason", I, text(I, reason="theft"), ["unknown_value.reason"]),
    ("151 years", U, text(U, age=151), ["out_of_range.age"]),
    ("preference a number", U, text(U, preferences=["Books", 1]), ["wrong_type.preferences"]),
    ("preference null", U, text(U, preferences=[None]), ["wrong_type.preferences"]),
    ("registration no time", U, text(U, registration_date="yesterday"), ["bad_format.registration_date"]),
    ("rated 5.1", P, text(P, ratings=5.1), ["out_of_range.ratings"]),
    ("rating as text", P, text(P, ratings="4"), ["number_as_text.ratings"]),
    ("negative stock", P, text(P, inventory=-1), ["out_of_range.inventory"]),
    ("no name", P, text(P, name=""), ["empty.name"]),
]

RIGHT: list[tuple[str, str, bytes]] = [
    *[(f"example of {topic}", topic, text(topic)) for topic in (T, V, C, I, U, P)],
    ("blanks around", V, b" \n" + text(V) + b"\t "),
    ("keys in another order", V, json.dumps(dict(reversed(valid(V).items()))).encode()),
    ("escaped letters", P, text(P, name="Käse 🧀")),
    ("letters as they are", P, json.dumps(valid(P, name="Käse 🧀"), ensure_ascii=False).encode()),
    ("whole dollars", T, text(T, products=line(price=20, quantity=1), total_amount=20)),
    ("one decimal", T, raw(T, "products", '[{"product_id":"p","quantity":1,"price":0.1}]').replace(b"39.98", b"0.10")),
    ("mixed prices", T, text(T, products=line(price=20, quantity=1) + line(price=0.5, quantity=3), total_amount=21.5)),
    ("free of charge", T, text(T, products=line(price=0), total_amount=0)),
    ("no cart", T, text(T, cart_id=...)),
    ("null cart", T, text(T, cart_id=None)),
    ("ten minutes ahead", V, text(V, timestamp="2026-03-14T10:10:00.000Z")),
    ("first of 2000", V, text(V, timestamp="2000-01-01T00:00:00.000Z")),
    ("no preferences", U, text(U, preferences=[])),
    ("registered long ago", U, text(U, registration_date="1999-12-31T23:59:59.999Z")),
    ("whole stars", P, text(P, ratings=4)),
    ("rating with an exponent", P, raw(P, "ratings", "4.25e0")),
    ("unknown field", V, text(V, campaign="spring")),
    ("unknown nested field", V, raw(V, "extra", '{"price": 1.2345, "deep": [[{"a": null}]]}')),
    ("most units", C, text(C, quantity=2**31 - 1)),
    ("UUID in capitals", V, text(V, event_id=valid(V)["event_id"].upper())),
]
