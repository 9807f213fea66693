"""What every server's module says of it: the command to run, and its health in words."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lakehouse import heartbeat
from lakehouse.health import by_heartbeat
from lakehouse.settings import Settings


@dataclass(frozen=True)
class Launch:
    """The command of a server, the environment variables it needs beyond the common ones, and the folder it works in (None: the checkout)."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Health:
    """`next_step`: what to do about it; empty where nothing is, or nothing more exact than the service's own (`lakehouse.health`)."""

    ok: bool
    words: str
    next_step: str = ""


def get_json(url: str, body: dict[str, Any] | None = None, timeout: float = 3.0) -> Any:
    """The JSON answer of `url`; None for an empty answer. Raises OSError (no answer, an HTTP error) and ValueError."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 our own addresses
    # Asked on this machine by its number, no certificate is of the right name.
    context = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323
    with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if text else None


def http_health(url: str, words: str) -> Health:
    try:
        get_json(url)
    except urllib.error.HTTPError as error:
        return Health(False, f"answers {error.code} on {url}")
    except OSError:
        return Health(False, f"does not answer on {url}")
    except ValueError:
        return Health(True, words)
    return Health(True, words)


def heartbeat_health(settings: Settings, service: str, pid: int | None) -> Health:
    """As `/ready` judges it (`lakehouse.health`), but that the heartbeat must be of the process that runs."""
    beat = heartbeat.read(settings, service)
    if beat is None:
        return Health(False, "no heartbeat yet", "It is starting; if this stays, see its log.")
    if pid is not None and not _same_process(beat["pid"], pid):
        words = "starting, no heartbeat of this process yet"
        return Health(False, words, "It is starting; if this stays, see its log.")
    found = by_heartbeat(settings, service)
    return Health(found.state == "ok", found.words, found.next_step or "")


def _same_process(beating: int, started: int) -> bool:
    """Whether the process that beats is the one that was started, or a descendant of it."""
    if beating == started:
        return True
    try:
        return any(parent.pid == started for parent in psutil.Process(beating).parents())
    except psutil.Error:
        return False


def common_env() -> dict[str, str]:
    """The environment of every server: ours, without what belongs in secret files."""
    hidden = {"S3_ACCESS_KEY", "S3_SECRET_KEY", "POSTGRES_URL", "API_KEY", "API_KEY_SHA256", "SERVICE"}
    return {k: v for k, v in os.environ.items() if k not in {f"GLOBALMART_{name}" for name in hidden}}
