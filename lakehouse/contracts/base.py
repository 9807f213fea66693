"""What a contract is made of: fields with kinds and limits. Everything else (Spark, JSON Schema, judge, docs) derives from these."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from lakehouse.countries import TIME_ZONES

CONTRACT_VERSION = 1
MAX_VALUE_BYTES = 256 * 1024
EARLIEST_TIME = "2000-01-01T00:00:00.000Z"
FUTURE_TOLERANCE_MINUTES = 10

INT32_MAX = 2**31 - 1
MONEY_MAX = Decimal("9999999999999999.99")  # decimal(18,2)

COUNTRIES = tuple(TIME_ZONES)
PAYMENT_METHODS = ("credit_card", "debit_card", "paypal", "bank_transfer", "gift_card")

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"


class Kind(StrEnum):
    """The kinds of value, judged on the JSON token before any cast."""

    TEXT = "text"  # a non-empty string
    UUID = "uuid"  # a string of 8-4-4-4-12 hexadecimal digits
    TIME = "time"  # an RFC 3339 string with milliseconds and Z
    INTEGER = "integer"  # digits alone, within 32 bits
    MONEY = "money"  # a number with at most two decimals and no exponent, USD
    NUMBER = "number"  # any finite number
    TEXTS = "texts"  # an array of strings, may be empty
    LINES = "lines"  # a non-empty array of objects with `fields`


@dataclass(frozen=True)
class Field:
    """One field of a record. `minimum` and `maximum` are inclusive and in the field's own unit."""

    name: str
    kind: Kind
    meaning: str
    required: bool = True
    values: tuple[str, ...] = ()
    minimum: Decimal | int | None = None
    maximum: Decimal | int | None = None
    fields: tuple[Field, ...] = ()
    example: object = None


@dataclass(frozen=True)
class Contract:
    """One kind of record: the topic it comes on, its fields, and how its identity is judged.

    `business_id` names a second id beside `event_id` that must be unique; `key_field` is what the Kafka key repeats.
    `sum_field`, where set, must equal the sum of quantity x price over the record's lines.
    """

    topic: str
    event_type: str
    meaning: str
    body: tuple[Field, ...]
    key_field: str
    business_id: str | None = None
    sum_field: str | None = None

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields, the envelope first."""
        return (*envelope(self.event_type), *self.body)

    @property
    def lines(self) -> Field | None:
        return next((f for f in self.body if f.kind is Kind.LINES), None)


def envelope(event_type: str) -> tuple[Field, ...]:
    """The four fields that every record begins with."""
    return (
        Field("event_id", Kind.UUID, "identity of the event", example="0b0c7f6e-5c0f-4f5e-9d57-1f0f5f0a9c11"),
        Field("event_type", Kind.TEXT, "kind of record, fixed per topic", values=(event_type,), example=event_type),
        Field(
            "schema_version",
            Kind.INTEGER,
            "version of this contract",
            minimum=CONTRACT_VERSION,
            maximum=CONTRACT_VERSION,
            example=CONTRACT_VERSION,
        ),
        Field("timestamp", Kind.TIME, "when it happened (UTC)", example="2026-03-14T09:26:53.589Z"),
    )


USER_ID = Field("user_id", Kind.TEXT, "customer", example="u00000042")
SESSION_ID = Field("session_id", Kind.TEXT, "visit", example="s-7f3a9c")
COUNTRY = Field("country", Kind.TEXT, "country of the visit", values=COUNTRIES, example="DE")
PRODUCT_ID = Field("product_id", Kind.TEXT, "product", example="p000123")
QUANTITY = Field("quantity", Kind.INTEGER, "units", minimum=1, maximum=INT32_MAX, example=2)
PRICE = Field("price", Kind.MONEY, "unit price in USD", minimum=0, maximum=MONEY_MAX, example=19.99)
