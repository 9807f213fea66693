"""The lane's copy of the catalogue: empty at first, then as silver has it now; only real changes count."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from deltalake import DeltaTable, write_deltalake
from test_confirm import NOON, fill, listed

from lakehouse.storage import delta_uri
from lakehouse.streams.catalogue_copy import CatalogueCopy
from lakehouse.tables import PRODUCTS


def copied(copy):
    rows = DeltaTable(str(copy.path)).to_pyarrow_table().sort_by("product_id").to_pylist()
    return [(row["product_id"], row["price"], row["usual_price"]) for row in rows]


def test_without_a_lake_the_copy_is_there_and_empty(file_settings):
    copy = CatalogueCopy(file_settings)
    assert copy.refresh() == 0
    assert (copied(copy), copy.product_count) == ([], 0)


def test_the_copy_follows_silver(file_settings):
    copy = CatalogueCopy(file_settings)
    uri = delta_uri(file_settings, PRODUCTS)
    write_deltalake(uri, listed(("p1", NOON, 0, "20.00"), ("p2", NOON, 1, "30.00")))
    assert copy.refresh() == 2
    assert copied(copy) == [("p1", Decimal("20.00"), Decimal("20.00")), ("p2", Decimal("30.00"), Decimal("20.00"))]
    assert copy.refresh() == 0
    later = NOON + timedelta(days=1)
    changes = listed(("p1", later, 2, "40.00"), ("p2", later, 3, "30.00"), ("p3", later, 4, "1.00"))
    write_deltalake(uri, changes, mode="append")
    assert copy.refresh() == 2
    expected = [("p1", "40.00"), ("p2", "30.00"), ("p3", "1.00")]
    assert copied(copy) == [(product_id, Decimal(price), Decimal("30.00")) for product_id, price in expected]
    assert copy.product_count == 3


def test_a_record_that_changes_nothing_that_the_lane_uses_is_no_new_version(file_settings):
    copy = CatalogueCopy(file_settings)
    uri = delta_uri(file_settings, PRODUCTS)
    write_deltalake(uri, listed(("p1", NOON, 0, "20.00")))
    copy.refresh()
    version = DeltaTable(str(copy.path)).version()
    same = fill(
        PRODUCTS, product_id=["p1"], timestamp=[datetime(2026, 4, 1, tzinfo=UTC)], offset=[5], price=[Decimal("20.00")], ratings=[4.0]
    )  # fmt: skip
    write_deltalake(uri, same, mode="append")
    assert copy.refresh() == 0
    assert DeltaTable(str(copy.path)).version() == version
