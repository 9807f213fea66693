"""Notices as JSON lines in `logs/alerts.jsonl` of the state folder; at 10 MB a new file begins, three old ones are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from api.desk.channels.base import ChannelDownError

_MOST_BYTES = 10_000_000
_KEPT = 3


class LogChannel:
    """A line is in the file, whole, when `send` returns; after a crash in between it may be there twice."""

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size >= self._most_bytes:
                self._rotate()
            with self._path.open("ab") as file:
                file.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise ChannelDownError(f"{self._path} cannot be written ({error.strerror})") from None

    def _rotate(self) -> None:
        for number in range(_KEPT - 1, 0, -1):
            old = self._path.with_name(f"{self._path.name}.{number}")
            if old.exists():
                old.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))

    def close(self) -> None:
        """Nothing is held between two lines."""
