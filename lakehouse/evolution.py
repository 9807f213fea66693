"""Tables brought to the schema that the code declares: columns are added, rows that are there have none in them. Run by the table's owner."""

from __future__ import annotations

from deltalake import DeltaTable, Field, Schema

from lakehouse.tables import Table


def missing_columns(delta: DeltaTable, table: Table) -> list[str]:
    """Columns that `table` declares and an opened table has not."""
    there = {field.name for field in delta.schema().fields}
    return [name for name in table.schema.names if name not in there]


def evolve(delta: DeltaTable, table: Table) -> list[str]:
    """Add the missing columns in one commit, nullable whatever they are declared: older rows have none. Returns their names."""
    missing = missing_columns(delta, table)
    if missing:
        fields = {field.name: field for field in Schema.from_arrow(table.schema).fields}
        delta.alter.add_columns([Field(name, fields[name].type, nullable=True) for name in missing])
    return missing
