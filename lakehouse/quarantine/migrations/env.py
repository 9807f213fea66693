"""Run by Alembic: brings the schema `quarantine` up to date on the connection that the store hands over."""

from __future__ import annotations

from alembic import context

from lakehouse.quarantine.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, kind, _: kind != "schema" or name == SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
