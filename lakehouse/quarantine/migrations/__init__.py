"""Alembic migrations of the schema `quarantine`."""
