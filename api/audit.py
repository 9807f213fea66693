"""The audit log: who read personal data unmasked, and who changed what; appended, never rewritten.

One JSON object a line in `audit/api-YYYY-MM-DD.jsonl` of the state folder. Files and no table, because it must be possible to
write while PostgreSQL is away (or personal data could not be served then), because one append costs microseconds, and
because a log collector can take them along. A line is written before the answer leaves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import orjson
from starlette.types import Scope

from api.access import Access
from lakehouse.settings import Settings

What = Literal[
    "personal_read", "change", "sign_in", "sign_in_refused", "sign_out", "key_issued", "key_revoked", "key_end_changed"
]
_LONGEST = 2000


def _now() -> datetime:
    return datetime.now(UTC)


class Audit:
    """Appends to the file of the day; files older than the setting are removed when a new day begins."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = _now) -> None:
        self._folder = settings.audit_dir
        self._keep = timedelta(days=settings.audit_days)
        self._now = now
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._file = -1

    def request(self, what: What, scope: Scope, access: Access | None, **more: Any) -> None:
        """Note what a request does: key, method, path and query, and the address that it came from."""
        client = scope.get("client")
        query = scope.get("query_string", b"").decode("latin-1")
        self.write(
            what=what,
            key_id=access.key_id if access else None,
            key_name=access.name if access else None,
            method=scope["method"],
            path=scope["path"][:_LONGEST],
            query=query[:_LONGEST],
            client=client[0] if client else None,
            **more,
        )

    def write(self, what: What, **facts: Any) -> None:
        """Raises OSError where the line cannot be written: then what it would tell of must not happen either."""
        at = self._now()
        line = orjson.dumps({"at": at, "what": what, **facts}, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            # One write with O_APPEND: lines of several workers never mix.
            os.write(self._open(at), line)

    def _open(self, at: datetime) -> int:
        path = self._folder / _name(at)
        if path != self._path:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self.close()
            self._path, self._file = path, file
            oldest = _name(at - self._keep)
            for old in self._folder.glob("api-*.jsonl"):
                if old.name < oldest:
                    old.unlink(missing_ok=True)
        return self._file

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._path, self._file = None, -1


def lines(settings: Settings, days: int, now: datetime) -> list[dict[str, Any]]:
    """What was noted on the last `days` days up to `now` (UTC days), oldest first."""
    found = []
    for back in reversed(range(days)):
        path = settings.audit_dir / _name(now - timedelta(days=back))
        if path.exists():
            found += [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return found


def _name(at: datetime) -> str:
    return f"api-{at:%Y-%m-%d}.jsonl"
