"""What a channel is, and the two ways in which it fails."""

from __future__ import annotations

from typing import Any, Protocol


class ChannelDownError(Exception):
    """The channel does not work now: nothing else is sent on it for a while."""


class NoticeRefusedError(Exception):
    """The other side answers, and does not take this notice: it is tried again later, the others go on."""


class Channel(Protocol):
    """Sends notices; used by one thread. `message` is the notice as JSON, with its `notice_id`."""

    def send(self, message: dict[str, Any]) -> None:
        """Return when the other side has it. Raises ChannelDownError, NoticeRefusedError."""

    def close(self) -> None:
        """Give back what it holds."""
