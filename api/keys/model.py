"""One key: its text, what is kept of it, and whether it is good at a moment. No database, no clock."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from api.access import Access, Role
from lakehouse.errors import GlobalMartError

_TEXT = re.compile(r"gm_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class KeyRefusedError(GlobalMartError):
    """The key is not known, was revoked, or has expired; the message says which, to whoever holds the key."""


class KeysAwayError(GlobalMartError):
    """Whether the key is good cannot be told now: PostgreSQL is away and this process has not seen the key."""


@dataclass(frozen=True)
class Key:
    """A row of `access.keys`."""

    key_id: str
    name: str
    sha256: bytes
    role: Role
    countries: frozenset[str] | None
    sees_personal: bool
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    last_used_at: datetime | None = None

    @property
    def access(self) -> Access:
        return Access(self.key_id, self.name, self.role, self.countries, self.sees_personal)

    def state(self, now: datetime) -> str:
        """`revoked`, `expired` or `valid`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def check(self, now: datetime) -> None:
        """Raises KeyRefusedError unless the key is valid at `now`."""
        state = self.state(now)
        if state == "revoked":
            raise KeyRefusedError(f"This API key was revoked at {self.revoked_at:%Y-%m-%d %H:%M} UTC.")
        if state == "expired":
            raise KeyRefusedError(f"This API key expired at {self.expires_at:%Y-%m-%d %H:%M} UTC.")


def new_key() -> tuple[str, str, bytes]:
    """A new key's id, its text, which is shown once and never kept, and its SHA-256. The text has 256 random bits."""
    key_id = secrets.token_hex(6)
    text = f"gm_{key_id}_{secrets.token_urlsafe(32)}"
    return key_id, text, digest(text)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def id_of(text: str) -> str | None:
    """The id within a key's text; None where the text has not the form of a key that was issued."""
    match = _TEXT.fullmatch(text)
    return match[1] if match else None


def matches(text: str, sha256: bytes) -> bool:
    """Whether `text` is the key that `sha256` was made of, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(digest(text), sha256)
