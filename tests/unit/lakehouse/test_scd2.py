"""`lakehouse.transforms.scd2`: whole expected rows for each awkward order of changes, and an independent computation in DuckDB."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyspark.sql.functions as F
import pytest
from pyspark.sql import DataFrame, SparkSession
from xxh64 import surrogate_key

from lakehouse.tables import DIM_PRODUCT, DIM_USER, TIME, USERS
from lakehouse.transforms.scd2 import BEGINNING, PRODUCT, USER, dimension, rekeyed, with_key

DAY = datetime(2026, 3, 14, tzinfo=UTC)
REGISTERED = datetime(2024, 2, 29, 12, tzinfo=UTC)
COLUMNS = (
    "user_id", "email", "age", "country", "registration_date", "preferences", "timestamp", "partition", "offset",
    "ingested_at",
)  # fmt: skip
CHANGES = pa.schema([USERS.schema.field(name) for name in COLUMNS])
FACTS = pa.schema([("n", pa.int64()), ("user_id", pa.string()), ("timestamp", TIME)])
SEEN = pa.schema([("user_id", pa.string()), ("seen_at", TIME)])

# user, hour of the change, country, offset
Change = tuple[str, float, str, int]


def hour(number: float) -> datetime:
    return DAY + timedelta(hours=number)


def arrived(offset: int) -> datetime:
    return DAY + timedelta(days=1, seconds=offset)


def changes(spark: SparkSession, *made: Change) -> DataFrame:
    rows = [
        {
            "user_id": user,
            "email": f"{user}@example.org",
            "age": 40,
            "country": country,
            "registration_date": REGISTERED,
            "preferences": ["Books"],
            "timestamp": hour(at),
            "partition": 0,
            "offset": offset,
            "ingested_at": arrived(offset),
        }
        for user, at, country, offset in made
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=CHANGES))


def seen(spark: SparkSession, *facts: tuple[str, float]) -> DataFrame:
    rows = [{"user_id": user, "seen_at": hour(at)} for user, at in facts]
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=SEEN))


def rows(frame: DataFrame) -> list[dict[str, Any]]:
    return frame.orderBy("user_id", "valid_from").toArrow().to_pylist()


def version(user: str, country: str, valid_from: float, valid_to: float | None, offset: int) -> dict[str, Any]:
    """A whole expected row."""
    return {
        "user_key": surrogate_key(user, hour(valid_from)),
        "user_id": user,
        "email": f"{user}@example.org",
        "age": 40,
        "country": country,
        "registration_date": REGISTERED,
        "preferences": ["Books"],
        "valid_from": hour(valid_from),
        "valid_to": None if valid_to is None else hour(valid_to),
        "is_current": valid_to is None,
        "is_inferred": False,
        "recorded_at": arrived(offset),
    }


def stand_in(user: str, valid_to: float | None) -> dict[str, Any]:
    nothing = dict.fromkeys(USER.describing)
    return {
        "user_key": surrogate_key(user, BEGINNING),
        "user_id": user,
        **nothing,
        "valid_from": BEGINNING,
        "valid_to": None if valid_to is None else hour(valid_to),
        "is_current": valid_to is None,
        "is_inferred": True,
        "recorded_at": None,
    }


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param([], [], id="no change"),
        pytest.param([("ada", 1, "DE", 0)], [version("ada", "DE", 1, None, 0)], id="a single change"),
        pytest.param(
            [("ada", 1, "DE", 0), ("ada", 5, "GB", 1), ("ada", 9, "DE", 2)],
            [version("ada", "DE", 1, 5, 0), version("ada", "GB", 5, 9, 1), version("ada", "DE", 9, None, 2)],
            id="a customer who changed country and came back",
        ),
        pytest.param(
            [("ada", 9, "DE", 0), ("ada", 1, "DE", 1), ("ada", 5, "GB", 2)],
            [version("ada", "DE", 1, 5, 1), version("ada", "GB", 5, 9, 2), version("ada", "DE", 9, None, 0)],
            id="out of order",
        ),
        pytest.param(
            [("ada", 1, "DE", 0), ("ada", 5, "GB", 1), ("ada", 5, "GB", 2), ("ada", 1, "DE", 3)],
            [version("ada", "DE", 1, 5, 0), version("ada", "GB", 5, None, 1)],
            id="the same changes twice",
        ),
        pytest.param(
            [("ada", 1, "DE", 0), ("ada", 3, "DE", 1), ("ada", 5, "GB", 2), ("ada", 7, "GB", 3)],
            [version("ada", "DE", 1, 5, 0), version("ada", "GB", 5, None, 2)],
            id="changes of nothing that describes",
        ),
        pytest.param(
            [("ada", 1, "DE", 0), ("ada", 1, "GB", 1), ("ada", 1, "DE", 2)],
            [version("ada", "DE", 1, None, 2)],
            id="changes at the same time: the last one, although it says what the first said",
        ),
        pytest.param(
            [("ada", 1, "DE", 0), ("ada", 1, "GB", 1), ("ada", 1, "GB", 2), ("ada", 5, "DE", 3)],
            [version("ada", "GB", 1, 5, 1), version("ada", "DE", 5, None, 3)],
            id="changes at the same time, the last one twice: known since the first of the two",
        ),
        pytest.param(
            [("ada", 1, "DE", 0), ("ada", 5, "GB", 1), ("ada", 5, "DE", 2)],
            [version("ada", "DE", 1, None, 0)],
            id="back within the same instant: no version",
        ),
        pytest.param(
            [("ada", 23.9999, "DE", 0), ("ada", 24, "GB", 1), ("bob", 24, "US", 2)],
            [version("ada", "DE", 23.9999, 24, 0), version("ada", "GB", 24, None, 1), version("bob", "US", 24, None, 2)],
            id="midnight, two customers",
        ),
    ],
)  # fmt: skip
def test_changes_give_these_versions_in_whatever_order_they_are_read(
    spark: SparkSession, made: list[Change], expected: list[dict[str, Any]]
) -> None:
    for order in (made, made[::-1]):
        assert rows(dimension(changes(spark, *order), seen(spark), USER)) == expected


def test_a_member_with_facts_before_its_first_version_or_without_one_has_an_inferred_row(spark: SparkSession) -> None:
    made = [("ada", 5, "DE", 0), ("bob", 5, "GB", 1)]
    facts = [("ada", 5), ("bob", 4.9999), ("bob", 8), ("eve", 7), ("eve", 3)]
    assert rows(dimension(changes(spark, *made), seen(spark, *facts), USER)) == [
        version("ada", "DE", 5, None, 0),
        stand_in("bob", 5),
        version("bob", "GB", 5, None, 1),
        stand_in("eve", None),
    ]


def test_the_inferred_row_goes_when_a_record_arrives_that_is_older_than_all_facts(spark: SparkSession) -> None:
    made = [("bob", 5, "GB", 0), ("bob", 2, "GB", 1), ("eve", 3, "US", 2)]
    facts = [("bob", 4), ("eve", 3)]
    assert rows(dimension(changes(spark, *made), seen(spark, *facts), USER)) == [
        version("bob", "GB", 2, None, 1),
        version("eve", "US", 3, None, 2),
    ]


def test_what_was_believed_earlier_is_the_dimension_of_what_was_recorded_until_then(spark: SparkSession) -> None:
    made = changes(spark, ("ada", 1, "DE", 0), ("ada", 9, "US", 1), ("ada", 5, "GB", 2))
    believed = made.where(F.col("ingested_at") <= F.lit(arrived(1)))
    assert rows(dimension(believed, seen(spark), USER)) == [
        version("ada", "DE", 1, 9, 0),
        version("ada", "US", 9, None, 1),
    ]


def test_a_late_change_gives_other_keys_to_the_facts_of_its_interval_alone(spark: SparkSession) -> None:
    made: list[Change] = [("ada", 1, "DE", 0), ("ada", 9, "US", 1), ("bob", 1, "DE", 2)]
    times = [("ada", 0.5), ("ada", 1), ("ada", 4.9999), ("ada", 5), ("ada", 8.9999), ("ada", 9), ("bob", 6), ("eve", 6)]
    table = [{"n": n, "user_id": user, "timestamp": hour(at)} for n, (user, at) in enumerate(times)]
    facts = spark.createDataFrame(pa.Table.from_pylist(table, schema=FACTS))
    at = F.col("timestamp")
    before = dimension(changes(spark, *made), seen(spark, *times), USER)
    after = dimension(changes(spark, *made, ("ada", 5, "GB", 3)), seen(spark, *times), USER)

    keyed = with_key(facts, before, USER, at)
    old = {row["n"]: row["user_key"] for row in keyed.collect()}
    assert old == {
        0: surrogate_key("ada", BEGINNING),
        **dict.fromkeys((1, 2, 3, 4), surrogate_key("ada", hour(1))),
        5: surrogate_key("ada", hour(9)),
        6: surrogate_key("bob", hour(1)),
        7: surrogate_key("eve", BEGINNING),
    }
    moved = {row["n"]: row["user_key"] for row in rekeyed(keyed, after, USER, at).collect()}
    assert moved == dict.fromkeys((3, 4), surrogate_key("ada", hour(5)))
    assert {row["n"]: row["user_key"] for row in with_key(facts, after, USER, at).collect()} == old | moved


def test_columns_and_types_are_those_of_the_declared_tables(spark: SparkSession) -> None:
    users = dimension(changes(spark), seen(spark), USER)
    assert dict(users.dtypes) == {
        "user_key": "bigint",
        "user_id": "string",
        "email": "string",
        "age": "int",
        "country": "string",
        "registration_date": "timestamp",
        "preferences": "array<string>",
        "valid_from": "timestamp",
        "valid_to": "timestamp",
        "is_current": "boolean",
        "is_inferred": "boolean",
        "recorded_at": "timestamp",
    }
    assert users.columns == [column.name for column in DIM_USER.columns]
    assert {"product_key", "product_id", *PRODUCT.describing} < {column.name for column in DIM_PRODUCT.columns}


@pytest.mark.parametrize(("seed", "user_count", "change_count"), [(1, 4, 60), (2, 300, 1_500)])
def test_random_changes_and_facts_give_what_duckdb_computes_by_looking_back(
    spark: SparkSession, seed: int, user_count: int, change_count: int
) -> None:
    """DuckDB asks of each instant what was last said until then, and joins facts as of their time."""
    rng = random.Random(seed)
    made = [
        (f"u{rng.randrange(user_count)}", float(rng.randrange(0, 48)), rng.choice(("DE", "GB")), offset)
        for offset in range(change_count)
    ]
    made += [(*change[:3], change_count + n) for n, change in enumerate(rng.sample(made, change_count // 5))]
    rng.shuffle(made)
    table = pa.Table.from_pylist(
        [
            {"n": n, "user_id": f"u{rng.randrange(user_count + 3)}", "timestamp": hour(rng.randrange(-4, 200) / 4)}
            for n in range(500)
        ],
        schema=FACTS,
    )
    frame = changes(spark, *made)
    oracle = duckdb.connect()
    oracle.sql("SET TimeZone = 'UTC'")
    oracle.register("source", frame.toArrow())
    oracle.register("facts", table)
    oracle.sql(
        """
        CREATE TABLE said AS WITH last_said AS (
            SELECT user_id, timestamp, arg_max(country, "offset") AS country FROM source GROUP BY user_id, timestamp),
        revoked AS (
            SELECT user_id, timestamp, max("offset") AS "offset" FROM source JOIN last_said USING (user_id, timestamp)
            WHERE source.country <> last_said.country GROUP BY user_id, timestamp),
        at_instant AS (
            SELECT user_id, timestamp, any_value(last_said.country) AS country, min(ingested_at) AS recorded_at
            FROM source JOIN last_said USING (user_id, timestamp) LEFT JOIN revoked USING (user_id, timestamp)
            WHERE source."offset" > coalesce(revoked."offset", -1) GROUP BY user_id, timestamp)
        SELECT user_id, timestamp AS valid_from, country, recorded_at FROM at_instant now
        WHERE country IS DISTINCT FROM (
            SELECT arg_max(b.country, b.timestamp) FROM at_instant b WHERE b.user_id = now.user_id AND b.timestamp < now.timestamp)
        """
    )
    expected = oracle.sql(
        """
        SELECT user_id, valid_from, country, recorded_at,
               (SELECT min(n.valid_from) FROM said n WHERE n.user_id = s.user_id AND n.valid_from > s.valid_from) AS valid_to
        FROM said s ORDER BY user_id, valid_from
        """
    ).fetchall()
    as_of = oracle.sql(
        """
        SELECT n, f.user_id, v.valid_from FROM facts f
        ASOF LEFT JOIN said v ON f.user_id = v.user_id AND f.timestamp >= v.valid_from ORDER BY n
        """
    ).fetchall()

    facts_frame = spark.createDataFrame(table)
    made_dimension = dimension(frame, facts_frame.withColumnRenamed("timestamp", "seen_at"), USER)
    found = rows(made_dimension)
    names = ("user_id", "valid_from", "country", "recorded_at", "valid_to")
    assert [tuple(row[name] for name in names) for row in found if not row["is_inferred"]] == expected
    keyed = with_key(facts_frame, made_dimension, USER, F.col("timestamp")).orderBy("n").collect()
    assert [(row["n"], row["user_key"]) for row in keyed] == [
        (n, surrogate_key(user, valid_from or BEGINNING)) for n, user, valid_from in as_of
    ]
    missing = {user for _, user, valid_from in as_of if valid_from is None}
    assert missing == {row["user_id"] for row in found if row["is_inferred"]}
    assert {row["user_key"] for row in keyed} <= {row["user_key"] for row in found}
    assert len(missing) >= 3
