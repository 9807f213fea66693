"""How far back a view remembers: which of its rows may leave memory, because the lake has them and they are done with."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from lakehouse.live import columns as c
from lakehouse.live.columns import Ints
from lakehouse.live.state import Slots
from lakehouse.settings import Settings

_HOUR = 3_600_000_000
_MOST_AT_ONCE = 20_000  # however far the watermark jumps, letting go holds up no batch
_KEPT_SHARE = 0.9  # of the limit, once it is reached: so that making room is not a matter of every batch


class Horizon:
    """`floor` (µs): every row whose last event is not before it is in memory. It trails the watermark and never goes back."""

    def __init__(self, settings: Settings, pause: int) -> None:
        """`pause` (µs): how far from an event a row may end and yet be concerned by it."""
        self._span = int(settings.live_horizon_hours * _HOUR) + pause
        self._limit = settings.live_state_limit
        self.floor = c.LONG_AGO

    def follow(self, watermark: datetime | None) -> None:
        if watermark is not None:
            self.floor = max(self.floor, c.micros_of(watermark) - self._span)

    def leaving(self, slots: Slots, last_event: str) -> Ints:
        """Slots that may go: not open, and from before the floor. Where too many rows are held, the floor is raised first."""
        ended = slots.column(last_event)
        may_go = slots.held() & ~slots.column("is_open")
        if len(slots) > self._limit:
            done = ended[may_go]
            surplus = min(len(slots) - int(self._limit * _KEPT_SHARE), len(done) - 1)
            if surplus > 0:
                self.floor = max(self.floor, int(np.partition(done, surplus)[surplus]) + 1)
        return np.flatnonzero(may_go & (ended < self.floor))[:_MOST_AT_ONCE]
