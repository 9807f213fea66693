"""The desk itself: one transaction takes findings in, groups them, and writes alerts, audit, notices and offsets together."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError

from api.desk import store
from api.desk.database import in_words
from api.desk.errors import UnreadableFindingError
from api.desk.incoming import Message, read_finding
from api.desk.model import Alert, Change, ChannelName
from api.desk.notices import dispatch
from api.desk.rules import AlertRules
from lakehouse.findings import Finding


@dataclass(frozen=True)
class Desk:
    """`ways`: the channels that lead somewhere. `bells`: an event per channel, set when it has something to deliver."""

    engine: Engine
    rules: AlertRules
    ways: Collection[ChannelName]
    bells: Mapping[ChannelName, threading.Event] = field(default_factory=dict)

    def take(self, messages: Sequence[Message], believed: Mapping[int, int], now: datetime) -> None:
        """Take messages of one topic in, exactly once: what lies below the stored offsets was taken before.

        `believed`: the offsets that the reader takes to be stored. A message that is no finding is kept in `desk.rejected`.
        Raises OffsetsRewoundError, and the errors of `database.CURABLE`; then nothing was taken.
        """
        try:
            self._take(messages, believed, now)
        except DataError:
            # One of them holds what PostgreSQL does not store; it must not hold up the others.
            for one in messages:
                try:
                    self._take([one], believed, now)
                except DataError as error:
                    self._take([one], believed, now, refusal=in_words(error))

    def _take(self, messages: Sequence[Message], believed: Mapping[int, int], now: datetime, refusal: str = "") -> None:
        """With `refusal` none is read and all are rejected with these words."""
        topic = messages[0].topic
        with self.engine.begin() as connection:
            store.lock_intake(connection)
            reached = store.next_offsets(connection, topic)
            store.check_offsets(reached, believed)
            fresh = [m for m in messages if m.offset >= reached.get(m.partition, 0)]
            taken, refused = [], []
            for one in fresh:
                try:
                    if refusal:
                        raise UnreadableFindingError(refusal)
                    taken.append(read_finding(one.value))
                except UnreadableFindingError as error:
                    refused.append((one, str(error)))
            used = self._group(connection, taken, now)
            store.save_rejected(connection, refused, now)
            ends: dict[int, int] = {}
            for one in fresh:
                ends[one.partition] = max(ends.get(one.partition, 0), one.offset + 1)
            store.save_offsets(connection, topic, ends)
        self._ring(used)

    def tell(self, found: Sequence[Finding], now: datetime) -> None:
        """Take findings of the desk's own in. Raises the errors of `database.CURABLE`; then nothing was taken."""
        if found:
            with self.engine.begin() as connection:
                # Kafka does not hold these: what is told must be on disk.
                connection.execute(text("SET LOCAL synchronous_commit = on"))
                store.lock_intake(connection)
                used = self._group(connection, found, now)
            self._ring(used)

    def restart_at(self, topic: str, reached: Mapping[int, int], lost: Finding, now: datetime) -> None:
        """Go on at other offsets than the stored ones, because Kafka no longer has those, and say so by `lost`."""
        with self.engine.begin() as connection:
            store.lock_intake(connection)
            store.save_offsets(connection, topic, reached)
            used = self._group(connection, [lost], now)
        self._ring(used)

    def change(self, connection: Connection, alert: Alert, change: Change) -> None:
        """Write what a person did to `alert`, and the notices of it; the desk's process finds them within a second."""
        store.save_alerts(connection, [alert])
        store.save_changes(connection, [change])
        dispatch(connection, self.rules, self.ways, [change], change.at)

    def _group(self, connection: Connection, found: Sequence[Finding], now: datetime) -> set[ChannelName]:
        if not found:
            return set()
        grouping = store.load(connection, found, self.rules)
        for finding in found:
            grouping.take(finding, now)
        store.save(connection, grouping, now)
        return dispatch(connection, self.rules, self.ways, grouping.changes, now)

    def _ring(self, used: Collection[ChannelName]) -> None:
        for name, bell in self.bells.items():
            if name in used:
                bell.set()
