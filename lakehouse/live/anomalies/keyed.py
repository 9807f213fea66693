"""A table in memory by 64-bit key: open addressing over numpy columns, compact and fast for millions of keys at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from lakehouse.live.columns import Ints, coded

Columns = dict[str, NDArray[Any]]
ABSENT = -1
_EMPTY = np.iinfo(np.int64).min
_FIRST_CAPACITY = 1024
_MOST_LOAD = 0.6


def hashes(texts: pa.ChunkedArray | pa.Array) -> Ints:
    """A 64-bit hash per text, the same in every process (SipHash, by pandas)."""
    codes, distinct = coded(texts)
    return np.asarray(pd.util.hash_array(distinct, categorize=False).view(np.int64)[codes])


def mixed(keys: Ints, numbers: Ints) -> Ints:
    """A hash of each pair of a hash and a number, such as a customer's minute (splitmix64, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        x = keys.view(np.uint64) + numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray((x ^ (x >> np.uint64(31))).view(np.int64))


class KeyedTable:
    """Rows by key. `columns`: name -> (type, width, first value); width 1 gives a column, more a matrix of that many columns."""

    def __init__(self, columns: Mapping[str, tuple[DTypeLike, int, Any]]) -> None:
        self._layout = dict(columns)
        self._clear(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> NDArray[Any]:
        """The column by slot, to read and write; not valid after `place` or `keep`."""
        return self._columns[name]

    def find(self, keys: Ints) -> Ints:
        """The slot of each key, ABSENT where it has none."""
        return self._probe(_usable(keys))[0]

    def place(self, keys: Ints) -> Ints:
        """The slot of each key; keys that had none get one with the first values."""
        keys = _usable(keys)
        slots, free = self._probe(keys)
        missing = np.flatnonzero(slots == ABSENT)
        if not len(missing):
            return slots
        self._count += len(np.unique(keys[missing]))
        if self._count > _MOST_LOAD * len(self._keys):
            self._rebuild(np.flatnonzero(self._keys != _EMPTY), self._count)
            return self.place(keys)
        while len(missing):
            self._keys[free[missing]] = keys[
                missing
            ]  # of two keys for one slot the last one gets it, the other tries again
            slots, free = self._probe(keys)
            missing = np.flatnonzero(slots == ABSENT)
        return slots

    def keep(self, is_kept: NDArray[np.bool_]) -> None:
        """Forget the rows whose slots are False in `is_kept`."""
        slots = np.flatnonzero(is_kept & (self._keys != _EMPTY))
        self._rebuild(slots, len(slots))

    def _probe(self, keys: Ints) -> tuple[Ints, Ints]:
        """(slot of each key or ABSENT, the free slot at which the search for it ended)."""
        mask = len(self._keys) - 1
        slots = np.full(len(keys), ABSENT)
        free = np.full(len(keys), ABSENT)
        open_rows = np.arange(len(keys))
        at = keys & mask
        while len(open_rows):
            found = self._keys[at]
            is_hit, is_free = found == keys[open_rows], found == _EMPTY
            slots[open_rows[is_hit]] = at[is_hit]
            free[open_rows[is_free]] = at[is_free]
            goes_on = ~(is_hit | is_free)
            open_rows, at = open_rows[goes_on], (at[goes_on] + 1) & mask
        return slots, free

    def _rebuild(self, slots: Ints, count: int) -> None:
        keys = self._keys[slots]
        columns = {name: values[slots] for name, values in self._columns.items()}
        capacity = _FIRST_CAPACITY
        while count > _MOST_LOAD / 2 * capacity:
            capacity *= 2
        self._clear(capacity)
        placed = self.place(keys)
        for name, values in columns.items():
            self._columns[name][placed] = values

    def _clear(self, capacity: int) -> None:
        self._keys = np.full(capacity, _EMPTY)
        self._count = 0
        self._columns: Columns = {
            name: np.full(capacity if width == 1 else (capacity, width), first, dtype)
            for name, (dtype, width, first) in self._layout.items()
        }


def _usable(keys: Ints) -> Ints:
    """Keys without the one number that stands for no key."""
    return np.asarray(np.where(keys == _EMPTY, 0, keys))
