"""A heartbeat that goes on while its service is busy: a thread repeats the last word every two seconds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from lakehouse.heartbeat import beat
from lakehouse.settings import Settings

_SECONDS = 2.0


class Pulse:
    """`with Pulse(settings, "refresher") as pulse:` beats `starting` until `set` says more.

    `checked_at` in the heartbeat is when the service last said something itself, so that a hung one is not taken for well.
    """

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings = settings
        self._service = service
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=f"pulse-{service}", daemon=True)
        self._said: tuple[str, dict[str, Any]] = ("starting", {})

    def set(self, state: str, **details: Any) -> None:
        with self._lock:
            self._said = (state, {**details, "checked_at": datetime.now(UTC).isoformat()})
        self._beat()

    def _beat(self) -> None:
        with self._lock:
            state, details = self._said
            try:
                beat(self._settings, self._service, state, **details)
            except OSError:
                # A full disk must not end the service; without a beat it shows as stale, which is the truth.
                return

    def _repeat(self) -> None:
        while not self._stopped.wait(_SECONDS):
            self._beat()

    def __enter__(self) -> Pulse:
        self.set("starting")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if kind is not None:
            self.set("failed", reason=f"{kind.__name__}: {error}")
