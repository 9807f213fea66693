"""The cache that all checkouts of a machine share: folders that are made once, whole or not at all. Standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """`GLOBALMART_CACHE_DIR`, or `globalmart` in the user's cache folder."""
    named = os.environ.get("GLOBALMART_CACHE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "globalmart"


def content_name(stem: str, *contents: bytes | str) -> str:
    """A folder name that changes with what the folder is made from."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content.encode() if isinstance(content, str) else content)
        digest.update(b"\0")
    return f"{stem}-{digest.hexdigest()[:16]}"


@contextmanager
def locked(name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the machine-wide lock `name`; `on_wait` is called when another process holds it. A dead holder frees it."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait:
                on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def make_once(name: str, make: Callable[[Path], None], on_wait: Callable[[], None] | None = None) -> Path:
    """The folder `name` of the cache, filled by `make(partial folder)` unless it is there.

    An interrupted `make` leaves only a partial folder, which the next call removes and does again.
    """
    folder = cache_dir() / name
    if folder.is_dir():
        return folder
    with locked(name, on_wait):
        if folder.is_dir():
            return folder
        for leftover in cache_dir().glob(f"{name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{name}.partial-", dir=cache_dir()))
        try:
            make(partial)
            partial.chmod(0o755)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder
