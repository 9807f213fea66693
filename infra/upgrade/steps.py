"""What an upgrade changes, and doing it: columns are added to tables by their owners, PostgreSQL's schemas are migrated, the record comes last.

Producers go on meanwhile: only the platform's own services are stopped, and Kafka keeps what comes. The lake is marked before the first
change, so an upgrade that was cut short is noticed by every owner and finished by running it again: each step finds what is done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.desk import database as desk
from api.desk import tables as desk_tables
from api.keys import database as keys
from api.keys import tables as keys_tables
from api.migrating import pending, upgrade
from infra import stack, supervision
from infra.backup.restore import SERVERS
from lakehouse import release
from lakehouse.errors import GlobalMartError
from lakehouse.evolution import evolve, missing_columns
from lakehouse.lease import Lease
from lakehouse.release import LAKE_VERSION, OlderLakeError, Release, UpgradeUnfinishedError
from lakehouse.settings import Service, Settings, load_settings
from lakehouse.storage import exists, open_table
from lakehouse.tables import TABLES

Say = Callable[[str], None]
_LOCKS = {"api.desk": desk.MIGRATION_LOCK, "api.keys": keys.MIGRATION_LOCK}
_OWNERS: tuple[Service, ...] = ("streaming", "batch")


class UpgradeError(GlobalMartError):
    """The platform cannot be upgraded as it is."""


@dataclass(frozen=True)
class Plan:
    """`columns` to add by table path; `migrations` that PostgreSQL lacks, by schema; None as `lake_version`: a lake without a record."""

    lake_version: int | None
    is_unfinished: bool
    columns: dict[str, list[str]]
    migrations: dict[str, list[str]]

    @property
    def is_needed(self) -> bool:
        return (
            self.is_unfinished or self.lake_version not in (None, LAKE_VERSION) or bool(self.columns or self.migrations)
        )


@dataclass(frozen=True)
class Upgraded:
    """`pause_seconds`: from the stop of the services until the last of them was healthy again."""

    plan: Plan
    services: list[str]
    pause_seconds: float


def plan(settings: Settings) -> Plan:
    """What there is to do; changes nothing and may run beside everything. Raises NewerLakeError, RestoreUnfinishedError."""
    found = release.read(settings)
    with suppress(OlderLakeError, UpgradeUnfinishedError):  # what an upgrade is for
        release.check(settings)
    columns = {
        table.path: missing
        for table in TABLES
        if exists(settings, table) and (missing := missing_columns(open_table(settings, table), table))
    }
    unfinished = found is not None and found.upgrading_to is not None
    return Plan(found.lake_version if found else None, unfinished, columns, _pending())


def apply(backup: Callable[[], None] | None, say: Say = print) -> Upgraded:
    """Upgrade the local stack's data to this release; `backup` is called first, while the streams still run, unless it is a second try.

    The services that run are stopped and started with this release. Raises UpgradeError where the stack is down, NewerLakeError,
    BackupError, LeaseHeldError, StackError; what was done by then stays done.
    """
    settings = load_settings()
    supervisor = supervision.Supervisor(settings)
    # One that fails again and again is between two tries: it is stopped and started like the others
    tried = {"RUNNING", "STARTING", "BACKOFF"}
    running = [name for name, info in supervisor.processes().items() if info["statename"] in tried]
    if "minio" not in running and not _services_file(settings).exists():
        raise UpgradeError(
            "The stack is down: start it with the release that it was stopped with, or its servers with this one, by `globalmart up`."
        )
    todo = plan(settings)
    if not todo.is_needed:
        release_is_recorded(settings)
        began = time.monotonic()
        services = _start_again(settings, say)
        return Upgraded(todo, services, round(time.monotonic() - began, 1))
    if backup is not None and not todo.is_unfinished:
        say("backing up before anything is changed")
        backup()
    services = _remember(settings, [name for name in running if name not in SERVERS])
    began = time.monotonic()
    for name in reversed([name for name in running if name not in SERVERS]):
        say(f"stopping {name}")
        supervisor.call("stopProcess", name)
    stack.up(only=SERVERS, say=say)
    evolve_lake(say)
    _start_again(settings, say)
    return Upgraded(todo, services, round(time.monotonic() - began, 1))


def evolve_lake(say: Say = print) -> None:
    """Bring tables and PostgreSQL to this release, under both leases. May be repeated after any interruption."""
    owners = {owner: load_settings(owner) for owner in _OWNERS}
    with ExitStack() as owned:
        for owner, settings in owners.items():
            owned.enter_context(Lease(settings, owner, patience_seconds=settings.lease_seconds + 5, say=say))
        streaming = owners["streaming"]
        found = release.read(streaming) or Release(0)
        release.write(streaming, replace(found, upgrading_to=LAKE_VERSION))
        for table in TABLES:
            settings = owners["streaming" if table.owner == "streaming" else "batch"]
            if exists(settings, table):
                added = evolve(open_table(settings, table), table)
                if added:
                    say(f"{table.path}: added {', '.join(added)}")
        _migrate(say)
        release.write(streaming, release.current())


def release_is_recorded(settings: Settings) -> None:
    """Write the record of a lake from before there were records, whose tables are as this release has them."""
    if release.read(settings) is None and exists(settings, TABLES[0]):
        with Lease(load_settings("streaming"), "streaming"):
            release.record(load_settings("streaming"))


def _engines() -> list[tuple[str, str, Engine]]:
    """(package, its schema, an engine of the role that owns it) of what has tables of its own in PostgreSQL."""
    keys_engine = keys.connect(load_settings("operator"))
    found = [("api.desk", desk_tables.SCHEMA, desk.connect(load_settings("desk")))]
    return found + ([("api.keys", keys_tables.SCHEMA, keys_engine)] if keys_engine is not None else [])


def _pending() -> dict[str, list[str]]:
    found = {}
    for package, schema, engine in _engines():
        try:
            revisions = pending(engine, package, schema)
        except SQLAlchemyError as error:
            raise UpgradeError(
                f"PostgreSQL does not say which schema it has: {keys.in_words(error)}. Is it up?"
            ) from None
        finally:
            engine.dispose()
        if revisions:
            found[package] = revisions
    return found


def _migrate(say: Say) -> None:
    for package, _, engine in _engines():
        try:
            upgrade(engine, package, _LOCKS[package])
        except SQLAlchemyError as error:
            raise UpgradeError(f"The schema of {package} cannot be migrated: {keys.in_words(error)}.") from None
        finally:
            engine.dispose()
        say(f"{package}: PostgreSQL is at the newest revision")


def _services_file(settings: Settings) -> Path:
    return supervision.folder(settings) / "upgrade.json"


def _start_again(settings: Settings, say: Say) -> list[str]:
    """Start the services that are written down, and forget them once they run; none where nothing was cut short after its last change."""
    path = _services_file(settings)
    services = json.loads(path.read_text()) if path.exists() else []
    if services:
        stack.up(only=services, say=say)
    path.unlink(missing_ok=True)
    return list(services)


def _remember(settings: Settings, running: list[str]) -> list[str]:
    """The services to start again; after an upgrade that was cut short, those that ran before it."""
    path = _services_file(settings)
    before = json.loads(path.read_text()) if path.exists() else []
    services = sorted({*before, *running})
    path.write_text(json.dumps(services))
    return services
