"""The duplicate index: which ids silver holds, where, and with which body. A cache of silver in memory, never the truth.

An entry is an id (two 64-bit hashes), the position of the record that won it and the hash of that record's body: 32 bytes.
Entries lie in sorted runs that are merged as they grow, so that a look-up is a handful of binary searches.
Because a record that meets its own position is not its own duplicate, a retried batch decides as it did before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]

NO_POSITION = -1
MAX_RUN = 4_000_000  # entries; larger runs are not merged again, a merge must not hold up a micro-batch
OFFSET_BITS, PARTITION_BITS = 44, 14


def pack_position(topic_number: Int64s | int, partition: Int64s, offset: Int64s) -> Int64s:
    """One integer for (topic, partition, offset): 5, 14 and 44 bits. Orders as the three do."""
    return (
        (np.int64(topic_number) << np.int64(PARTITION_BITS + OFFSET_BITS))
        | (partition.astype(np.int64) << np.int64(OFFSET_BITS))
        | offset
    )


def unpack_position(position: int) -> tuple[int, int, int]:
    """(topic number, partition, offset)."""
    partition = (position >> OFFSET_BITS) & ((1 << PARTITION_BITS) - 1)
    return position >> (PARTITION_BITS + OFFSET_BITS), partition, position & ((1 << OFFSET_BITS) - 1)


@dataclass(frozen=True)
class Entries:
    """Ids with their winners, column by column, all of one length."""

    hash: Int64s
    hash2: Int64s
    position: Int64s
    body: Int64s

    def __len__(self) -> int:
        return len(self.hash)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Entries:
        return Entries(self.hash[rows], self.hash2[rows], self.position[rows], self.body[rows])

    def sorted(self) -> Entries:
        return self.take(np.argsort(self.hash, kind="stable"))

    @staticmethod
    def concat(parts: list[Entries]) -> Entries:
        def joined(name: str) -> Int64s:
            return np.concatenate([getattr(part, name) for part in parts])

        return Entries(joined("hash"), joined("hash2"), joined("position"), joined("body"))


class IdIndex:
    """Put-if-absent by the caller: `find`, then `add` what was not there."""

    def __init__(self) -> None:
        self._runs: list[Entries] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, entries: Entries) -> None:
        """Add ids that `find` did not know, or that are there with the same position."""
        if not len(entries):
            return
        self._runs.append(entries.sorted())
        while len(self._runs) > 1 and len(self._runs[-2]) <= min(2 * len(self._runs[-1]), MAX_RUN):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(Entries.concat([older, newer]).sorted())

    def find(self, hashes: Int64s, hashes2: Int64s) -> tuple[Int64s, Int64s]:
        """(position, body) of each id; position is NO_POSITION where the id is unknown."""
        position = np.full(len(hashes), NO_POSITION, dtype=np.int64)
        body = np.zeros(len(hashes), dtype=np.int64)
        for run in self._runs:
            at = np.searchsorted(run.hash, hashes)
            rows = np.flatnonzero(at < len(run))
            while len(rows):
                rows = rows[run.hash[at[rows]] == hashes[rows]]
                found = rows[run.hash2[at[rows]] == hashes2[rows]]
                position[found] = run.position[at[found]]
                body[found] = run.body[at[found]]
                rows = np.setdiff1d(rows, found)  # equal first hashes of different ids: look one further
                at[rows] += 1
                rows = rows[at[rows] < len(run)]
        return position, body
