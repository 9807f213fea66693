"""Column lineage names columns that exist, and leaves out no column of a gold table that batch makes from others."""

from __future__ import annotations

import pytest

from lakehouse.tables import BY_PATH as TABLES
from orchestration.lineage import _LINEAGE, column_lineage, column_sources

# Chosen by the run, or by the calendar.
GIVEN = {"as_of_date"}
FROM_NOTHING = {"gold/dim_date", "gold/dim_country", "gold/dim_payment_method"}


@pytest.mark.parametrize("path", sorted(_LINEAGE))
def test_columns_and_their_sources_exist(path: str) -> None:
    table = TABLES[path]
    declared = {name for names in _LINEAGE[path].made for name in names.split()}
    assert declared <= {column.name for column in table.columns}
    for sources in column_sources(table, TABLES).values():
        for source in sources:
            of, _, column = source.rpartition(".")
            assert column in {one.name for one in TABLES[of].columns}, source


@pytest.mark.parametrize(
    "path",
    sorted(path for path, t in TABLES.items() if t.owner == "batch" and t.layer == "gold" and path not in FROM_NOTHING),
)
def test_each_column_that_batch_makes_has_a_source(path: str) -> None:
    table = TABLES[path]
    assert set(column_sources(table, TABLES)) == {column.name for column in table.columns} - GIVEN


def test_a_fact_comes_from_silver_and_its_keys_from_the_dimension() -> None:
    deps = column_lineage(TABLES["gold/fact_sales"], TABLES).deps_by_column
    named = {
        column: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps[column]}
        for column in ("line_amount", "user_key")
    }
    assert named == {
        "line_amount": {"silver/transaction_items.line_amount"},
        "user_key": {
            "gold/dim_user.user_key",
            "silver/transaction_items.user_id",
            "silver/transaction_items.timestamp",
        },
    }
