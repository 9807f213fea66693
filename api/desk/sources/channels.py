"""The desk's own channels: one that fails is told of on the others."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from api.desk.outbox import failing
from api.desk.sources.base import Condition

KIND = "channel_failing"


class FailingChannels:
    """Its subject is the channel's name."""

    kinds = (KIND,)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def conditions(self, now: datetime) -> list[Condition]:  # noqa: ARG002 one signature for all sources
        with self._engine.connect() as connection:
            rows = failing(connection)
        return [
            Condition(
                KIND, name, "critical", f"The channel {name} fails", f"No notice gets through on {name}: {error}.",
                {"failing_since": since.isoformat(), "failures": failures},
            )
            for name, since, failures, error in rows
        ]  # fmt: skip
