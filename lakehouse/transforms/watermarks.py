"""How far event time has come: per topic by what was accepted, and by marks that say that nothing more is on its way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from lakehouse.contracts import CONTRACTS

SESSION_TOPICS = ("transactions", "product_views", "cart_events")
MOST_SKEW = timedelta(minutes=30)
"""How far the slowest of the session topics may hold the shop's watermark back behind the fastest."""


@dataclass(frozen=True)
class Mark:
    """A record of the topic `markers`: up to `next_offsets` (per `topic/partition`) everything was sent.

    kind `end`: a generator's run is over, its last event time is `last_event_at`. kind `idle`: nothing came for a while.
    `marked_at` is the broker's time of the mark.
    """

    kind: str
    marked_at: datetime
    next_offsets: Mapping[str, int]
    last_event_at: datetime | None = None

    def is_reached(self, next_offsets: Mapping[str, int]) -> bool:
        return all(next_offsets.get(name, 0) >= offset for name, offset in self.next_offsets.items())

    def to_json(self) -> str:
        body = {
            "kind": self.kind,
            "marked_at": self.marked_at.isoformat(),
            "next_offsets": dict(self.next_offsets),
            "last_event_time": None if self.last_event_at is None else self.last_event_at.isoformat(),
        }
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def read_mark(value: bytes | str | None, marked_at: datetime | None = None) -> Mark | None:
    """A mark as the topic or the ledger has it; None where it is not one, since a stray record must not stop the stream."""
    try:
        body = orjson.loads(value or b"")
        at = marked_at or datetime.fromisoformat(body["marked_at"])
        last = body.get("last_event_time")
        offsets = {str(name): int(offset) for name, offset in body["next_offsets"].items()}
        return Mark(str(body["kind"]), at, offsets, datetime.fromisoformat(last) if last else None)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def advanced(watermarks: dict[str, datetime], times: dict[str, datetime], delay: timedelta) -> dict[str, datetime]:
    """Watermarks after a batch: the highest event time less `delay`, never going back."""
    after = dict(watermarks)
    for topic, time in times.items():
        after[topic] = max(after.get(topic, time - delay), time - delay)
    return after


def marked(
    watermarks: dict[str, datetime],
    marks: Iterable[Mark],
    next_offsets: Mapping[str, int],
    delay: timedelta,
    closing: timedelta,
) -> tuple[dict[str, datetime], list[Mark]]:
    """Watermarks after the marks that are reached, and those that are not yet.

    A mark moves all topics to its own time less `delay`, for no record is on its way; the end of a history moves them no
    further than `closing` behind its last event, which is enough for what was open then to close.
    """
    after, waiting = dict(watermarks), []
    for mark in marks:
        if not mark.is_reached(next_offsets):
            waiting.append(mark)
            continue
        to = mark.marked_at - delay
        if mark.last_event_at is not None:
            to = min(to, mark.last_event_at + closing)
        for topic in CONTRACTS:
            if topic in after:
                after[topic] = max(after[topic], to)
    return after, waiting


def shop_watermark(watermarks: Mapping[str, datetime]) -> datetime | None:
    """Event time up to which sessions and carts are believed complete: that of the slowest session topic, within MOST_SKEW."""
    known = [watermarks[topic] for topic in SESSION_TOPICS if topic in watermarks]
    return max(min(known), max(known) - MOST_SKEW) if known else None
