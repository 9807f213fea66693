"""Rows held in memory, column by column: what a view knows of its keys, compact enough for millions.

A row has a number, its slot, for as long as it is held. Columns are numpy arrays; lists of any length lie one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lakehouse.live.columns import Ints, offsets

Columns = dict[str, NDArray[Any]]
Layout = Mapping[str, DTypeLike]
_FIRST_CAPACITY = 1024
_MOST_WASTE = 100_000  # entries that nobody holds any more, before it is worth moving the others together


@dataclass(frozen=True)
class Lists:
    """One list for each of some rows: lengths, and the entries of all, row by row, in columns."""

    lengths: Ints
    entries: Columns

    def owners(self) -> Ints:
        """For each entry, which of the rows it belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def take(self, rows: NDArray[Any]) -> Lists:
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        places = span_places(offsets(self.lengths)[:-1][rows], self.lengths[rows])
        return Lists(self.lengths[rows], {name: values[places] for name, values in self.entries.items()})

    @staticmethod
    def concat(parts: list[Lists]) -> Lists:
        entries = {name: np.concatenate([part.entries[name] for part in parts]) for name in parts[0].entries}
        return Lists(np.concatenate([part.lengths for part in parts]), entries)


@dataclass(frozen=True)
class Rows:
    """Rows with columns and with lists by name."""

    columns: Columns
    lists: dict[str, Lists]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def take(self, rows: NDArray[Any]) -> Rows:
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Rows(columns, {name: held.take(rows) for name, held in self.lists.items()})

    @staticmethod
    def concat(parts: list[Rows]) -> Rows:
        first = parts[0]
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns}
        return Rows(columns, {name: Lists.concat([part.lists[name] for part in parts]) for name in first.lists})


def span_places(starts: Ints, lengths: Ints) -> Ints:
    """All places of the spans that begin at `starts`, one span behind the other."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


class Slots:
    """Rows of one layout. `add` gives them slots, `remove` frees these; texts (dtype object) are shared, not copied."""

    def __init__(self, layout: Layout, lists: Mapping[str, Layout]) -> None:
        self._columns: Columns = {name: np.zeros(_FIRST_CAPACITY, dtype) for name, dtype in layout.items()}
        self._lists = {name: _Arena(entries) for name, entries in lists.items()}
        self._held = np.zeros(_FIRST_CAPACITY, dtype=bool)
        self._free = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._free_count = 0
        self._end = 0  # no slot from here on was ever given

    def __len__(self) -> int:
        return self._end - self._free_count

    @property
    def nbytes(self) -> int:
        """Bytes taken, without the texts themselves."""
        columns = [*self._columns.values(), self._held, self._free]
        return sum(values.nbytes for values in columns) + sum(arena.nbytes for arena in self._lists.values())

    def column(self, name: str) -> NDArray[Any]:
        """The column by slot, to read and write; slots that are not held may hold anything. Not valid after `add`."""
        return self._columns[name][: self._end]

    def held(self) -> NDArray[np.bool_]:
        """True for the slots that are held. Not valid after `add`."""
        return self._held[: self._end]

    def take(self, slots: Ints) -> Rows:
        columns = {name: values[slots] for name, values in self._columns.items()}
        return Rows(columns, {name: arena.take(slots) for name, arena in self._lists.items()})

    def add(self, rows: Rows) -> Ints:
        """Hold `rows`; their slots, in their order."""
        count = len(rows)
        reused = min(count, self._free_count)
        self._free_count -= reused
        slots = np.concatenate(
            [self._free[self._free_count : self._free_count + reused], np.arange(self._end, self._end + count - reused)]
        )
        self._end += count - reused
        self._grow(self._end)
        for name, values in self._columns.items():
            values[slots] = rows.columns[name]
        for name, arena in self._lists.items():
            arena.put(slots, rows.lists[name])
        self._held[slots] = True
        return slots

    def remove(self, slots: Ints) -> None:
        self._held[slots] = False
        for values in self._columns.values():
            if values.dtype == object:
                values[slots] = None
        for arena in self._lists.values():
            arena.drop(slots)
        self._free[self._free_count : self._free_count + len(slots)] = slots
        self._free_count += len(slots)

    def _grow(self, count: int) -> None:
        if count > len(self._held):
            capacity = max(count, len(self._held) + len(self._held) // 2)
            self._columns = {name: _grown(values, capacity) for name, values in self._columns.items()}
            self._held, self._free = _grown(self._held, capacity), _grown(self._free, capacity)
            for arena in self._lists.values():
                arena.grow_slots(capacity)


class _Arena:
    """The lists of all slots, one behind the other in the order in which they were put."""

    def __init__(self, layout: Layout) -> None:
        self._start = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._length = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._entries: Columns = {name: np.zeros(_FIRST_CAPACITY, dtype) for name, dtype in layout.items()}
        self._end = 0
        self._live = 0

    @property
    def nbytes(self) -> int:
        return sum(values.nbytes for values in (self._start, self._length, *self._entries.values()))

    def grow_slots(self, capacity: int) -> None:
        self._start, self._length = _grown(self._start, capacity), _grown(self._length, capacity)

    def take(self, slots: Ints) -> Lists:
        lengths = self._length[slots]
        places = span_places(self._start[slots], lengths)
        return Lists(lengths, {name: values[places] for name, values in self._entries.items()})

    def put(self, slots: Ints, lists: Lists) -> None:
        count = int(lists.lengths.sum())
        if self._end - self._live > max(self._live, _MOST_WASTE):
            self._move_together()
        end = self._end + count
        if end > len(next(iter(self._entries.values()))):
            capacity = max(end, self._end + self._end // 2)
            self._entries = {name: _grown(values, capacity) for name, values in self._entries.items()}
        for name, values in self._entries.items():
            values[self._end : end] = lists.entries[name]
        self._start[slots] = self._end + offsets(lists.lengths)[:-1]
        self._length[slots] = lists.lengths
        self._end = end
        self._live += count

    def drop(self, slots: Ints) -> None:
        self._live -= int(self._length[slots].sum())
        self._length[slots] = 0

    def _move_together(self) -> None:
        slots = np.flatnonzero(self._length)
        kept = self.take(slots)
        self._entries = {name: _grown(values, len(values) + len(values) // 8) for name, values in kept.entries.items()}
        self._start[slots] = offsets(kept.lengths)[:-1]
        self._end = self._live


def _grown(values: NDArray[Any], capacity: int) -> NDArray[Any]:
    grown = np.zeros(capacity, dtype=values.dtype)
    grown[: len(values)] = values
    return grown
