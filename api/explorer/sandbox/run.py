"""Runs a statement in the worker and ends it when it is late; says in a sentence what went wrong."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.access import Access
from api.errors import QueryLimitError, ServingError
from api.explorer.sandbox.sources import Source, sources
from api.serving import Generation
from lakehouse.settings import CHECKOUT

SECONDS = 10.0
MEMORY_MIB = 512
MOST_ROWS = 1_000
MOST_DOWNLOADED = 100_000
_MOST_BYTES = 32 * 1024**2
LONGEST = 20_000
_AT_ONCE = 2
# Starting Python and opening the files is not the statement's time.
_START_SECONDS = 5.0


class StatementError(ServingError):
    """The statement was refused or failed; the sentence is for the one who wrote it."""


@dataclass(frozen=True)
class Result:
    """Rows of a statement: values as JSON has them, decimals and times as text. `is_cut`: there were more than allowed."""

    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    is_cut: bool
    tables: tuple[str, ...]
    is_personal: bool


_places = threading.BoundedSemaphore(_AT_ONCE)


def run(
    generation: Generation,
    access: Access,
    sql: str,
    versions: Mapping[str, int] | None = None,
    most_rows: int = MOST_ROWS,
    seconds: float = SECONDS,
) -> Result:
    """The result of `sql` on what `access` may see, at the `versions` of the tables that are given.

    Raises StatementError for what is wrong with it, QueryLimitError for what takes too long, too much, or comes while others run.
    """
    if len(sql) > LONGEST:
        raise StatementError(f"The statement is longer than {LONGEST:,} characters.")
    if not _places.acquire(blocking=False):
        raise QueryLimitError("Other statements are running: try again in a few seconds.")
    try:
        found = sources(generation, access, secrets.token_hex(16), versions)
        outcome = _work(generation, found, sql, most_rows, seconds)
    finally:
        _places.release()
    if "refused" in outcome:
        raise StatementError(outcome["refused"])
    if outcome.get("limit") == "memory":
        raise QueryLimitError(f"The statement needs more than {MEMORY_MIB} MiB: group more, or read fewer rows.")
    read = tuple(outcome["tables"])
    columns = [(name, kind) for name, kind in outcome["columns"]]
    return Result(columns, outcome["rows"], outcome["is_cut"], read, any(found[name].is_personal for name in read))


def _work(
    generation: Generation, found: Mapping[str, Source], sql: str, most_rows: int, seconds: float
) -> dict[str, Any]:
    task = {
        "files": {alias: str(path) for alias, path in generation.files.items()},
        "views": {name: source.select for name, source in found.items()},
        "sql": sql,
        "seconds": seconds,
        "memory_mib": MEMORY_MIB,
        "most_rows": most_rows,
        "most_bytes": _MOST_BYTES,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "api.explorer.sandbox.worker"],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=seconds + _START_SECONDS,
            cwd=CHECKOUT,
            env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(CHECKOUT), "HOME": "/nonexistent"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise QueryLimitError(
            f"The statement ran longer than {seconds:g} seconds: read fewer rows, or join less."
        ) from None
    if done.returncode != 0:
        # Ended by one of its limits, which leave no time for words: too much memory, or too much processor time.
        raise QueryLimitError(f"The statement was stopped: it took more than {seconds:g} seconds or {MEMORY_MIB} MiB.")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome
