"""The S3 policies follow the tables' owners."""

from typing import Any

from infra.s3_users import policies, written_prefixes
from lakehouse.settings import Settings
from lakehouse.tables import TABLES


def _resources(policy: dict[str, Any], action: str) -> list[str]:
    return [place for part in policy["Statement"] if action in part["Action"] for place in part["Resource"]]


def test_every_table_is_written_by_its_owner_alone() -> None:
    written = written_prefixes()
    for table in TABLES:
        writers = [owner for owner, patterns in written.items() if f"{table.path}/*" in patterns]
        assert writers == [table.owner]


def test_beside_their_tables_they_write_their_leases_the_release_and_the_rebuilds_workspace_alone() -> None:
    tables = {f"{table.path}/*" for table in TABLES}
    rest = {owner: set(patterns) - tables for owner, patterns in written_prefixes().items()}
    streaming = {"ops/leases/streaming*", "ops/release.json", "_rebuild/*"}
    assert rest == {"streaming": streaming, "batch": {"ops/leases/batch*"}}


def test_reader_serving_and_api_write_nothing() -> None:
    made = policies(Settings(_env_file=None, lake_uri="s3a://lake"))
    assert _resources(made["reader"], "s3:PutObject") == []
    assert _resources(made["serving"], "s3:PutObject") == []
    assert _resources(made["api"], "s3:PutObject") == []
    assert _resources(made["reader"], "s3:GetObject") == ["arn:aws:s3:::lake/*"]


def test_a_lake_below_a_prefix_opens_only_that_prefix() -> None:
    made = policies(Settings(_env_file=None, lake_uri="s3a://lake/shop"))
    assert _resources(made["serving"], "s3:GetObject") == [
        "arn:aws:s3:::lake/shop/gold/*",
        "arn:aws:s3:::lake/shop/silver/*",
        "arn:aws:s3:::lake/shop/ops/*",
    ]
    assert all(place.startswith("arn:aws:s3:::lake/shop/") for place in _resources(made["batch"], "s3:PutObject"))
