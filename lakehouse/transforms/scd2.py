"""Slowly changing dimensions of type 2: versions out of changes, and the version that a fact belongs to.

Source of the terms (type 2, surrogate key, inferred member): Kimball, Ross, "The Data Warehouse Toolkit", 3rd edition, chapter 5.

A dimension is a function of all changes and of when facts first name a member, so it can be made anew at any time with the same keys.
What was believed at an earlier moment is the same function of the changes recorded until then: `changes.where(ingested_at <= moment)`.
Stored intervals of knowledge beside `recorded_at` would keep each row several times, and a surrogate key would no longer name one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Window

from lakehouse.contracts.base import EARLIEST_TIME
from lakehouse.tables import DIM_PRODUCT, DIM_USER, PRODUCTS, USERS, Table

# An inferred member is valid from here; no event is earlier, the contracts see to that.
BEGINNING = datetime.fromisoformat(EARLIEST_TIME)


@dataclass(frozen=True)
class Member:
    """What a dimension is about. A new version begins where one of the `describing` columns changes, and only there."""

    dimension: Table
    changes: Table
    id: str
    key: str
    describing: tuple[str, ...]


USER = Member(
    DIM_USER, USERS, "user_id", "user_key", ("email", "age", "country", "registration_date", "preferences")
)  # fmt: skip
PRODUCT = Member(DIM_PRODUCT, PRODUCTS, "product_id", "product_key", ("name", "category", "price"))


def key_of(member_id: Column, valid_from: Column) -> Column:
    """The surrogate key: XXH64 of id and time (Spark's `xxhash64`, seed 42), the same in every rebuild.

    Of 20 million versions two share a key with a chance of 1 in 90,000; the tables' checks would tell.
    """
    return F.xxhash64(member_id, valid_from)


def dimension(changes: DataFrame, seen: DataFrame, member: Member) -> DataFrame:
    """All versions and inferred members, columns as the dimension's table declares them.

    `changes` has the id, the describing columns, `timestamp`, `partition`, `offset` and `ingested_at`, in any order, repeats included.
    `seen` has the id and `seen_at`, times of facts; a member whose first fact comes before its first version, or that has none, gets
    one inferred row up to that version, with nothing described.
    """
    # The earliest change always opens a version: asked of the changes, when that was does not cost all versions once more
    opened = changes.select(member.id, F.col("timestamp").alias("valid_from"))
    known = versions(changes, member).unionByName(inferred(opened, seen, member), allowMissingColumns=True)
    return known.select(*_columns(member))


def versions(changes: DataFrame, member: Member) -> DataFrame:
    """One row per version that a change opened. Of changes at the same time the one with the highest position counts.

    A change that describes nothing new opens no version. `recorded_at` is that of the first of the repeats, one after the other in
    position, that led to what counts at its time: what was said, revoked and said again is known since it was said again.
    """
    by_id = changes.select(
        member.id,
        *member.describing,
        F.col("timestamp").alias("valid_from"),
        F.struct("partition", "offset").alias("position"),
        F.col("ingested_at").alias("recorded_at"),
    ).repartition(member.id)  # one exchange for all windows below
    through_time = Window.partitionBy(member.id).orderBy("valid_from", "position")
    description = F.struct(*member.describing)
    # Within an instant only the rows that begin a run of repeats are kept; the last of them says what counts from then on.
    said = F.struct("valid_from", *member.describing)
    is_repeat = said.eqNullSafe(F.lag(said).over(through_time))
    runs = by_id.withColumn("is_repeat", is_repeat).where("NOT is_repeat")
    next_at = F.lead("valid_from").over(through_time)
    lasts = runs.withColumn("next_at", next_at).where("NOT valid_from <=> next_at")
    opens = ~description.eqNullSafe(F.lag(description).over(through_time))
    return (
        lasts.withColumn("opens", opens)
        .where("opens")
        .withColumn("valid_to", next_at)
        .withColumn("is_current", F.col("valid_to").isNull())
        .withColumn("is_inferred", F.lit(False))
        .withColumn(member.key, key_of(F.col(member.id), F.col("valid_from")))
        .select(*_columns(member))
    )


def inferred(known: DataFrame, seen: DataFrame, member: Member) -> DataFrame:
    """One row per member that facts name before its first version, or that has none; without describing columns.

    `known` has the id and `valid_from`, of each member the first one at least.
    """
    first_version = known.groupBy(member.id).agg(F.min("valid_from").alias("valid_to"))
    first_fact = seen.groupBy(member.id).agg(F.min("seen_at").alias("seen_at"))
    return (
        first_fact.join(first_version, member.id, "left")
        .where("valid_to IS NULL OR seen_at < valid_to")
        .select(
            key_of(F.col(member.id), F.lit(BEGINNING)).alias(member.key),
            member.id,
            F.lit(BEGINNING).alias("valid_from"),
            "valid_to",
            F.col("valid_to").isNull().alias("is_current"),
            F.lit(True).alias("is_inferred"),
        )
    )


def with_key(facts: DataFrame, versions: DataFrame, member: Member, at: Column) -> DataFrame:
    """`facts` with the key of the version that is valid at `at`; of the inferred member where none is, so that no fact is lost.

    `versions` are rows of the dimension; one row per fact comes out.
    """
    spans = versions.select(F.col(member.id).alias("_id"), F.col(member.key).alias("_key"), "valid_from", "valid_to")
    is_valid = (F.col("valid_from") <= F.col("_at")) & (F.col("valid_to").isNull() | (F.col("_at") < F.col("valid_to")))
    placed = facts.withColumn("_at", at).join(spans, (F.col(member.id) == F.col("_id")) & is_valid, "left")
    key = F.coalesce("_key", key_of(F.col(member.id), F.lit(BEGINNING)))
    return placed.select(*[name for name in facts.columns if name != member.key], key.alias(member.key))


def rekeyed(facts: DataFrame, versions: DataFrame, member: Member, at: Column) -> DataFrame:
    """Those of `facts`, columns as they are, whose key is no longer that of the version valid at `at`."""
    old = facts.withColumnRenamed(member.key, "_old")
    is_other = F.col(member.key) != F.col("_old")
    return with_key(old, versions, member, at).where(is_other).select(*facts.columns)


def _columns(member: Member) -> list[str]:
    return [column.name for column in member.dimension.columns]
