"""Who is at work on a target. A backup under way relies on contents that no manifest names yet, so nobody may prune meanwhile.

Each leaves a mark `running/<name>` in the target and looks for those of others after it: of two that begin at once, one or both see the other.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from infra.backup.manifest import BackupError
from infra.backup.places import Place

PRUNE = "prune"
_FORGOTTEN_AFTER = timedelta(days=1)
"""A mark as old as this was left by a command that was killed."""


@contextmanager
def marked(target: Place, name: str, now: datetime) -> Iterator[None]:
    """`name` is a backup's id, or `PRUNE`, beside which nothing may be under way. Raises BackupError where that is so."""
    path = f"running/{name}"
    target.write(path, io.BytesIO(now.isoformat().encode()))
    try:
        others = [one for one in _names(target, now) if one != name and PRUNE in (one, name)]
        if others:
            raise BackupError(
                f"{_words(others[0])} is under way in {target}: wait until it has ended. If it was killed, remove {target}/running/{others[0]}."
            )
        yield
    finally:
        target.delete([path])


def _names(target: Place, now: datetime) -> list[str]:
    found = []
    for path in sorted(target.files("running")):
        body = io.BytesIO()
        try:
            target.read(path, body)
            began = datetime.fromisoformat(body.getvalue().decode())
        except (FileNotFoundError, ValueError):  # ended meanwhile; or cut short, by nobody who is still there
            continue
        if now - began < _FORGOTTEN_AFTER:
            found.append(path.removeprefix("running/"))
    return found


def _words(name: str) -> str:
    return "`backup prune`" if name == PRUNE else f"Backup {name}"
