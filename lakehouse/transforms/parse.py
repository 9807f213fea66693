"""Kafka records to typed records: accepts what is plainly right, leaves the rest to the judge. Pure DataFrame to DataFrame."""

from __future__ import annotations

from functools import cache, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import CONTRACTS, Contract
from lakehouse.contracts.base import EARLIEST_TIME, FUTURE_TOLERANCE_MINUTES, MAX_VALUE_BYTES, Field, Kind
from lakehouse.contracts.spark import all_fields, money_names, shape_is_right, sql_type, values_are_right

RECORD_COLUMNS = ("topic", "partition", "offset", "key", "value", "headers", "kafka_at")
"""Columns of a Kafka record as `parse` takes it."""


def parse(records: DataFrame, too_old_days: int | None = None) -> DataFrame:
    """Type the records of all topics.

    Takes RECORD_COLUMNS (and passes on whatever else is there). Adds the struct column `record` with the fields of all contracts
    (those of other topics null) and hashes, not null exactly where the record is plainly right. One with no such struct may still be
    right: `lakehouse.contracts.judge` decides and names the reasons.
    """
    staged = records
    for stage in _stages(too_old_days):
        staged = staged.withColumns(stage)
    return staged.select(*records.columns, "record")


def typed_names(contract: Contract) -> list[str]:
    """The parts of `record` that a record of `contract` has: its fields and hashes."""
    hashes = ["event_hash", "event_hash2", "body_hash"]
    if contract.business_id:
        name = contract.business_id.removesuffix("_id")
        hashes += [f"{name}_hash", f"{name}_hash2", "order_hash"]
    return [*(item.name for item in contract.fields), *hashes]


@cache
def _stages(too_old_days: int | None) -> tuple[dict[str, Column], ...]:
    """The columns to add, stage by stage; building them costs hundreds of calls into the JVM, so it is done once."""
    contracts = list(CONTRACTS.values())
    topic, text = F.col("topic"), F.col("value").cast("string")
    readable = (F.length("value") <= MAX_VALUE_BYTES) & F.is_valid_utf8(text)
    # the offset behind the value shows that parsing went on to the end: nothing can follow the object
    wrapped = F.concat(F.lit("["), text, F.lit(","), F.col("offset").cast("string"), F.lit("]"))
    ended = F.try_variant_get(F.col("_wrapped"), "$[1]", "bigint") == F.col("offset")
    document = F.when(ended & ~_suspicious(text), F.try_variant_get(F.col("_wrapped"), "$[0]", "variant"))
    fields = all_fields(contracts)
    typed = F.when(
        shape_is_right(contracts, topic, F.col("_shape")), F.try_variant_get(F.col("_document"), "$", sql_type(fields))
    )
    times = {item.name: F.col("_typed")[item.name].try_cast("timestamp") for item in fields if item.kind is Kind.TIME}
    return (
        {"_wrapped": F.when(readable, F.try_parse_json(wrapped))},
        {"_document": document},
        {"_shape": F.schema_of_variant("_document")},
        {"_typed": typed},
        {f"_{name}": time for name, time in times.items()},
        {"record": _accepted(contracts, fields, too_old_days)},
    )


def _suspicious(text: Column) -> Column:
    """Texts whose VARIANT may hide something: it drops trailing zeros of money and keeps half surrogates."""
    names = "|".join(money_names(list(CONTRACTS.values())))
    # the first pattern is quickly refuted, the second is exact
    many_decimals = text.rlike(r"\.\d\d\d+\s*[,}eE]") & text.rlike(rf'"(?:{names})"\s*:\s*-?\d+\.\d\d\d')
    return text.contains("\\ud") | text.contains("\\uD") | many_decimals


def _accepted(contracts: list[Contract], fields: tuple[Field, ...], too_old_days: int | None) -> Column:
    typed, at = F.col("_typed"), F.col("_timestamp")
    in_time = (at >= F.lit(EARLIEST_TIME).cast("timestamp")) & (
        at <= F.col("kafka_at") + F.expr(f"INTERVAL {FUTURE_TOLERANCE_MINUTES} MINUTES")
    )
    if too_old_days is not None:
        in_time &= at >= F.col("kafka_at") - F.expr(f"INTERVAL {too_old_days} DAYS")
    times = {item.name: F.col(f"_{item.name}") for item in fields if item.kind is Kind.TIME}
    are_times = [typed[name].isNull() | time.isNotNull() for name, time in times.items()]
    right = reduce(Column.__and__, [values_are_right(contracts, F.col("topic"), typed), in_time, *are_times])
    values = [times.get(item.name, typed[item.name]).alias(item.name) for item in fields]
    return F.when(right, F.struct(*values, *_hashes(contracts, fields, typed)))


def _hashes(contracts: list[Contract], fields: tuple[Field, ...], typed: Column) -> list[Column]:
    """Two hashes per id (128 bits in all) and one of the body, in which each field has its own seed."""
    parts = {item.name: F.xxhash64(F.lit(item.name), typed[item.name]) for item in fields}
    hashes = [*_id_hashes(typed, "event_id"), _hash(typed["event_id"], *parts.values()).alias("body_hash")]
    for contract in contracts:
        if contract.business_id:
            order = [parts[item.name] for item in contract.fields if item.name != "event_id"]
            order_hash = _hash(typed[contract.business_id], *order).alias("order_hash")
            hashes += [*_id_hashes(typed, contract.business_id), order_hash]
    return hashes


def _id_hashes(typed: Column, id_field: str) -> list[Column]:
    name = id_field.removesuffix("_id")
    return [
        _hash(typed[id_field], F.lit(f"{name}{number}"), typed[id_field]).alias(f"{name}_hash{number}")
        for number in ("", "2")
    ]


def _hash(present: Column, *values: Column) -> Column:
    """64 bits, null where `present` is; typed as nullable because Arrow refuses a not-null child in a struct that may be null."""
    return F.when(present.isNotNull(), F.xxhash64(*values))
