"""How far the stream has come, by its ledger: which days are over, under way, or have not begun. For batch work; no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from deltalake.exceptions import TableNotFoundError

from lakehouse.days import midnight
from lakehouse.errors import GlobalMartError
from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING
from lakehouse.transforms.watermarks import shop_watermark


class DayAheadError(GlobalMartError):
    """A day is asked for that the stream has not come to."""


@dataclass(frozen=True)
class Progress:
    """The stream as of its newest ledger entry.

    `complete_until`: event time up to which sessions and carts are believed complete; `reached_at`: the newest event time seen. Both
    are None before the first event. A day (UTC) is over once `complete_until` is `gap` past its midnight: what was quiet by then is closed.
    `waiting_count`: records that Kafka had and the lake had not.
    """

    batch_id: int
    versions: dict[str, int]
    complete_until: datetime | None
    reached_at: datetime | None
    gap: timedelta
    waiting_count: int = 0

    @property
    def last_day_over(self) -> date | None:
        """The newest day that is over; None before the first event."""
        if self.complete_until is None:
            return None
        return (self.complete_until - self.gap).astimezone(UTC).date() - timedelta(days=1)

    def is_over(self, day: date) -> bool:
        """False also where that is not known."""
        return self.last_day_over is not None and day <= self.last_day_over

    def check_begun(self, day: date) -> None:
        """Raise DayAheadError where the stream has not come to the beginning of `day`."""
        if self.reached_at is None or self.reached_at >= midnight(day):
            return
        raise DayAheadError(
            f"{day} has not begun for the stream, which has come to {self.reached_at:%Y-%m-%d %H:%M} UTC: "
            "ask for an earlier day, or wait until its events are there."
        )


def progress(settings: Settings) -> Progress | None:
    """None before the first micro-batch."""
    try:
        entry = last_entry(open_table(settings, LEDGER_STREAMING))
    except TableNotFoundError:
        return None
    return None if entry is None else of_entry(entry, settings)


def of_entry(entry: LedgerEntry, settings: Settings) -> Progress:
    """A topic's watermark trails its newest event by the delay, or by more; never by less."""
    delay = timedelta(minutes=settings.watermark_delay_minutes)
    return Progress(
        batch_id=entry.batch_id,
        versions=entry.table_versions,
        complete_until=shop_watermark(entry.watermarks),
        reached_at=max(entry.watermarks.values()) + delay if entry.watermarks else None,
        gap=timedelta(minutes=settings.session_gap_minutes),
        waiting_count=sum(entry.lag_records.values()),
    )
