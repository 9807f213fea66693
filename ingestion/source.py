"""The records of a run without Kafka: world, traffic, formatter and faults wired to the options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ingestion.events import Events
from ingestion.faults import Injector
from ingestion.incidents import of_kind
from ingestion.labels import Label
from ingestion.options import RunOptions
from ingestion.records import Formatter, Records
from ingestion.sessions import EVENTS_PER_SESSION
from ingestion.topics import INPUT_NAMES
from ingestion.traffic import Plan, Traffic
from ingestion.world import World


class Source:
    """The blocks of one run, ready to send: pure but for the clock that a live run is dated by."""

    def __init__(
        self,
        options: RunOptions,
        partition_counts: dict[str, int],
        registered: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
        catalogued: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
    ) -> None:
        self._options = options
        world = World(options.seed)
        live = options.mode == "live"
        plan = Plan(
            mode=options.mode,
            key=options.run_key,
            start_ms=options.start_ms,
            # A live run ends by its clock: its visits unfold at their own pace and are dated when they are sent.
            end_ms=options.start_ms + 10**12 if live else options.end_ms,
            scale=options.scale,
            disorder_ms=0 if live else round(options.disorder_seconds * 1000),
            visits_per_second=options.rate / EVENTS_PER_SESSION,
            has_drops=options.shares.anomalies > 0,
            incidents=options.incidents,
        )
        self.traffic = Traffic(world, plan, registered, catalogued)
        self._formatter = Formatter(world, options.run_key, partition_counts)
        releases = of_kind(options.incidents, "bad-release")
        self._injector = Injector(options.shares, options.run_key, live, world, plan.end_ms, releases)
        self._wanted = np.array([name in options.streams for name in INPUT_NAMES])
        self.last_event_ms = options.start_ms

    def catalogue(self) -> Iterator[Events]:
        return self._select(self.traffic.catalogue())

    def blocks(self) -> Iterator[Events]:
        return self._select(self.traffic.blocks())

    def records(self, events: Events) -> tuple[Records, dict[int, Label]]:
        """The records of a block with faults, and the labels of the struck ones by place."""
        self.last_event_ms = max(self.last_event_ms, int(events.at.max()))
        return self._injector.inject(self._formatter.format(events), events.arrival)

    def rest(self) -> tuple[Records, dict[int, Label]]:
        """What faults still hold back at the end."""
        return self._injector.rest()

    def _select(self, blocks: Iterator[Events]) -> Iterator[Events]:
        for block in blocks:
            chosen = block if self._wanted.all() else block.pick(self._wanted[block.kind])
            if len(chosen):
                yield chosen
