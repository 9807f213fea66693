"""The desk's connection to PostgreSQL, and its schema kept up to date."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from api.desk.errors import DeskDatabaseError
from api.migrating import upgrade
from lakehouse.settings import Settings

# What the world outside may do to a transaction; it is tried again. Anything else is a bug.
CURABLE = (OperationalError, InterfaceError, InternalError)
# Keys of advisory locks: any numbers, the same in all processes.
MIGRATION_LOCK = 4_711_001
# A desk that is frozen in a transaction must not keep its locks from the one that takes its place.
_OPTIONS = "-c search_path=public -c idle_in_transaction_session_timeout=60000 -c lock_timeout=20000 -c statement_timeout=30000"


def connect(settings: Settings, awaits_disk: bool = True) -> Engine:
    """An engine for the role of `settings`; it connects when it is used. Raises DeskDatabaseError where no URL is set.

    Without `awaits_disk` a commit returns before it is on disk, which makes notices faster. Should PostgreSQL itself crash
    then, it forgets whole transactions of the last moment: the offsets go with the findings, so these are read again.
    """
    url = settings.postgres_url.get_secret_value()
    if not url.startswith("postgresql://"):
        raise DeskDatabaseError("GLOBALMART_POSTGRES_URL is not set: `globalmart up` makes the desk's account.")
    options = _OPTIONS if awaits_disk else f"{_OPTIONS} -c synchronous_commit=off"
    return create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=8,
        connect_args={"connect_timeout": 5, "application_name": "globalmart-desk", "options": options},
    )


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision; nothing happens where it is. Several may call it at once."""
    upgrade(engine, "api.desk", MIGRATION_LOCK)


def in_words(error: DBAPIError) -> str:
    """What the driver said, in one line and without the statement."""
    lines = str(error.orig).strip().splitlines()
    return f"PostgreSQL: {lines[0] if lines else type(error).__name__}"
