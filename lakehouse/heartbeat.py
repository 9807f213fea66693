"""What every service does: say in a small file how it is, for `globalmart status` and `/ready`, and stop when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from lakehouse.settings import Settings

STALE_SECONDS = 15
_BEAT_SECONDS = 2


def beat(settings: Settings, service: str, state: str, **details: Any) -> None:
    """Write that `service` is `state` (`starting`, `running`, `waiting`, `failed`; `ended` what ends by itself); `details` must fit JSON."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    path = settings.run_dir / f"{service}.json"
    body = {
        "service": service,
        "state": state,
        "pid": os.getpid(),
        "updated_at": datetime.now(UTC).isoformat(),
        **details,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(body))
    partial.replace(path)


def read(settings: Settings, service: str) -> dict[str, Any] | None:
    """The last heartbeat with `age_seconds` and `is_stale` added; None where there never was one."""
    try:
        body: dict[str, Any] = json.loads((settings.run_dir / f"{service}.json").read_text())
    except FileNotFoundError:
        return None
    body["age_seconds"] = (datetime.now(UTC) - datetime.fromisoformat(body["updated_at"])).total_seconds()
    body["is_stale"] = body["age_seconds"] > STALE_SECONDS
    return body


class Pulse:
    """Repeats a service's last word every two seconds from its making on, so that a long batch does not look like a dead service.

    `checked_at` in the heartbeat is when the service last said something itself, so that a hung one is not taken for well.
    As a context it says `failed`, and why, when an exception leaves it.
    """

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings, self._service = settings, service
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._started_at = datetime.now(UTC).isoformat()
        self.say("starting")
        self._thread = threading.Thread(target=self._repeat, name=f"pulse-{service}", daemon=True)
        self._thread.start()

    def say(self, state: str, **details: Any) -> None:
        """Beat now, and repeat it; see `beat`."""
        now = datetime.now(UTC).isoformat()
        self._said = {"state": state, **details, "checked_at": now, "started_at": self._started_at}
        self._beat()

    def _beat(self) -> None:
        with self._lock, suppress(OSError):  # a full disk must not end the service; without a beat it shows as stale
            beat(self._settings, self._service, **self._said)

    def _repeat(self) -> None:
        while not self._stopped.wait(_BEAT_SECONDS):
            self._beat()

    def __enter__(self) -> Pulse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if kind is not None:
            self.say("failed", reason=f"{kind.__name__}: {error}")


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on; to be called in the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
