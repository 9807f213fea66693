"""The mirror inside the refresher's process: a thread for live tables, and one for the rest, whose loads may take minutes.

The refresher owns all of the mirror: it follows Delta's versions anyway, so a daily run neither waits for PostgreSQL nor fails with
it, what PostgreSQL missed is caught up in the same way as what is new, and no batch process needs an account in the mirror.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api.mirror.follow import CURABLE, Mirror
from api.mirror.plan import Mirrored, mirrored
from api.source import first_line
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

log = logging.getLogger(__name__)


@dataclass
class Follower:
    """One thread. `complete_at`: when it last began a round that left nothing to take; None before the first."""

    name: str
    mirror: Mirror
    complete_at: datetime | None = None
    row_count: int = 0
    problem: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def round(self) -> None:
        """One refresh. What goes wrong outside is kept in `problem`, and told once when it begins and when it has ended."""
        began = datetime.now(UTC)
        try:
            shown = self.mirror.refresh()
            problem = " ".join(self.mirror.problems.values()) or None
            mine = {one.table.path for one in self.mirror.tables}
            count = sum(one.row_count for path, one in shown.items() if path in mine)
        except CURABLE as error:
            problem = str(error) if isinstance(error, GlobalMartError) else first_line(error)
            count = self.row_count
        if problem and not self.problem:
            log.warning("the %s mirror waits: %s", self.name, problem)
        if self.problem and not problem:
            log.warning("the %s mirror goes on", self.name)
        with self._lock:
            self.problem, self.row_count = problem, count
            if problem is None and not self.mirror.is_behind:
                self.complete_at = began

    def said(self) -> dict[str, Any]:
        """For the heartbeat."""
        with self._lock:
            at = self.complete_at.isoformat() if self.complete_at else None
            return {"complete_at": at, "row_count": self.row_count, "reason": self.problem}

    def run(self, seconds: float, stop: threading.Event) -> None:
        """A round every `seconds` until `stop`. A bug ends this thread alone, and the heartbeat says so."""
        try:
            while not stop.is_set():
                began = time.monotonic()
                self.round()
                stop.wait(0 if self.mirror.is_behind else max(0.0, seconds - (time.monotonic() - began)))
        except Exception as error:
            self.problem = f"stopped by a bug: {type(error).__name__}: {first_line(error)}"
            log.exception("the %s mirror has stopped", self.name)


class MirrorService:
    """Both threads, started with the refresher and stopped with it. Without PostgreSQL's address there is no mirror."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._seconds, self._stop = settings.mirror_seconds, stop
        tables = mirrored(settings) if settings.mirror_url else ()
        self.followers = [
            Follower(name, Mirror(settings, chosen))
            for name, chosen in (("live", _where(tables, True)), ("batch", _where(tables, False)))
            if chosen
        ]

    def start(self) -> None:
        for one in self.followers:
            # A daemon: a load that is under way when the process ends is undone by PostgreSQL.
            threading.Thread(
                target=one.run, args=(self._seconds, self._stop), name=f"mirror-{one.name}", daemon=True
            ).start()

    def said(self) -> dict[str, Any]:
        """Per thread: when the mirror was last complete, its rows, and what it waits for."""
        return {one.name: one.said() for one in self.followers}


def _where(tables: Iterable[Mirrored], is_live: bool) -> list[Mirrored]:
    return [one for one in tables if one.is_live == is_live]
