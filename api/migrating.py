"""Schemas in PostgreSQL kept up to date: what the packages with tables of their own share."""

from __future__ import annotations

from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, select


def upgrade(engine: Engine, package: str, lock: int) -> None:
    """Bring the schema of `package` (its folder `migrations`) to the newest revision; nothing happens where it is.

    Several may call it at once: `lock` is the key of the advisory lock that they wait for, a number of each package's own.
    Raises SQLAlchemy's errors.
    """
    config = _configuration(package)
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(lock)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending(engine: Engine, package: str, schema: str) -> list[str]:
    """The revisions that the schema of `package` has not had, oldest first; none where it was never made. Raises SQLAlchemy's errors."""
    script = ScriptDirectory.from_config(_configuration(package))
    with engine.connect() as connection:
        there = MigrationContext.configure(connection, opts={"version_table_schema": schema}).get_current_revision()
    if there is None:
        return []
    return [one.revision for one in script.iterate_revisions("head", there)][::-1]


def _configuration(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files(package) / "migrations"))
    return config
