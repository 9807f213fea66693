"""`docs/warehouse.md` says what the tables declare, and its diagram joins keys that fit."""

from __future__ import annotations

import re

import pytest

from lakehouse.settings import CHECKOUT
from lakehouse.tables import BY_PATH
from lakehouse.tables.reference import JOINS, MADE_FROM, definition, page, warehouse


def test_the_page_in_docs_is_up_to_date() -> None:
    assert (CHECKOUT / "docs" / "warehouse.md").read_text(encoding="utf-8") == page()


def test_every_column_of_every_table_is_on_the_page_with_its_meaning() -> None:
    text = page()
    for table in warehouse():
        section = text.split(f"## `{table.path}`\n")[1].split("\n## ")[0]
        assert f"One row: {table.grain}. Key: " in section
        rows = [
            line for line in section.splitlines() if line.startswith("| `")
        ]  # no other table has code in its first cell
        assert [row.split(" | ")[0] for row in rows] == [f"| `{column.name}`" for column in table.columns]
        assert all(row.endswith(f" | {column.meaning} |") for row, column in zip(rows, table.columns, strict=True))


@pytest.mark.parametrize(("fact", "column", "dimension"), JOINS)
def test_what_the_diagram_joins_is_the_key_of_a_dimension_and_of_its_type(
    fact: str, column: str, dimension: str
) -> None:
    joined = BY_PATH[f"gold/{dimension}"]
    (key,) = joined.key
    assert BY_PATH[f"gold/{fact}"].schema.field(column).type == joined.schema.field(key).type


def test_every_key_column_of_a_fact_is_joined() -> None:
    named = {
        (table.name, column.name) for table in warehouse() for column in table.columns if "`dim_" in column.meaning
    }
    assert named <= {(fact, column) for fact, column, _ in JOINS}
    facts = {table.name for table in warehouse() if table.name.startswith("fact_")}
    assert facts == {fact for fact, _, _ in JOINS}


def test_every_mart_is_in_the_diagram_of_sources_and_says_its_definition_with_a_source() -> None:
    text = page()
    marts = {table for table in warehouse() if not table.name.startswith(("dim_", "fact_"))}
    assert set(MADE_FROM) == marts
    for mart in marts:
        assert f"--> {mart.name}\n" in text
        words = "\n".join(definition(mart))
        assert words in text.split(f"## `{mart.path}`\n")[1].split("\n## ")[0]
        assert re.search(r"https://|\b(19|20)\d\d\b|, chapter", words), mart.path
