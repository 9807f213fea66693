"""Leases: one process at a time owns a set of tables. A JSON object in the lake, replaced only by who read it last."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol
from urllib.parse import unquote, urlparse

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.errors import LeaseHeldError, StorageError
from lakehouse.settings import Settings
from lakehouse.storage import bucket, is_s3, s3_client

FOLDER = "ops/leases"
_WAIT_SECONDS = 1


@dataclass(frozen=True)
class Holder:
    """Who has the lease: `pid` and `process_started` (Unix seconds) name a process on `host` beyond doubt."""

    host: str
    pid: int
    process_started: float
    term: int
    expires_at: float
    released: bool = False

    def is_gone(self) -> bool:
        """True where it surely no longer runs; a process on another host is only gone when its lease has run out."""
        if self.released or time.time() > self.expires_at:
            return True
        if self.host != socket.gethostname():
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.process_started) > 1)
        except psutil.NoSuchProcess:
            return True


class StaleError(Exception):
    """The object is not what was read last."""


class Store(Protocol):
    def read(self) -> tuple[str, str] | None:
        """(text, tag), None where there is no object."""

    def write(self, text: str, tag: str | None) -> str:
        """Replace what has `tag` (None: nothing is there) and return the new tag. Raises StaleError."""


class S3Store:
    """Conditional PUT: S3 itself lets exactly one of several writers win."""

    def __init__(self, settings: Settings, name: str, folder: str = FOLDER) -> None:
        self._bucket = bucket(settings)
        prefix = settings.lake_uri.split("://", 1)[1].partition("/")[2].rstrip("/")
        self._key = f"{prefix}/{folder}/{name}.json".lstrip("/")
        self._client = s3_client(settings)

    def read(self) -> tuple[str, str] | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key)
            return answer["Body"].read().decode(), answer["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise StorageError(f"S3 refuses the lease {self._key} in bucket {self._bucket}: {error}.") from error
        except BotoCoreError as error:
            raise StorageError(f"S3 does not answer at {self._client.meta.endpoint_url}: {error}.") from error

    def write(self, text: str, tag: str | None) -> str:
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        try:
            answer = self._client.put_object(Bucket=self._bucket, Key=self._key, Body=text.encode(), **condition)
            return str(answer["ETag"])
        except ClientError as error:
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                raise StaleError from error
            raise StorageError(f"S3 refuses the lease {self._key} in bucket {self._bucket}: {error}.") from error
        except BotoCoreError as error:
            raise StorageError(f"S3 does not answer at {self._client.meta.endpoint_url}: {error}.") from error


class FileStore:
    """For a lake on a local disk: the same promise by a file lock."""

    def __init__(self, settings: Settings, name: str, folder: str = FOLDER) -> None:
        self._path = Path(unquote(urlparse(settings.lake_uri).path)) / folder / f"{name}.json"

    def read(self) -> tuple[str, str] | None:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None
        return text, hashlib.sha256(text.encode()).hexdigest()

    def write(self, text: str, tag: str | None) -> str:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            current = self.read()
            if (current[1] if current else None) != tag:
                raise StaleError
            partial = self._path.with_suffix(".partial")
            partial.write_text(text)
            partial.replace(self._path)
        return hashlib.sha256(text.encode()).hexdigest()


class Lease:
    """Held from `acquire` (or `with`) to `release`, renewed by a thread. `on_lost` is called, once, when it has been taken away.

    Where another process has it, waits up to `patience_seconds` and says so, once for each holder, by `say`. Raises LeaseHeldError
    when another process has it still, StorageError when the store cannot be asked.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        on_lost: Callable[[], None] | None = None,
        patience_seconds: float = 0,
        say: Callable[[str], None] = print,
    ) -> None:
        self._seconds = settings.lease_seconds
        self._patience_seconds = patience_seconds
        self._say = say
        self._name = name
        self._store: Store = S3Store(settings, name) if is_s3(settings) else FileStore(settings, name)
        self._on_lost = on_lost or self._leave
        self._stop = threading.Event()
        self._tag = ""
        self._term = 0

    @property
    def term(self) -> int:
        """Counts the holders: grows by one each time the lease changes hands."""
        return self._term

    def acquire(self) -> None:
        deadline = time.monotonic() + self._patience_seconds
        holder = ""
        while True:
            try:
                self._take()
                break
            except LeaseHeldError as error:
                if time.monotonic() >= deadline:
                    raise
                if str(error) != holder:
                    holder = str(error)
                    self._say(f"Waiting for the {self._name} lease, {self._patience_seconds:.0f} s at most. {holder}")
                time.sleep(_WAIT_SECONDS)
        threading.Thread(target=self._renew, name=f"lease-{self._name}", daemon=True).start()

    def _take(self) -> None:
        found = self._store.read()
        if found is not None:
            holder = Holder(**json.loads(found[0]))
            if not holder.is_gone():
                raise LeaseHeldError(
                    f"Process {holder.pid} on {holder.host} owns the {self._name} tables of this lake; "
                    "stop it first, or wait until its lease has run out."
                )
            self._term = holder.term + 1
        else:
            self._term = 1
        try:
            self._tag = self._write(found[1] if found else None)
        except StaleError:
            raise LeaseHeldError(f"Another process took the {self._name} lease at this very moment.") from None

    def release(self) -> None:
        """Give it back, so that the next holder need not wait."""
        self._stop.set()
        try:
            self._store.write(self._text(released=True), self._tag)
        except (StaleError, StorageError):
            return  # it is no longer ours, or it runs out by itself

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._stop.wait(self._seconds / 3):
            try:
                self._tag = self._write(self._tag)
                renewed = time.monotonic()
            except StaleError:
                if not self._stop.is_set():
                    self._on_lost()
                return
            except StorageError:
                if time.monotonic() - renewed > self._seconds:
                    self._on_lost()
                    return

    def _leave(self) -> None:
        """End this process at once: whatever it has under way is no longer its to write."""
        print(
            f"globalmart {self._name}: the lease was lost to another process, so this one stops.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(75)

    def _write(self, tag: str | None) -> str:
        """Write the lease anew. What is there may be ours already: of a try whose answer was lost. Raises StaleError."""
        text = self._text()
        try:
            return self._store.write(text, tag)
        except StaleError:
            found = self._store.read()
            if found is not None and found[0] == text:
                return found[1]
            raise

    def _text(self, released: bool = False) -> str:
        me = psutil.Process()
        holder = Holder(
            socket.gethostname(), me.pid, me.create_time(), self._term, time.time() + self._seconds, released
        )
        return json.dumps(asdict(holder))

    def __enter__(self) -> Lease:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
