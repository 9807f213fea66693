"""What every benchmark stands on: its result, and a throw-away stack that is gone afterwards, whatever ended the benchmark."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from infra import envfile, stack
from ingestion import options as traffic
from ingestion.run import run
from ingestion.shares import Shares
from lakehouse import heartbeat
from lakehouse.errors import GlobalMartError
from lakehouse.settings import PREFIX, Settings, get_settings, load_settings

FAULTS = Shares(duplicates=0.01, conflicts=0.002, late=0.01, malformed=0.002, violations=0.005)
_out = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Result:
    """One benchmark. `ratio` above 1: ours is better. `peer` and `ratio` are None where there is nothing to compare with."""

    name: str
    unit: str
    ours: float
    peer: float | None
    ratio: float | None
    details: dict[str, Any] = field(default_factory=dict)


class BenchError(GlobalMartError):
    """A benchmark could not be run."""


@contextmanager
def throwaway() -> Iterator[None]:
    """A stack with its own `.env`, ports and data; nothing of it is left."""
    outside = {
        key: os.environ.pop(key) for key in list(os.environ) if key.startswith(PREFIX) and key != f"{PREFIX}CACHE_DIR"
    }
    with tempfile.TemporaryDirectory(prefix="globalmart-bench-", ignore_cleanup_errors=True) as folder:
        os.environ[f"{PREFIX}ENV_FILE"] = str(Path(folder) / ".env")
        envfile.ensure_env(Path(folder) / "state", envfile.random_ports())
        get_settings.cache_clear()
        # what `kill` ends must not leave its servers behind
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            stack.down(say=lambda _: None)
            os.environ.pop(f"{PREFIX}ENV_FILE")
            os.environ.update(outside)
            get_settings.cache_clear()


def note(text: str) -> None:
    """A line for who watches, with the time: results are not what standard error is for."""
    _out.print(f"  {datetime.now():%H:%M:%S} {text}", markup=False)


def up(*services: str) -> Settings:
    stack.up(only=services, say=lambda text: _out.print(f"  {text}", markup=False))
    return load_settings()


def live(settings: Settings, rate: int, seconds: int) -> None:
    """Send live traffic with faults, without the catalogue."""
    run(settings, traffic.live(seconds, rate=rate, catalogue=False, shares=FAULTS))


def wait_for_lag(settings: Settings, most: int, patience: float = 900) -> None:
    """Wait until at most `most` records are in Kafka and not in the lake. Raises BenchError."""
    asked, waiting = time.time(), threading.Event()
    while time.time() - asked < patience:
        beat = heartbeat.read(settings, "streaming") or {}
        told = beat and datetime.fromisoformat(beat["updated_at"]).timestamp() > asked + 2
        if told and beat.get("lag_records") is not None and beat["lag_records"] <= most:
            return
        waiting.wait(0.2)
    raise BenchError(f"The stream did not take the backlog within {patience:.0f} s.")
