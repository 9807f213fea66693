"""Time travel: a table as it was at a version or at a time, and from which version on it can be read. Reads only; no Spark."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri, open_table
from lakehouse.tables import Table

_COMMIT = re.compile(r"^(\d{20})\.json$")
_CHECKPOINT = re.compile(r"^(\d{20})\.checkpoint\..*$")


class TravelError(GlobalMartError):
    """Base: the table cannot be read as it was then."""


class NoSuchVersionError(TravelError):
    """The table never had that version, or did not exist at that time."""


class VersionGoneError(TravelError):
    """The table had that version, and maintenance has since deleted what reading it takes."""


@dataclass(frozen=True)
class Opened:
    """A table opened at `version`, committed at `committed_at` (UTC; None where its commit file is gone). All its files are there."""

    delta: DeltaTable
    version: int
    committed_at: datetime | None


class Log:
    """The versions of one table by what lies in its folder, as of the making of this object."""

    def __init__(self, settings: Settings, table: Table) -> None:
        """Raises NoSuchVersionError where the table does not exist."""
        self.table = table
        self._settings = settings
        self._times: dict[int, datetime | None] = {}
        try:
            self.newest = int(open_table(settings, table).version())
            handler = DeltaStorageHandler(delta_uri(settings, table), delta_options(settings) or None)
            self._folder = pafs.PyFileSystem(handler)
        except TableNotFoundError:
            raise NoSuchVersionError(f"There is no {table.path} in {settings.lake_uri} yet.") from None
        names = [one.base_name for one in self._folder.get_file_info(pafs.FileSelector("_delta_log"))]
        self._commits = {int(found[1]) for name in names if (found := _COMMIT.match(name))}
        self._first_commit = self.newest
        while self._first_commit - 1 in self._commits:
            self._first_commit -= 1
        points = {int(found[1]) for name in names if (found := _CHECKPOINT.match(name))}
        # A version is its nearest checkpoint and the commits after it; without a checkpoint all commits from the first.
        whole = [point for point in points if self._first_commit - 1 <= point <= self.newest]
        self.oldest_in_log = 0 if self._first_commit == 0 else min(whole, default=self.newest)

    def committed_at(self, version: int) -> datetime | None:
        """When `version` was committed (UTC), by its commit's own word; None where the commit file is gone."""
        if version not in self._times:
            self._times[version] = self._read_time(version) if version in self._commits else None
        return self._times[version]

    def _read_time(self, version: int) -> datetime | None:
        with self._folder.open_input_stream(f"_delta_log/{version:020d}.json") as stream:
            actions = [json.loads(line) for line in bytes(stream.read()).splitlines() if line.strip()]
        info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        return datetime.fromtimestamp(info["timestamp"] / 1000, UTC) if "timestamp" in info else None

    def version_at(self, at: datetime) -> int:
        """The newest version committed at `at` or before.

        Raises NoSuchVersionError for a time before the table, VersionGoneError for one before its log.
        """
        versions = range(self._first_commit, self.newest + 1)
        # The log is written by one owner, so its times grow.
        place = bisect_right(versions, at, key=lambda version: self.committed_at(version) or at)
        if place:
            return versions[place - 1]
        first = versions[0]
        if first == 0:
            raise NoSuchVersionError(
                f"{self.table.path} begins at {_words(self.committed_at(0))}: there is nothing of {_words(at)}."
            )
        raise VersionGoneError(
            f"The log of {self.table.path} goes back to {_words(self.committed_at(first))}: {_words(at)} is out of its reach."
        )

    def oldest_readable(self) -> int:
        """The version from which on all can be read: found by looking, not by what the settings promise."""
        present = self._present()
        versions = range(self.oldest_in_log, self.newest + 1)
        return versions[bisect_left(versions, True, key=lambda version: not self._lost(version, present))]

    def is_readable(self, version: int) -> bool:
        return self.oldest_in_log <= version <= self.newest and not self._lost(version, self._present())

    def _lost(self, version: int, present: set[str]) -> bool:
        """Whether a data file of `version` is gone."""
        return any(path not in present for path in paths(open_table(self._settings, self.table, version)))

    def _present(self) -> set[str]:
        """The data files in the folder, by path below it."""
        files: set[str] = set()
        folders = [""]
        while folders:
            for one in self._folder.get_file_info(pafs.FileSelector(folders.pop())):
                if one.type == pafs.FileType.Directory:
                    if one.base_name != "_delta_log":
                        folders.append(one.path)
                else:
                    files.add(one.path)
        return files


def paths(delta: DeltaTable) -> list[str]:
    """Paths of the data files of an opened table, below its folder."""
    return [unquote(path) for path in pa.table(delta.get_add_actions())["path"].to_pylist()]


def open_at(settings: Settings, table: Table, version: int | None = None, at: datetime | None = None) -> Opened:
    """`table` at `version`, or as it was at `at` (with zone), or, with neither, as it is.

    Raises NoSuchVersionError, VersionGoneError, and ValueError where both are given.
    """
    if version is not None and at is not None:
        raise ValueError("a version or a time, not both")
    log = Log(settings, table)
    wanted = log.newest if version is None else version
    if at is not None:
        wanted = log.version_at(at)
    if not 0 <= wanted <= log.newest:
        raise NoSuchVersionError(f"{table.path} has no version {wanted}: its newest is {log.newest}.")
    if not log.is_readable(wanted):
        oldest = log.oldest_readable()
        raise VersionGoneError(
            f"Version {wanted} of {table.path} can no longer be read, since maintenance deleted files of it: "
            f"the oldest is version {oldest} of {_words(log.committed_at(oldest))}."
        )
    return Opened(open_table(settings, table, wanted), wanted, log.committed_at(wanted))


def _words(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "an unknown time"
