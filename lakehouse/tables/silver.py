"""Bronze and silver: what came in, what of it is right, and what is not. Owned by the streaming service."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import (
    ARRIVAL,
    COUNTRY,
    MONEY,
    PAYMENT,
    POSITION,
    PRICE,
    PRODUCT_ID,
    QUANTITY,
    SESSION_ID,
    STREAM_PROPERTIES,
    TIME,
    USER_ID,
    Column,
    Table,
    column,
)

ENVELOPE = (
    column("event_id", pa.string(), "UUID of the event"),
    column("event_type", pa.string(), "kind of event, fixed per topic"),
    column("schema_version", pa.int32(), "version of the record's contract"),
    column("timestamp", TIME, "event time (UTC)"),
)
PROVENANCE = (
    *POSITION,
    *ARRIVAL,
    column("is_late", pa.bool_(), "true when the event time lay behind the topic's committed watermark"),
    column("event_hash", pa.int64(), "64-bit hash of `event_id`: the duplicate index is loaded from it"),
    column("event_hash2", pa.int64(), "second, independent 64-bit hash of `event_id`"),
    column("body_hash", pa.int64(), "64-bit hash of all parsed fields: equal bodies have equal hashes"),
    column("batch_id", pa.int64(), "micro-batch that committed the row; `ops/ledger_streaming` has its offsets"),
)

PRODUCTS_TYPE = pa.list_(
    pa.field(
        "element",
        pa.struct(
            [
                pa.field("product_id", pa.string(), False),
                pa.field("quantity", pa.int32(), False),
                pa.field("price", MONEY, False),
            ]
        ),
        False,
    )
)


def _silver(name: str, grain: str, *fields: Column, extra: tuple[Column, ...] = ()) -> Table:
    return Table(
        name,
        "silver",
        "streaming",
        grain,
        (*ENVELOPE, *fields, *PROVENANCE, *extra),
        ("event_id",),
        (),
        STREAM_PROPERTIES,
    )


BRONZE_EVENTS = Table(
    "events",
    "bronze",
    "streaming",
    "one Kafka record, as it was",
    (
        *POSITION,
        column("key", pa.binary(), "the record's key, raw", True),
        column("value", pa.binary(), "the record's value, raw", True),
        column(
            "headers",
            pa.list_(pa.field("element", pa.struct([pa.field("key", pa.string()), pa.field("value", pa.binary())]))),
            "the record's headers",
            True,
        ),
        *ARRIVAL,
        column("batch_id", pa.int64(), "micro-batch that committed the row"),
    ),
    ("topic", "partition", "offset"),
    (),
    STREAM_PROPERTIES,
)

TRANSACTIONS = _silver(
    "transactions",
    "one accepted transaction",
    column("transaction_id", pa.string(), "the order; unique"),
    USER_ID,
    SESSION_ID,
    column("cart_id", pa.string(), "the cart that was bought, where there was one", True),
    COUNTRY,
    column("products", PRODUCTS_TYPE, "lines of the order: product, units, unit price in USD"),
    column("total_amount", MONEY, "sum of quantity x price over the lines, USD"),
    PAYMENT,
    extra=(
        column("transaction_hash", pa.int64(), "64-bit hash of `transaction_id`"),
        column("transaction_hash2", pa.int64(), "second, independent 64-bit hash of `transaction_id`"),
        column("order_hash", pa.int64(), "64-bit hash of all parsed fields but `event_id`"),
    ),
)
TRANSACTION_ITEMS = Table(
    "transaction_items",
    "silver",
    "streaming",
    "one line of an accepted transaction",
    (
        column("transaction_id", pa.string(), "the order"),
        column("line_number", pa.int32(), "place of the line in the order, from 1"),
        USER_ID,
        column("timestamp", TIME, "event time of the order (UTC)"),
        COUNTRY,
        PAYMENT,
        PRODUCT_ID,
        column(
            "category", pa.string(), "the product's category at event time; `unknown` where no product record had come"
        ),
        QUANTITY,
        PRICE,
        column("line_amount", MONEY, "quantity x price, USD"),
        *POSITION,
        *ARRIVAL,
        column("batch_id", pa.int64(), "micro-batch that committed the row"),
    ),
    ("transaction_id", "line_number"),
    (),
    STREAM_PROPERTIES,
)
PRODUCT_VIEWS = _silver(
    "product_views",
    "one accepted product view",
    USER_ID,
    SESSION_ID,
    COUNTRY,
    PRODUCT_ID,
    column("device", pa.string(), "kind of device"),
)
CART_EVENTS = _silver(
    "cart_events",
    "one accepted change of a cart",
    USER_ID,
    SESSION_ID,
    column("cart_id", pa.string(), "the cart"),
    COUNTRY,
    column("action", pa.string(), "add or remove"),
    PRODUCT_ID,
    QUANTITY,
    PRICE,
)
INVENTORY_EVENTS = _silver(
    "inventory_events",
    "one accepted change of stock that is not a sale",
    PRODUCT_ID,
    column("change", pa.int32(), "signed units"),
    column("reason", pa.string(), "restock, correction or return"),
)
USERS = _silver(
    "users",
    "one accepted change of a user profile",
    USER_ID,
    column("email", pa.string(), "e-mail address (personal data)"),
    column("age", pa.int32(), "years"),
    column("country", pa.string(), "country of the profile, not of a visit"),
    column("registration_date", TIME, "when the user registered (UTC)"),
    column("preferences", pa.list_(pa.field("element", pa.string(), False)), "names of preferred categories"),
)
PRODUCTS = _silver(
    "products",
    "one accepted change of a product",
    PRODUCT_ID,
    column("name", pa.string(), "display name"),
    column("category", pa.string(), "category name"),
    PRICE,
    column("inventory", pa.int32(), "opening stock on the first record, informative afterwards, units"),
    column("ratings", pa.float64(), "mean rating, 0 to 5"),
)
QUARANTINE = Table(
    "quarantine",
    "silver",
    "streaming",
    "one record that breaks its contract or conflicts with an earlier one; append only",
    (
        *POSITION,
        column("key", pa.binary(), "the record's key, raw", True),
        column("value", pa.binary(), "the record's value, raw", True),
        *ARRIVAL,
        column("reason_codes", pa.list_(pa.field("element", pa.string(), False)), "ids of the broken rules, sorted"),
        column("detail", pa.string(), "the reasons in words", True),
        column("contract_version", pa.int32(), "version of the contract that judged"),
        column("batch_id", pa.int64(), "micro-batch that committed the row"),
    ),
    ("topic", "partition", "offset"),
    (),
    STREAM_PROPERTIES,
)
DUPLICATES = Table(
    "duplicates",
    "silver",
    "streaming",
    "one record that repeats an earlier one",
    (
        *POSITION,
        column("event_id", pa.string(), "UUID of the repeated event"),
        column("winner_topic", pa.string(), "where the first of its kind is: topic"),
        column("winner_partition", pa.int32(), "where the first of its kind is: partition"),
        column("winner_offset", pa.int64(), "where the first of its kind is: offset"),
        *ARRIVAL,
        column("batch_id", pa.int64(), "micro-batch that committed the row"),
    ),
    ("topic", "partition", "offset"),
    (),
    STREAM_PROPERTIES,
)
