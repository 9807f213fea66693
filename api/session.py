"""Sessions of the web pages: a signed cookie that says which key signed in, until when; and the token against forged requests.

Nothing is kept of a session but that it was signed out of, so any worker can read any cookie. Its rights are those that the
key has at each request: a revoked key ends its sessions too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from api.access import Access

COOKIE = "globalmart_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Session:
    """What a good cookie says. `csrf_token` is to come back with each request that changes something."""

    session_id: str
    key_id: str
    expires_at: datetime
    csrf_token: str


class Sessions:
    """Makes and reads the cookies. `secret` is the digest of the set-up's key: with another key all sessions end."""

    def __init__(self, secret: bytes, lasts: timedelta, is_secure: bool, now: Callable[[], datetime] = _now) -> None:
        self._cookie_key = hmac.digest(secret, b"globalmart session cookies", hashlib.sha256)
        self._csrf_key = hmac.digest(secret, b"globalmart csrf tokens", hashlib.sha256)
        self._lasts = lasts
        self._is_secure = is_secure
        self._now = now

    def open(self, access: Access, response: Response) -> Session:
        """Sign `access` in: `response` sets the cookie."""
        session_id = secrets.token_urlsafe(16)
        expires_at = (self._now() + self._lasts).replace(microsecond=0)
        said = f"{access.key_id}.{expires_at.timestamp():.0f}.{session_id}"
        response.set_cookie(
            COOKIE,
            f"{said}.{self._signature(said)}",
            max_age=int(self._lasts.total_seconds()),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="strict",
        )
        return self._session(session_id, access.key_id, expires_at)

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it was not made here, or has expired."""
        said, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._signature(said).encode(), signature.encode()):
            return None
        key_id, until, session_id = said.split(".")
        expires_at = datetime.fromtimestamp(int(until), UTC)
        return self._session(session_id, key_id, expires_at) if expires_at > self._now() else None

    def close(self, response: Response) -> None:
        """`response` takes the cookie back."""
        response.delete_cookie(COOKIE, path="/", secure=self._is_secure, httponly=True, samesite="strict")

    def _session(self, session_id: str, key_id: str, expires_at: datetime) -> Session:
        token = hmac.digest(self._csrf_key, session_id.encode(), hashlib.sha256).hex()
        return Session(session_id, key_id, expires_at, token)

    def _signature(self, said: str) -> str:
        return hmac.digest(self._cookie_key, said.encode(), hashlib.sha256).hex()


def is_token(session: Session, given: str) -> bool:
    return hmac.compare_digest(session.csrf_token.encode(), given.encode())
