"""Which release of the platform a lake belongs to: `ops/release.json`, read by every owner before it writes, changed by `globalmart upgrade`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields

from lakehouse.errors import GlobalMartError
from lakehouse.lease import FileStore, S3Store, Store
from lakehouse.settings import Settings
from lakehouse.storage import is_s3
from lakehouse.tables import TABLES

LAKE_VERSION = 1
"""Grows by one with each change of what the lake holds: a table's `schema_version`, a new meaning of a column, a schema in PostgreSQL."""
PATH = "ops/release.json"


class ReleaseError(GlobalMartError):
    """This release of the platform and the lake do not belong together."""


class NewerLakeError(ReleaseError):
    """A newer release has upgraded the lake."""


class OlderLakeError(ReleaseError):
    """The lake has not been upgraded to this release."""


class UpgradeUnfinishedError(ReleaseError):
    """An upgrade of the lake was cut short."""


class RestoreUnfinishedError(ReleaseError):
    """A restore of the lake was cut short."""


@dataclass(frozen=True)
class Release:
    """`tables` are schema versions by path; `upgrading_to` is the lake version of an upgrade that has begun and not ended, `restoring`
    the backup of a restore that has.
    """

    lake_version: int
    tables: dict[str, int] = field(default_factory=dict)
    upgrading_to: int | None = None
    restoring: str = ""


def current() -> Release:
    """What this code makes."""
    return Release(LAKE_VERSION, {table.path: table.schema_version for table in TABLES})


def read(settings: Settings) -> Release | None:
    """None for a lake without a record: a new one, or one of before there were records."""
    found = _store(settings).read()
    if found is None:
        return None
    known = {one.name for one in fields(Release)}  # a newer release may have written more, and is to be told as newer
    return Release(**{name: value for name, value in json.loads(found[0]).items() if name in known})


def write(settings: Settings, release: Release) -> None:
    """The caller holds the streaming lease and has that service's rights."""
    store = _store(settings)
    found = store.read()
    store.write(json.dumps(asdict(release)), found[1] if found is not None else None)


def record(settings: Settings) -> None:
    """Write down that this release made the lake's tables, where nobody has."""
    if read(settings) is None:
        write(settings, current())


def check(settings: Settings, older_is_fine: bool = False) -> None:
    """For owners, before they write. Raises a ReleaseError where the lake is of another release, or a change of it was cut short."""
    found = read(settings)
    if found is None:
        return
    if found.restoring:
        raise RestoreUnfinishedError(
            f"A restore of backup {found.restoring} was cut short, so the lake is not whole: run `globalmart restore` with its target again."
        )
    if max(found.lake_version, found.upgrading_to or 0) > LAKE_VERSION:
        raise NewerLakeError(
            f"The lake is of version {max(found.lake_version, found.upgrading_to or 0)} and this release of GlobalMart knows version {LAKE_VERSION}: "
            "nothing was written. Start the newer release, or restore a backup of before the upgrade."
        )
    if found.upgrading_to is not None:
        raise UpgradeUnfinishedError(
            f"An upgrade of the lake to version {found.upgrading_to} was cut short: run `globalmart upgrade apply` again, it goes on where it was."
        )
    if found.lake_version < LAKE_VERSION and not older_is_fine:
        raise OlderLakeError(
            f"The lake is of version {found.lake_version} and this release of GlobalMart of {LAKE_VERSION}: run `globalmart upgrade plan`, "
            "then `globalmart upgrade apply`."
        )


def _store(settings: Settings) -> Store:
    folder, name = PATH.removesuffix(".json").rsplit("/", 1)
    return S3Store(settings, name, folder) if is_s3(settings) else FileStore(settings, name, folder)
