"""Connections to the tables of keys, and their schema kept up to date."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from api.migrating import upgrade
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

# Key of an advisory lock: any number, the same in all processes.
MIGRATION_LOCK = 4_711_002


class KeyStoreError(GlobalMartError):
    """PostgreSQL does not answer, refuses, or has no tables of keys yet."""


def connect(settings: Settings) -> Engine | None:
    """An engine for the role of `settings`, which connects when it is used; None where no PostgreSQL is set."""
    url = settings.postgres_url.get_secret_value()
    if not url:
        return None
    return create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=2,
        max_overflow=0,
        pool_timeout=3,
        pool_pre_ping=True,  # PostgreSQL may have been away since
        # Whoever waits for this is a request, or the look for revoked keys: better an error than a long wait.
        connect_args={
            "connect_timeout": 2,
            "application_name": "globalmart-keys",
            "options": "-c statement_timeout=2000 -c lock_timeout=2000",
            "tcp_user_timeout": 3000,
        },
    )


def migrate(settings: Settings) -> None:
    """Bring the schema to the newest revision, as the role that owns it; nothing happens where it is. Raises KeyStoreError."""
    engine = connect(settings)
    if engine is None:
        raise KeyStoreError("GLOBALMART_POSTGRES_URL is not set: `globalmart up` makes the operator's account.")
    try:
        upgrade(engine, "api.keys", MIGRATION_LOCK)
    except SQLAlchemyError as error:
        raise KeyStoreError(f"The tables of keys cannot be made: {in_words(error)}. Is PostgreSQL up?") from None
    finally:
        engine.dispose()


def in_words(error: SQLAlchemyError) -> str:
    """What the driver said, in one line and without the statement."""
    text = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    return text.splitlines()[0] if text else type(error).__name__
