"""Kafka records to typed records: accepts what is plainly right, leaves the rest to the judge. Pure DataFrame to DataFrame."""

from __future__ import annotations

from functools import cache, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import CONTRACTS, Contract
from lakehouse.contracts.base import EARLIEST_TIME, FUTURE_TOLERANCE_MINUTES, MAX_VALUE_BYTES, Kind
from lakehouse.contracts.spark import money_names, shape_pattern, sql_type, values_are_right

RECORD_COLUMNS = ("topic", "partition", "offset", "key", "value", "headers", "kafka_at")
"""Columns of a Kafka record as `parse` takes it."""


def parse(records: DataFrame, too_old_days: int | None = None) -> DataFrame:
    """Type the records of all topics.

    Takes RECORD_COLUMNS (and passes on whatever else is there). Adds, for each topic, a struct column of that name with
    the contract's fields and hashes, not null exactly where the record is plainly right. A record with no such struct may still be right:
    `lakehouse.contracts.judge` decides and names the reasons.
    """
    staged = records
    for stage in _stages(too_old_days):
        staged = staged.withColumns(stage)
    return staged.select(*records.columns, *CONTRACTS)


@cache
def _stages(too_old_days: int | None) -> tuple[dict[str, Column], ...]:
    """The columns to add, stage by stage; building them costs a thousand calls into the JVM, so it is done once."""
    text = F.col("value").cast("string")
    readable = (F.length("value") <= MAX_VALUE_BYTES) & F.is_valid_utf8(text)
    # the offset behind the value shows that parsing went on to the end: nothing can follow the object
    wrapped = F.concat(F.lit("["), text, F.lit(","), F.col("offset").cast("string"), F.lit("]"))
    ended = F.try_variant_get(F.col("_wrapped"), "$[1]", "bigint") == F.col("offset")
    names = "|".join(money_names(list(CONTRACTS.values())))
    # VARIANT drops trailing zeros and keeps half surrogates: look at the raw text for both
    suspicious = (
        text.contains("\\ud")
        | text.contains("\\uD")
        | (F.col("topic").isin(*_with_money()) & text.rlike(rf'"(?:{names})"\s*:\s*-?\d+\.\d\d\d'))
    )
    document = F.when(ended & ~suspicious, F.try_variant_get(F.col("_wrapped"), "$[0]", "variant"))
    at = F.coalesce(*(F.col(f"_{topic}")["timestamp"] for topic in CONTRACTS)).try_cast("timestamp")
    return (
        {"_wrapped": F.when(readable, F.try_parse_json(wrapped))},
        {"_document": document},
        {"_shape": F.schema_of_variant("_document")},
        {f"_{topic}": _typed(contract) for topic, contract in CONTRACTS.items()},
        {"_at": at},
        {topic: _accepted(contract, too_old_days) for topic, contract in CONTRACTS.items()},
    )


def _with_money() -> list[str]:
    return [topic for topic, contract in CONTRACTS.items() if money_names([contract])]


def _typed(contract: Contract) -> Column:
    """The record as a struct where its shape is exactly the contract's."""
    fits = (F.col("topic") == contract.topic) & F.col("_shape").rlike(shape_pattern(contract))
    return F.when(fits, F.try_variant_get(F.col("_document"), "$", sql_type(contract)))


def _accepted(contract: Contract, too_old_days: int | None) -> Column:
    record = F.col(f"_{contract.topic}")
    at = F.col("_at")
    in_time = (at >= F.lit(EARLIEST_TIME).cast("timestamp")) & (
        at <= F.col("kafka_at") + F.expr(f"INTERVAL {FUTURE_TOLERANCE_MINUTES} MINUTES")
    )
    if too_old_days is not None:
        in_time &= at >= F.col("kafka_at") - F.expr(f"INTERVAL {too_old_days} DAYS")
    times = {f.name: record[f.name].try_cast("timestamp") for f in contract.fields if f.kind is Kind.TIME}
    times["timestamp"] = at
    right = reduce(
        Column.__and__, [values_are_right(contract, record), in_time, *(time.isNotNull() for time in times.values())]
    )
    values = [times.get(item.name, record[item.name]).alias(item.name) for item in contract.fields]
    return F.when(right, F.struct(*values, *_hashes(contract, record)))


def _hashes(contract: Contract, record: Column) -> list[Column]:
    """Two hashes per id (128 bits in all) and one of the body, in which each field has its own seed."""
    fields = {item.name: F.xxhash64(F.lit(item.name), record[item.name]) for item in contract.fields}
    hashes = [*_id_hashes(record, "event_id"), _hash(record, *fields.values()).alias("body_hash")]
    if contract.business_id:
        order = [column for name, column in fields.items() if name != "event_id"]
        hashes += [*_id_hashes(record, contract.business_id), _hash(record, *order).alias("order_hash")]
    return hashes


def _id_hashes(record: Column, id_field: str) -> list[Column]:
    name = id_field.removesuffix("_id")
    return [
        _hash(record, F.lit(f"{name}{number}"), record[id_field]).alias(f"{name}_hash{number}") for number in ("", "2")
    ]


def _hash(record: Column, *values: Column) -> Column:
    """64 bits; typed as nullable because Arrow refuses a not-null child in a struct that may be null."""
    return F.when(record.isNotNull(), F.xxhash64(*values))
