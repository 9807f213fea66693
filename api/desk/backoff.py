"""How long to wait before the next attempt. Pure."""

from __future__ import annotations

from datetime import timedelta


def delay(attempts: int, first_seconds: float, longest_seconds: float, jitter: float) -> timedelta:
    """The wait after the `attempts`-th failure in a row (1 is the first): doubled each time up to `longest_seconds`.

    `jitter`, from 0 to 1, takes up to half of it away, so that many who failed together do not come back together.
    """
    whole = min(longest_seconds, first_seconds * 2.0 ** min(attempts - 1, 60))
    return timedelta(seconds=whole * (1 - jitter / 2))
