"""Alembic's scripts for the schema `access`. A change of api/keys/tables.py is a new file in `versions`."""
