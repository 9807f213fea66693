"""Schemas in PostgreSQL kept up to date: what the packages with tables of their own share."""

from __future__ import annotations

from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, func, select


def upgrade(engine: Engine, package: str, lock: int) -> None:
    """Bring the schema of `package` (its folder `migrations`) to the newest revision; nothing happens where it is.

    Several may call it at once: `lock` is the key of the advisory lock that they wait for, a number of each package's own.
    Raises SQLAlchemy's errors.
    """
    config = Config()
    config.set_main_option("script_location", str(resources.files(package) / "migrations"))
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(lock)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
