"""How raw bytes, positions and times are written for people: safe on any terminal, and never longer than asked for."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.errors import GlobalMartError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"^(\d+)([smhdw])$")


class TimeError(GlobalMartError):
    """The text is neither a time nor an age."""


def safe(value: bytes | None, most: int = 160) -> str:
    """Raw bytes as one line of printable text: what is not printable is escaped, what is too long is cut with its size."""
    if value is None:
        return "(null)"
    if not value:
        return "(empty)"
    text = value[: 4 * most].decode("utf-8", "backslashreplace")
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    if len(line) <= most and len(value) <= 4 * most:
        return line
    return f"{line[:most]}… ({len(value):,} bytes)"


def as_json(value: bytes | None) -> dict[str, Any]:
    """Raw bytes for programs: exact as Base64, and as text where they are UTF-8."""
    if value is None:
        return {"text": None, "base64": None}
    try:
        text: str | None = value.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"text": text, "base64": base64.b64encode(value).decode()}


def read_time(text: str | None, now: datetime) -> datetime | None:
    """A time such as `2026-03-14` or `2026-03-14T09:30Z` (UTC where no zone is given), or an age such as `90m`, `24h`, `7d`.

    Raises TimeError.
    """
    if text is None:
        return None
    ago = _AGO.match(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise TimeError(f"{text!r} is no time: write 2026-03-14T09:30Z, or an age such as 90m, 24h or 7d.") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def show_time(at: datetime | None) -> str:
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
