"""Waiting for a server that is away: it may come back, and until then the heartbeat says for what."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from lakehouse.errors import KafkaError
from lakehouse.heartbeat import Pulse

log = logging.getLogger(__name__)

T = TypeVar("T")


def wait_until(
    attempt: Callable[[], T],
    pulse: Pulse,
    stop: threading.Event,
    what: str = "Kafka",
    errors: tuple[type[Exception], ...] = (KafkaError,),
) -> T:
    """Try until it works, or raise the last of `errors` once `stop` is set. Any other error is final."""
    while True:
        try:
            return attempt()
        except errors as error:
            log.warning("waiting for %s: %s", what, error)
            pulse.say("waiting", reason=str(error))
            if stop.wait(2):
                raise
