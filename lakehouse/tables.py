"""Every Delta table: name, layer, grain, columns with unit and meaning, owner process, properties. Nothing else names a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Layer = Literal["bronze", "silver", "gold", "ops"]
Owner = Literal["streaming", "batch"]

MONEY = pa.decimal128(18, 2)
TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """One Delta table. `grain` says what one row is; `key` are the columns that are unique once duplicates are out."""

    name: str
    layer: Layer
    owner: Owner
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path below the lake's root."""
        return f"{self.layer}/{self.name}"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, c.nullable, {"comment": c.meaning}) for c in self.columns])


STREAM_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
BATCH_PROPERTIES = {"delta.enableDeletionVectors": "false"}


def _c(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> Column:
    return Column(name, kind, meaning, nullable)


POSITION = (
    _c("topic", pa.string(), "Kafka topic the record came from"),
    _c("partition", pa.int32(), "Kafka partition"),
    _c("offset", pa.int64(), "Kafka offset within the partition"),
)
ARRIVAL = (
    _c("kafka_at", TIME, "when the broker appended the record (LogAppendTime, UTC)"),
    _c("ingested_at", TIME, "when the micro-batch that took the record began (UTC)"),
)
ENVELOPE = (
    _c("event_id", pa.string(), "UUID of the event"),
    _c("event_type", pa.string(), "kind of event, fixed per topic"),
    _c("schema_version", pa.int32(), "version of the record's contract"),
    _c("timestamp", TIME, "event time (UTC)"),
)
PROVENANCE = (
    *POSITION,
    *ARRIVAL,
    _c("is_late", pa.bool_(), "true when the event time lay behind the topic's committed watermark"),
    _c("event_hash", pa.int64(), "64-bit hash of `event_id`: the duplicate index is loaded from it"),
    _c("event_hash2", pa.int64(), "second, independent 64-bit hash of `event_id`"),
    _c("body_hash", pa.int64(), "64-bit hash of all parsed fields: equal bodies have equal hashes"),
    _c("batch_id", pa.int64(), "micro-batch that committed the row; `ops/ledger_streaming` has its offsets"),
)

USER_ID = _c("user_id", pa.string(), "customer")
SESSION_ID = _c("session_id", pa.string(), "visit as the shop's front end numbers it")
COUNTRY = _c("country", pa.string(), "country of the visit: US, GB, DE, IN or BR")
PRODUCT_ID = _c("product_id", pa.string(), "product")
QUANTITY = _c("quantity", pa.int32(), "units, at least 1")
PRICE = _c("price", MONEY, "unit price in USD")
PAYMENT = _c("payment_method", pa.string(), "credit_card, debit_card, paypal, bank_transfer or gift_card")

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
        _c("key", pa.binary(), "the record's key, raw", True),
        _c("value", pa.binary(), "the record's value, raw", True),
        _c(
            "headers",
            pa.list_(pa.field("element", pa.struct([pa.field("key", pa.string()), pa.field("value", pa.binary())]))),
            "the record's headers",
            True,
        ),
        *ARRIVAL,
        _c("batch_id", pa.int64(), "micro-batch that committed the row"),
    ),
    ("topic", "partition", "offset"),
    (),
    STREAM_PROPERTIES,
)

TRANSACTIONS = _silver(
    "transactions",
    "one accepted transaction",
    _c("transaction_id", pa.string(), "the order; unique"),
    USER_ID,
    SESSION_ID,
    _c("cart_id", pa.string(), "the cart that was bought, where there was one", True),
    COUNTRY,
    _c("products", PRODUCTS_TYPE, "lines of the order: product, units, unit price in USD"),
    _c("total_amount", MONEY, "sum of quantity x price over the lines, USD"),
    PAYMENT,
    extra=(
        _c("transaction_hash", pa.int64(), "64-bit hash of `transaction_id`"),
        _c("transaction_hash2", pa.int64(), "second, independent 64-bit hash of `transaction_id`"),
        _c("order_hash", pa.int64(), "64-bit hash of all parsed fields but `event_id`"),
    ),
)
TRANSACTION_ITEMS = Table(
    "transaction_items",
    "silver",
    "streaming",
    "one line of an accepted transaction",
    (
        _c("transaction_id", pa.string(), "the order"),
        _c("line_number", pa.int32(), "place of the line in the order, from 1"),
        USER_ID,
        _c("timestamp", TIME, "event time of the order (UTC)"),
        COUNTRY,
        PAYMENT,
        PRODUCT_ID,
        _c("category", pa.string(), "the product's category at event time; `unknown` where no product record had come"),
        QUANTITY,
        PRICE,
        _c("line_amount", MONEY, "quantity x price, USD"),
        *POSITION,
        *ARRIVAL,
        _c("batch_id", pa.int64(), "micro-batch that committed the row"),
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
    _c("device", pa.string(), "kind of device"),
)
CART_EVENTS = _silver(
    "cart_events",
    "one accepted change of a cart",
    USER_ID,
    SESSION_ID,
    _c("cart_id", pa.string(), "the cart"),
    COUNTRY,
    _c("action", pa.string(), "add or remove"),
    PRODUCT_ID,
    QUANTITY,
    PRICE,
)
INVENTORY_EVENTS = _silver(
    "inventory_events",
    "one accepted change of stock that is not a sale",
    PRODUCT_ID,
    _c("change", pa.int32(), "signed units"),
    _c("reason", pa.string(), "restock, correction or return"),
)
USERS = _silver(
    "users",
    "one accepted change of a user profile",
    USER_ID,
    _c("email", pa.string(), "e-mail address (personal data)"),
    _c("age", pa.int32(), "years"),
    _c("country", pa.string(), "country of the profile, not of a visit"),
    _c("registration_date", TIME, "when the user registered (UTC)"),
    _c("preferences", pa.list_(pa.field("element", pa.string(), False)), "names of preferred categories"),
)
PRODUCTS = _silver(
    "products",
    "one accepted change of a product",
    PRODUCT_ID,
    _c("name", pa.string(), "display name"),
    _c("category", pa.string(), "category name"),
    PRICE,
    _c("inventory", pa.int32(), "opening stock on the first record, informative afterwards, units"),
    _c("ratings", pa.float64(), "mean rating, 0 to 5"),
)
QUARANTINE = Table(
    "quarantine",
    "silver",
    "streaming",
    "one record that breaks its contract or conflicts with an earlier one; append only",
    (
        *POSITION,
        _c("key", pa.binary(), "the record's key, raw", True),
        _c("value", pa.binary(), "the record's value, raw", True),
        *ARRIVAL,
        _c("reason_codes", pa.list_(pa.field("element", pa.string(), False)), "ids of the broken rules, sorted"),
        _c("detail", pa.string(), "the reasons in words", True),
        _c("contract_version", pa.int32(), "version of the contract that judged"),
        _c("batch_id", pa.int64(), "micro-batch that committed the row"),
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
        _c("event_id", pa.string(), "UUID of the repeated event"),
        _c("winner_topic", pa.string(), "where the first of its kind is: topic"),
        _c("winner_partition", pa.int32(), "where the first of its kind is: partition"),
        _c("winner_offset", pa.int64(), "where the first of its kind is: offset"),
        *ARRIVAL,
        _c("batch_id", pa.int64(), "micro-batch that committed the row"),
    ),
    ("topic", "partition", "offset"),
    (),
    STREAM_PROPERTIES,
)

_KNOWN = (
    _c("batch_id", pa.int64(), "micro-batch that added the partial sum"),
    _c("known_at", TIME, "when the platform knew it: start of that micro-batch (UTC)"),
)
SALES_BY_MINUTE = Table(
    "sales_by_minute",
    "gold",
    "streaming",
    "one partial sum per minute, country, category and micro-batch: add them up",
    (
        _c("minute", TIME, "start of the minute of event time (UTC)"),
        COUNTRY,
        _c("category", pa.string(), "category name"),
        _c("unit_count", pa.int64(), "units sold"),
        _c("line_count", pa.int64(), "order lines"),
        _c("revenue", MONEY, "sum of line amounts, USD"),
        *_KNOWN,
    ),
    ("minute", "country", "category", "batch_id"),
    (),
    STREAM_PROPERTIES,
)
ORDERS_BY_MINUTE = Table(
    "orders_by_minute",
    "gold",
    "streaming",
    "one partial sum per minute, country, payment method and micro-batch: add them up",
    (
        _c("minute", TIME, "start of the minute of event time (UTC)"),
        COUNTRY,
        PAYMENT,
        _c("order_count", pa.int64(), "transactions"),
        _c("revenue", MONEY, "sum of total amounts, USD"),
        *_KNOWN,
    ),
    ("minute", "country", "payment_method", "batch_id"),
    (),
    STREAM_PROPERTIES,
)
CUSTOMER_RFM = Table(
    "customer_rfm",
    "gold",
    "batch",
    "one customer with a purchase in the 365 days up to `as_of_date`",
    (
        _c("as_of_date", pa.date32(), "last day of the 365 looked at (UTC day)"),
        USER_ID,
        _c("recency_days", pa.int32(), "days from the last purchase's date to `as_of_date`"),
        _c("frequency", pa.int64(), "transactions"),
        _c("monetary", MONEY, "sum of total amounts, USD"),
        _c("r_score", pa.int32(), "1 to 5, 5 is most recent"),
        _c("f_score", pa.int32(), "1 to 5, 5 is most frequent"),
        _c("m_score", pa.int32(), "1 to 5, 5 is most money"),
        _c("segment", pa.string(), "named segment, see `lakehouse.transforms.rfm`"),
    ),
    ("as_of_date", "user_id"),
    ("as_of_date",),
    BATCH_PROPERTIES,
)
_OFFSETS = pa.map_(pa.string(), pa.int64())
LEDGER_STREAMING = Table(
    "ledger_streaming",
    "ops",
    "streaming",
    "one micro-batch that every sink has committed",
    (
        _c("generation", pa.int64(), "checkpoint generation; a new one starts where the ledger ends"),
        _c("batch_id", pa.int64(), "micro-batch, counted through all generations"),
        _c("spark_batch_id", pa.int64(), "the number that Spark's checkpoint gave it"),
        _c("started_at", TIME, "when the batch began: `ingested_at` and `known_at` of its rows (UTC)"),
        _c("committed_at", TIME, "when its last sink had committed (UTC)"),
        _c("next_offsets", _OFFSETS, "per `topic/partition`, the first offset that is not in the lake yet"),
        _c("watermarks", pa.map_(pa.string(), TIME), "per topic, the watermark after this batch (UTC)"),
        _c("table_versions", _OFFSETS, "per table path, the Delta version that holds this batch and all before"),
        _c("record_count", pa.int64(), "records taken from Kafka"),
        _c("accepted_count", pa.int64(), "records that went to silver"),
        _c("quarantined_count", pa.int64(), "records that went to quarantine"),
        _c("duplicate_count", pa.int64(), "records that went to duplicates"),
        _c("warning_count", pa.int64(), "accepted records with unknown extra fields"),
    ),
    ("batch_id",),
    (),
    STREAM_PROPERTIES,
)

TABLES: tuple[Table, ...] = (
    BRONZE_EVENTS,
    TRANSACTIONS,
    TRANSACTION_ITEMS,
    PRODUCT_VIEWS,
    CART_EVENTS,
    INVENTORY_EVENTS,
    USERS,
    PRODUCTS,
    QUARANTINE,
    DUPLICATES,
    SALES_BY_MINUTE,
    ORDERS_BY_MINUTE,
    CUSTOMER_RFM,
    LEDGER_STREAMING,
)
BY_PATH = {table.path: table for table in TABLES}
