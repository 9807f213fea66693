"""Which slots a name has: a dictionary of first slots, the others chained behind it in one column. For names with few slots each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lakehouse.live.columns import Ints, Texts, group_starts

_NONE = -1


class Chains:
    """The caller keeps the column that chains slots (`after`: the next slot of the same name) and passes it in."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._first)

    def find(self, names: Iterable[str], after: Ints) -> tuple[Ints, Ints]:
        """(number of the name, slot) for all slots of `names`, in no order."""
        first = self._first
        slot = np.fromiter((first.get(name, _NONE) for name in names), dtype=np.int64)
        owner = np.arange(len(slot))
        owners, slots = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        while len(slot):
            there = slot != _NONE
            owner, slot = owner[there], slot[there]
            owners.append(owner)
            slots.append(slot)
            slot = after[slot]
        return np.concatenate(owners), np.concatenate(slots)

    def set(self, names: Texts, owner: Ints, slots: Ints, after: Ints) -> None:
        """From now on `slots` are the slots of `names`, each that of the name numbered in `owner`; a name may have none."""
        order = np.argsort(owner, kind="stable")
        owner, slots = owner[order], slots[order]
        starts = group_starts(owner)
        after[slots[:-1]] = slots[1:]
        after[slots[starts - 1]] = _NONE  # the last of each name; for the first name that is the last row of all
        for name, slot in zip(names[owner[starts]].tolist(), slots[starts].tolist(), strict=True):
            self._first[name] = slot
        without = np.ones(len(names), dtype=bool)
        without[owner] = False
        for name in names[without].tolist():
            self._first.pop(name, None)
