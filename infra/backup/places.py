"""Where a backup is kept, and the lake it is made of: a folder or an S3 bucket, files by path. No knowledge of what they are."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlparse

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.errors import SettingsError, StorageError
from lakehouse.settings import Settings
from lakehouse.storage import bucket, is_s3, s3_client

_READ_SECONDS = 60
_ATTEMPTS = 4
_MOST_DELETED = 1000  # by one request, says S3
_PART = 64 * 1024 * 1024
_IN_PARTS = 1024 * 1024 * 1024  # S3 takes 5 GiB at most in one request
_ALONE = TransferConfig(
    use_threads=False, multipart_threshold=_IN_PARTS, multipart_chunksize=_PART
)  # the threads are the caller's


class Place(Protocol):
    """Files by path below a root; a path has slashes and no leading one. May be used by several threads."""

    def files(self, below: str = "") -> dict[str, int]:
        """Bytes of each file whose path begins with the folder `below`, by path."""

    def read(self, path: str, into: IO[bytes]) -> None:
        """Raises FileNotFoundError."""

    def write(self, path: str, source: IO[bytes]) -> None:
        """Whole or not at all: a file that is cut short is never seen under `path`."""

    def delete(self, paths: Collection[str]) -> None:
        """What is not there is passed over."""


class Folder:
    """A folder of this machine; made when the first file comes. Its files are for their owner alone: they hold what customers did."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def files(self, below: str = "") -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self._root / below, onerror=_unless_missing):
            for name in names:
                path = Path(folder) / name
                if not name.endswith(".partial"):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        found[path.relative_to(self._root).as_posix()] = path.stat().st_size
        return found

    def read(self, path: str, into: IO[bytes]) -> None:
        with (self._root / path).open("rb") as file:
            shutil.copyfileobj(file, into)

    def write(self, path: str, source: IO[bytes]) -> None:
        place = self._root / path
        _make_private(place.parent)
        partial = place.with_name(f"{place.name}.{os.getpid()}-{threading.get_ident()}.partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(place)

    def delete(self, paths: Collection[str]) -> None:
        for path in paths:
            (self._root / path).unlink(missing_ok=True)


def _unless_missing(error: OSError) -> None:
    """A folder that is not there has no files; of one that cannot be read nobody knows."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _make_private(folder: Path) -> None:
    """Make what is missing of a path, each folder of mode 0700."""
    for one in reversed([folder, *folder.parents]):
        one.mkdir(mode=0o700, exist_ok=True)


class Bucket:
    """Keys of a bucket below `prefix`. Its errors are StorageError, in one sentence."""

    def __init__(self, client: Any, name: str, prefix: str) -> None:
        self._client, self._name = client, name
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def __str__(self) -> str:
        return f"s3://{self._name}/{self._prefix}"

    def files(self, below: str = "") -> dict[str, int]:
        prefix = self._prefix + (f"{below.strip('/')}/" if below else "")
        found: dict[str, int] = {}
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix):
                found |= {one["Key"][len(self._prefix) :]: one["Size"] for one in page.get("Contents", ())}
        except (ClientError, BotoCoreError) as error:
            raise self._refused(prefix, error) from error
        return found

    def read(self, path: str, into: IO[bytes]) -> None:
        try:
            self._client.download_fileobj(self._name, self._prefix + path, into, Config=_ALONE)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                raise FileNotFoundError(path) from error
            raise self._refused(path, error) from error
        except BotoCoreError as error:
            raise self._refused(path, error) from error

    def write(self, path: str, source: IO[bytes]) -> None:
        try:
            if source.seek(0, os.SEEK_END) >= _IN_PARTS:
                source.seek(0)
                self._client.upload_fileobj(source, self._name, self._prefix + path, Config=_ALONE)
                return
            source.seek(0)
            # a body of known length, so that nothing has to be sent in chunks with a trailer, which not every S3 server reads
            self._client.put_object(Bucket=self._name, Key=self._prefix + path, Body=source)
        except (ClientError, BotoCoreError) as error:
            raise self._refused(path, error) from error

    def delete(self, paths: Collection[str]) -> None:
        keys = [{"Key": self._prefix + path} for path in paths]
        try:
            for start in range(0, len(keys), _MOST_DELETED):
                chunk = {"Objects": keys[start : start + _MOST_DELETED], "Quiet": True}
                answer = self._client.delete_objects(Bucket=self._name, Delete=chunk)
                for error in answer.get("Errors", ()):
                    raise StorageError(f"{self} refuses to delete {error['Key']}: {error.get('Message', '')}")
        except (ClientError, BotoCoreError) as error:
            raise self._refused("deletions", error) from error

    def _refused(self, what: str, error: Exception) -> StorageError:
        return StorageError(f"The S3 service refuses {what} of {self}: {error}.")


def lake_place(settings: Settings) -> Place:
    """The lake's root, with the rights of `settings`."""
    if not is_s3(settings):
        return Folder(Path(unquote(urlparse(settings.lake_uri).path)))
    prefix = settings.lake_uri.split("://", 1)[1].partition("/")[2]
    return Bucket(s3_client(settings, _READ_SECONDS, _ATTEMPTS), bucket(settings), prefix)


def target_place(settings: Settings, target: str) -> Place:
    """A folder, or `s3://bucket/prefix` with the backup account of the settings. Raises SettingsError."""
    if not target.startswith(("s3://", "s3a://")):
        return Folder(_folder(target))
    if not settings.backup_s3_access_key:
        raise SettingsError(
            f"{target} needs an account of its own, which the lake's services do not have: set GLOBALMART_BACKUP_S3_ENDPOINT, "
            "GLOBALMART_BACKUP_S3_ACCESS_KEY and GLOBALMART_BACKUP_S3_SECRET_KEY."
        )
    account = settings.model_copy(
        update={
            "s3_endpoint": settings.backup_s3_endpoint or settings.s3_endpoint,
            "s3_access_key": settings.backup_s3_access_key,
            "s3_secret_key": settings.backup_s3_secret_key,
        }
    )
    name, _, prefix = target.split("://", 1)[1].partition("/")
    return Bucket(s3_client(account, _READ_SECONDS, _ATTEMPTS), name, prefix)


def _folder(target: str) -> Path:
    """Raises SettingsError for what would quietly be taken for a folder of this machine, and is none.

    A bare word that is no folder is rather a subcommand mistyped: `globalmart backup status`.
    """
    folder = Path(unquote(urlparse(target).path)) if target.startswith("file:") else Path(target)
    if not target.strip() or ("://" in target and not target.startswith("file:")):
        raise SettingsError(
            f"{target!r} is no place for backups: name a folder, such as /mnt/backups/shop, or s3://bucket/prefix."
        )
    if folder.parts == (target,) and not folder.exists():
        raise SettingsError(
            f"{target!r} is neither a subcommand nor a folder that is there: `./{target}` makes one here, and `globalmart backup --help` lists "
            "the subcommands."
        )
    if folder.exists() and not folder.is_dir():
        raise SettingsError(
            f"{folder} is a file: name a folder for backups, such as /mnt/backups/shop, or s3://bucket/prefix."
        )
    return folder.absolute()
