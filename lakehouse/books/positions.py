"""Positions of records as packed integers, and how a set of them is told as offset ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lakehouse.dedup import OFFSET_BITS, Int64s, pack_position, unpack_position
from lakehouse.transforms.identity import TOPICS

EMPTY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Difference:
    """One place where the books do not agree: offsets `first_offset` to `last_offset`, both included, and what is wrong."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    what: str


def interval(topic: str, partition: int, first: int, after: int) -> Int64s:
    """Positions of the offsets `first` up to but not including `after`."""
    offsets = np.arange(first, max(first, after), dtype=np.int64)
    return pack_position(TOPICS.index(topic), np.full(len(offsets), partition, dtype=np.int64), offsets)


def bounds(topic: str, partition: int) -> tuple[int, int]:
    """Lowest and highest position of a partition, for slicing sorted positions."""
    low, high = pack_position(TOPICS.index(topic), np.array([partition, partition + 1]), np.zeros(2, dtype=np.int64))
    return int(low), int(high)


def count_in(positions: Int64s, topic: str, partition: int) -> int:
    """How many of the sorted `positions` lie in a partition."""
    low, high = bounds(topic, partition)
    return int(np.searchsorted(positions, high) - np.searchsorted(positions, low))


def ranges(positions: Int64s, what: str) -> Iterator[Difference]:
    """Sorted unique positions as runs of neighbouring offsets."""
    if not len(positions):
        return
    breaks = np.flatnonzero((np.diff(positions) != 1) | (np.diff(positions >> OFFSET_BITS) != 0)) + 1
    for run in np.split(positions, breaks):
        topic, partition, first = unpack_position(int(run[0]))
        yield Difference(TOPICS[topic], partition, first, first + len(run) - 1, what)


def missing(expected: Int64s, found: Int64s) -> Int64s:
    """What of `expected` is not in `found`; both sorted."""
    return np.setdiff1d(expected, found, assume_unique=False)


def repeated(positions: Int64s) -> Int64s:
    """Positions that come more than once; `positions` sorted."""
    return np.unique(positions[1:][positions[1:] == positions[:-1]])
