"""Looks at the streaming tables while something runs: how many files each has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from deltalake.exceptions import TableNotFoundError

from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import TABLES


@dataclass(frozen=True)
class Look:
    """How many files the newest version of each streaming table had at a time, by path."""

    at: datetime
    files: dict[str, int]


@contextmanager
def looking(settings: Settings, every: float) -> Iterator[list[Look]]:
    """Count files every so many seconds for as long as the block runs."""
    looks: list[Look] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(every):
            looks.append(Look(datetime.now(UTC), _files(settings)))

    thread = threading.Thread(target=look, name="files", daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        done.set()
        thread.join()


def _files(settings: Settings) -> dict[str, int]:
    found = {}
    for table in TABLES:
        if table.owner == "streaming":
            try:
                found[table.path] = len(open_table(settings, table).file_uris())
            except TableNotFoundError:
                continue
    return found
