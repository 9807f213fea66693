"""PostgreSQL in a backup: the databases that hold what people decided, by the server's own pg_dump and pg_restore.

The mirror of gold is left out: the refresher makes it anew. So are roles and their passwords: `globalmart up` makes them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from infra.backup.manifest import BackupError
from infra.credentials import postgres_superuser_file
from infra.servers.postgres import apply_roles, binaries, data_folder
from lakehouse.settings import Settings

DATABASES = ("globalmart", "dagster")


def is_there(settings: Settings) -> bool:
    """Whether this stack has a PostgreSQL of its own."""
    return (data_folder(settings) / "PG_VERSION").exists()


def dump(settings: Settings, database: str, into: Path) -> None:
    """One database as of the moment that pg_dump begins. Raises BackupError."""
    _run(settings, "pg_dump", "--format=custom", "--compress=gzip", f"--file={into}", f"--dbname={database}")


def is_empty(settings: Settings) -> bool:
    """Whether no alert, key or decision is there: only what `globalmart up` makes in an empty database."""
    query = (
        "SELECT schemaname, relname FROM pg_stat_user_tables WHERE schemaname IN ('desk', 'quarantine', 'access') "
        "AND relname NOT LIKE '%alembic%'"
    )
    try:
        with psycopg.connect(**_address(settings), dbname="globalmart") as connection:  # type: ignore[arg-type]
            for schema, name in connection.execute(query).fetchall():
                some = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(schema, name))
                if connection.execute(some).fetchone() == (True,):
                    return False
    except psycopg.Error as error:
        raise _refused(error) from None
    return True


def load(settings: Settings, dumps: dict[str, Path]) -> None:
    """Put databases in the place of what is there, and make the mirror's an empty one. Nobody else may be connected; raises BackupError."""
    try:
        with psycopg.connect(**_address(settings), dbname="postgres", autocommit=True) as connection:  # type: ignore[arg-type]
            for database in (*dumps, settings.mirror_database):
                name = sql.Identifier(database)
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
                connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        for database, path in dumps.items():
            fill(settings, database, path)
        apply_roles(settings)
    except psycopg.Error as error:
        raise _refused(error) from None


def fill(settings: Settings, database: str, path: Path) -> None:
    """Load a dump into an empty database, which stays empty where that is cut short: with half of its tables the next start of the stack
    would fail to make the rest, and so would the restore that is to be run again. Raises BackupError.
    """
    _run(settings, "pg_restore", "--single-transaction", f"--dbname={database}", str(path))


def _run(settings: Settings, program: str, *options: str) -> None:
    address = _address(settings)
    where = [f"--host={address['host']}", f"--port={address['port']}", f"--username={address['user']}"]
    environment = os.environ | {"PGPASSWORD": str(address["password"]), "PGCONNECT_TIMEOUT": "10"}
    command = [str(binaries() / program), *where, "--no-password", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BackupError(f"{program} failed: {said[0] if said else 'without a word'}. Is PostgreSQL up?")


def _refused(error: psycopg.Error) -> BackupError:
    said = str(error).strip().splitlines()
    return BackupError(f"PostgreSQL refuses: {said[0] if said else type(error).__name__}. Is it up?")


def _address(settings: Settings) -> dict[str, object]:
    password = postgres_superuser_file(settings).read_text().strip()
    return {"host": "127.0.0.1", "port": settings.postgres_port, "user": "postgres", "password": password}
