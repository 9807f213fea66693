"""How far back a view remembers: which of its rows may leave memory, because the lake has them and they are done with."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow.compute as pc

from lakehouse.live import columns as c
from lakehouse.live.base import Conditions
from lakehouse.live.columns import Ints
from lakehouse.live.state import Slots
from lakehouse.settings import Settings

_HOUR = 3_600_000_000
_MOST_AT_ONCE = 1_000
_SPARE_SHARE = 0.1  # of the limit, made free once it is reached: so that making room is not a matter of every batch


class Horizon:
    """`floor` (µs): every row whose last event is not before it is in memory. It trails the watermark and never goes back."""

    def __init__(self, settings: Settings, pause: int) -> None:
        """`pause` (µs): how far from an event a row may end and yet be concerned by it."""
        self._pause = pause
        self._span = int(settings.live_horizon_hours * _HOUR) + pause
        self._limit = settings.live_state_limit
        self.floor = c.LONG_AGO

    def follow(self, watermark: datetime | None) -> None:
        if watermark is not None:
            self.floor = max(self.floor, c.micros_of(watermark) - self._span)

    def make_room(self, last_events: Ints, watermark: datetime | None) -> None:
        """Before rows are loaded: raise the floor until no more than the limit lie behind it, but not above what may be open."""
        surplus = len(last_events) - self._limit
        if surplus > 0 and watermark is not None:
            newest = int(np.partition(last_events, surplus)[surplus])
            self.floor = max(self.floor, min(newest, c.micros_of(watermark) - self._pause))

    def since_floor(self, last_event: str) -> tuple[pc.Expression, Conditions | None]:
        """What the rows meet that memory holds in full: as a filter, and as conditions for files."""
        if self.floor == c.LONG_AGO:
            return pc.scalar(True), None
        return pc.field(last_event) >= c.time_scalar(self.floor), [(last_event, ">=", c.time_of(self.floor))]

    def leaving(self, slots: Slots, last_event: str, added: int) -> Ints:
        """Slots that may go: not open, and from before the floor. Where too many that are not open would stay, the floor is raised first.

        However far the floor rises, letting go holds up no batch: not many more rows go at once than were `added`.
        """
        ended = slots.column(last_event)
        may_go = slots.held() & ~slots.column("is_open")
        goes = may_go & (ended < self.floor)
        stays = may_go & ~goes
        surplus = int(stays.sum()) - self._limit
        if surplus > 0:
            last = surplus + int(self._limit * _SPARE_SHARE) - 1
            self.floor = int(np.partition(ended[stays], last)[last]) + 1
            goes = may_go & (ended < self.floor)
        return np.flatnonzero(goes)[: _MOST_AT_ONCE + 2 * added]
