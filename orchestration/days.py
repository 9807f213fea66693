"""Which days are to be made: those that the stream has passed since the last one asked for. Pure."""

from __future__ import annotations

from datetime import date, timedelta

from lakehouse.progress import Progress
from orchestration.partitions import DAILY

_MOST_AT_ONCE = 31


def due(stream: Progress | None, last: str | None, most_waiting: int) -> list[date] | str:
    """Days over since `last` (YYYY-MM-DD), oldest first, a month of them at once at most; or why there is none.

    A day without events is one of them. Where none was asked for before, it is the newest day over alone: a history is made with
    `globalmart backfill`. While the stream works off a backlog, more than `most_waiting` records, it passes days in a rush, and with
    each the days before may still change: they wait until it has caught up.
    """
    if stream is None or stream.last_day_over is None:
        return "The stream has not taken an event yet."
    newest = stream.last_day_over
    if newest < DAILY.start.date():
        return f"The stream has come to {stream.complete_until:%Y-%m-%d %H:%M} UTC, before the first day that has a partition."
    if last is not None and newest <= date.fromisoformat(last):
        return f"The stream has come to {stream.complete_until:%Y-%m-%d %H:%M} UTC; the run of {last} was asked for."
    if stream.waiting_count > most_waiting:
        return f"{stream.waiting_count:,} records wait for the stream: days are asked for when it has caught up."
    first = date.fromisoformat(last) + timedelta(days=1) if last else newest
    return [first + timedelta(days=number) for number in range((newest - first).days + 1)][:_MOST_AT_ONCE]
