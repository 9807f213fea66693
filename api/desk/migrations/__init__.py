"""Alembic's scripts for the schema `desk`. A change of api/desk/tables.py is a new file in `versions`."""
