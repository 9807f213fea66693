"""Every gold table has a place in the mirror, with a type for each column, a key, and the days that it keeps."""

from __future__ import annotations

import pyarrow as pa
import pytest

from api.mirror.plan import VIEWS, Mirrored, is_nested, mirrored, sql_type
from lakehouse.settings import Settings
from lakehouse.tables import (
    CARTS,
    CUSTOMER_RFM,
    DIM_USER,
    FACT_SALES,
    INVENTORY_LEVELS,
    SALES_BY_MINUTE,
    SESSIONS,
    TABLES,
    Table,
)

PLAN = {one.table.path: one for one in mirrored(Settings(_env_file=None, mirror_days=7))}


def of(table: Table) -> Mirrored:
    return PLAN[table.path]


def test_every_gold_table_is_mirrored_and_no_other() -> None:
    assert set(PLAN) == {table.path for table in TABLES if table.layer == "gold"}


@pytest.mark.parametrize("path", sorted(PLAN))
def test_columns_have_types_and_the_key_and_the_day_are_among_them(path: str) -> None:
    one = PLAN[path]
    assert all(sql_type(column.type) for column in one.columns)
    assert one.key
    assert set(one.key) <= set(one.names)
    assert one.day is None or one.day in one.names
    assert (one.days is None) or one.day
    for index in one.indexes:
        assert set(index) <= set(one.names)


def test_days_follow_the_kind_of_table() -> None:
    assert (of(SALES_BY_MINUTE).day, of(SALES_BY_MINUTE).days) == ("minute", 7)
    assert (of(SESSIONS).day, of(SESSIONS).days) == ("started_date", 7)
    assert (of(INVENTORY_LEVELS).day, of(INVENTORY_LEVELS).days) == (None, None)
    assert (of(FACT_SALES).day, of(FACT_SALES).days) == ("sales_date", 7)
    assert (of(CUSTOMER_RFM).day, of(CUSTOMER_RFM).days) == ("as_of_date", 1)


def test_what_only_says_how_a_row_is_read_is_left_out() -> None:
    assert of(SALES_BY_MINUTE).key == ("minute", "country", "category")
    assert "batch_id" not in of(SALES_BY_MINUTE).names
    assert not {"batch_id", "is_retracted"} & set(of(CARTS).names)


def test_dashboards_may_read_all_but_what_tells_who_a_customer_is() -> None:
    assert set(of(CARTS).names) - set(of(CARTS).readable) == {"user_id"}
    assert of(SALES_BY_MINUTE).readable == of(SALES_BY_MINUTE).names
    marked = [c.name for c in of(DIM_USER).columns if "personal data" in c.meaning]
    assert set(of(DIM_USER).names) - set(of(DIM_USER).readable) == {"user_id", *marked}
    assert all(one.readable for one in PLAN.values())


def test_types_hold_every_value() -> None:
    struct = pa.struct([pa.field("a", pa.string())])
    expected = {
        pa.decimal128(18, 2): "numeric(18, 2)",
        pa.timestamp("us", "UTC"): "timestamptz",
        pa.list_(pa.string()): "text[]",
        pa.list_(struct): "json",
        pa.map_(pa.string(), pa.int64()): "json",
    }
    assert {kind: sql_type(kind) for kind in expected} == expected
    assert [is_nested(kind) for kind in expected] == [False, False, False, True, True]
    with pytest.raises(KeyError):
        sql_type(pa.duration("s"))


def test_views_belong_to_mirrored_tables() -> None:
    assert set(VIEWS) <= set(PLAN)
