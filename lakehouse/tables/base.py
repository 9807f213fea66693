"""What a table's declaration consists of, and the columns that several tables share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Layer = Literal["bronze", "silver", "gold", "ops"]
Owner = Literal["streaming", "batch"]
Reading = Literal["rows", "sums", "snapshots"]

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
    """One Delta table. `grain` says what one row is; `key` are the columns that are unique once read.

    Once read means: a table of `rows` as it is; of `sums` by adding the rows of a key up; of `snapshots` by taking for
    each key the row with the highest `batch_id`, and leaving the key out where that row says `is_retracted`. `schema_version` grows
    by one with each column that is added, always nullable; nothing else may change in place.
    """

    name: str
    layer: Layer
    owner: Owner
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict, hash=False)
    reading: Reading = "rows"
    schema_version: int = 1

    @property
    def path(self) -> str:
        """The path below the lake's root."""
        return f"{self.layer}/{self.name}"

    @property
    def view(self) -> str:
        """The name under which SQL in rules reads it."""
        return self.path.replace("/", "_")

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, c.nullable, {"comment": c.meaning}) for c in self.columns])


STREAM_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
BATCH_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    # A day's commit says what the day was made from, and is asked for that when the day is repaired or checked a year later.
    "delta.logRetentionDuration": "interval 800 days",
    "delta.deletedFileRetentionDuration": "interval 30 days",
}


def column(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> Column:
    return Column(name, kind, meaning, nullable)


POSITION = (
    column("topic", pa.string(), "Kafka topic the record came from"),
    column("partition", pa.int32(), "Kafka partition"),
    column("offset", pa.int64(), "Kafka offset within the partition"),
)
ARRIVAL = (
    column("kafka_at", TIME, "when the broker appended the record (LogAppendTime, UTC)"),
    column("ingested_at", TIME, "when the micro-batch that took the record began (UTC)"),
)
USER_ID = column("user_id", pa.string(), "customer")
SESSION_ID = column("session_id", pa.string(), "visit as the shop's front end numbers it")
COUNTRY = column("country", pa.string(), "country of the visit: US, GB, DE, IN or BR")
PRODUCT_ID = column("product_id", pa.string(), "product")
QUANTITY = column("quantity", pa.int32(), "units, at least 1")
PRICE = column("price", MONEY, "unit price in USD")
PAYMENT = column("payment_method", pa.string(), "credit_card, debit_card, paypal, bank_transfer or gift_card")

KNOWN = (
    column("batch_id", pa.int64(), "micro-batch that added the partial sum"),
    column("known_at", TIME, "when the platform knew it: start of that micro-batch (UTC)"),
)
IS_RETRACTED = column(
    "is_retracted", pa.bool_(), "true where the key no longer exists, such as a session merged into another"
)
