"""The position of a record as people write it: `topic/partition/offset`."""

from __future__ import annotations

from typing import NamedTuple

from lakehouse.contracts import CONTRACTS
from lakehouse.errors import GlobalMartError

ORIGIN_HEADER = "globalmart-origin"
"""Header of a replayed record: the position of the record it was made from."""
REPAIR_HEADER = "globalmart-repair"
"""Header of a replayed record: the decision that made it."""


class PositionError(GlobalMartError, ValueError):
    """The text is not a position."""


class Position(NamedTuple):
    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @staticmethod
    def parse(text: str) -> Position:
        """Raises PositionError."""
        topic, _, rest = text.partition("/")
        partition, _, offset = rest.partition("/")
        if topic not in CONTRACTS or not partition.isdecimal() or not offset.isdecimal():
            raise PositionError(
                f"{text!r} is no position: write topic/partition/offset, such as cart_events/2/1041; "
                f"the topics are {', '.join(CONTRACTS)}."
            )
        return Position(topic, int(partition), int(offset))
