"""Heartbeats: each service says in a small file how it is; `globalmart status` and `/ready` read them."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

from lakehouse.settings import Settings

STALE_SECONDS = 15
_BEAT_SECONDS = 2


def beat(settings: Settings, service: str, state: str, **details: Any) -> None:
    """Write that `service` is `state` (`starting`, `running`, `waiting`, `failed`); `details` must fit JSON."""
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
    """A service's heartbeat: a thread that says every two seconds how it is, until the process ends."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings = settings
        self._service = service
        self._said: dict[str, Any] = {"state": "starting"}
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def say(self, state: str, **details: Any) -> None:
        """What the next beats say; see `beat`."""
        self._said = {"state": state, **details}

    def _run(self) -> None:
        while True:
            said = dict(self._said)
            beat(self._settings, self._service, said.pop("state"), **said)
            time.sleep(_BEAT_SECONDS)
