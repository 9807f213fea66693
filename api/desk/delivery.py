"""One channel's deliveries, step by step: each step is a transaction around one attempt, so that a crash loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from api.desk import outbox
from api.desk.backoff import delay
from api.desk.channels.base import Channel, ChannelDownError, NoticeRefusedError
from api.desk.model import ChannelName
from api.desk.rules import AlertRules
from api.desk.storm import next_step

# Deliveries that another process wrote (a person's acknowledgement) are found this late at most.
IDLE = timedelta(seconds=1)
_AT_ONCE = timedelta(0)


@dataclass
class Courier:
    """Delivers the notices of one channel. `clock` says the time, `jitter` a number from 0 to 1."""

    name: ChannelName
    engine: Engine
    rules: AlertRules
    channel: Channel
    clock: Callable[[], datetime]
    jitter: Callable[[], float]

    def step(self) -> timedelta:
        """Do one thing, and say how long there is nothing more to do. Raises the errors of `database.CURABLE`.

        The channel's row is locked during the attempt: a second desk leaves the channel alone. When the process dies, or
        freezes for longer than PostgreSQL's limit, the notice is as if it had not been tried and goes out again, under the same id.
        """
        limits = self.rules.channels.of(self.name)
        with self.engine.begin() as connection:
            now = self.clock()
            state = outbox.lock_channel(connection, self.name)
            if state is None:
                return IDLE
            if state.paused_until is not None and state.paused_until > now:
                return min(IDLE, state.paused_until - now)
            state = replace(state, bucket=state.bucket.refilled(now, limits.per_minute, limits.burst))
            tokens = state.bucket.tokens
            due = outbox.next_due(connection, self.name, now)
            if due is None:
                return IDLE
            match next_step(tokens, due.is_alone, due.is_digest):
                case "wait":
                    return min(IDLE, state.bucket.wait(limits.per_minute))
                case "group":
                    outbox.group(connection, self.name, now)
                case "send":
                    self._attempt(connection, replace(state, bucket=state.bucket.spent()), due)
        return _AT_ONCE

    def _attempt(self, connection: Connection, state: outbox.ChannelState, due: outbox.Due) -> None:
        retry = self.rules.delivery
        try:
            self.channel.send(due.message)
        except (ChannelDownError, NoticeRefusedError) as error:
            now, words = self.clock(), str(error)
            wait = self._wait(due.attempts + 1)
            if isinstance(error, ChannelDownError):
                pause = self._wait(state.failures + 1)
                since = state.failing_since or now
                state = replace(
                    state, failures=state.failures + 1, failing_since=since, paused_until=now + pause, last_error=words
                )
                # Later than the channel: the next to be tried is another, if there is one. A notice that the other side
                # answers with an error each time must not stand for the whole channel.
                wait = max(wait, pause + timedelta(seconds=retry.first_retry_seconds))
            else:
                state = _working(state)
            outbox.postpone(connection, due, words, now, wait, timedelta(hours=retry.give_up_hours))
        else:
            outbox.delivered(connection, due, self.clock())
            state = _working(state)
        outbox.save_channel(connection, self.name, state)

    def _wait(self, attempts: int) -> timedelta:
        retry = self.rules.delivery
        return delay(attempts, retry.first_retry_seconds, retry.longest_retry_seconds, self.jitter())


def _working(state: outbox.ChannelState) -> outbox.ChannelState:
    return replace(state, failures=0, failing_since=None, paused_until=None, last_error=None)
