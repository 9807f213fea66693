"""Storm control: a token bucket for each channel, and what to do when more waits than may be sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Step = Literal["send", "group", "wait"]


@dataclass(frozen=True)
class Bucket:
    """`tokens` at `at`: a notice costs one, `per_minute` flow in, at most `burst` are held."""

    tokens: float
    at: datetime

    def refilled(self, now: datetime, per_minute: float, burst: int) -> Bucket:
        gained = max(0.0, (now - self.at).total_seconds()) * per_minute / 60
        return Bucket(min(float(burst), self.tokens + gained), now)

    def spent(self) -> Bucket:
        return Bucket(self.tokens - 1, self.at)

    def wait(self, per_minute: float) -> timedelta:
        """Until there is a whole token."""
        return timedelta(seconds=max(0.0, 1 - self.tokens) * 60 / per_minute)


def next_step(tokens: float, is_alone: bool, is_digest: bool) -> Step:
    """Send the notice that is next, or group it and all others that are due into a digest, or wait for a token.

    The last token is kept for the digest, so that of any number of notices one burst at most goes out at once and all
    the others are told of together. A digest that was made is sent as it is, never grouped again.
    """
    if tokens < 1:
        return "wait"
    if is_digest or is_alone or tokens >= 2:
        return "send"
    return "group"
