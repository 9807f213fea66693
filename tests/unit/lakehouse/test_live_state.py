"""Rows held by slot: what is put in comes out, through reuse of slots, growth and moving together."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lakehouse.live import state
from lakehouse.live.chains import Chains
from lakehouse.live.state import Lists, Rows, Slots

Held = dict[int, tuple[int, str, list[int]]]


def rows(values: list[tuple[int, str, list[int]]]) -> Rows:
    names = np.empty(len(values), dtype=object)
    names[:] = [name for _, name, _ in values]
    entries = np.array([entry for *_, held in values for entry in held], dtype=np.int64)
    lengths = np.array([len(held) for *_, held in values], dtype=np.int64)
    numbers = np.array([number for number, *_ in values], dtype=np.int64)
    return Rows({"number": numbers, "name": names}, {"entries": Lists(lengths, {"entry": entries})})


def values(taken: Rows) -> list[tuple[int, str, list[int]]]:
    lists = taken.lists["entries"]
    ends = np.cumsum(lists.lengths).tolist()
    parts = [
        lists.entries["entry"][end - length : end].tolist()
        for end, length in zip(ends, lists.lengths.tolist(), strict=True)
    ]
    return list(zip(taken["number"].tolist(), taken["name"].tolist(), parts, strict=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_slots_hold_what_was_added_until_it_is_removed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_MOST_WASTE", 50)
    monkeypatch.setattr(state, "_FIRST_CAPACITY", 4)
    rng = random.Random(seed)
    slots = Slots({"number": np.int64, "name": object}, {"entries": {"entry": np.int64}})
    held: Held = {}
    for _ in range(200):
        new = [
            (rng.randrange(99), rng.choice("abc"), [rng.randrange(9) for _ in range(rng.choice((0, 1, 5)))])
            for _ in range(rng.randrange(8))
        ]
        given = slots.add(rows(new)).tolist()
        assert not set(given) & set(held)
        held |= dict(zip(given, new, strict=True))
        gone = rng.sample(sorted(held), rng.randrange(min(9, len(held) + 1)))
        slots.remove(np.array(gone, dtype=np.int64))
        held = {slot: value for slot, value in held.items() if slot not in gone}
        places = rng.sample(sorted(held), len(held))
        assert values(slots.take(np.array(places, dtype=np.int64))) == [held[place] for place in places]
        assert np.flatnonzero(slots.held()).tolist() == sorted(held)
        assert len(slots) == len(held)


def test_memory_does_not_grow_with_rows_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_MOST_WASTE", 50)
    slots, sizes = Slots({"number": np.int64, "name": object}, {"entries": {"entry": np.int64}}), []
    for _ in range(300):
        sizes.append(slots.nbytes)
        slots.remove(slots.add(rows([(1, "a", [1] * 40)])))
    assert sizes[-1] <= sizes[0]


def test_lists_are_taken_by_place_and_by_flag_and_joined() -> None:
    some = rows([(1, "a", [1, 2]), (2, "b", []), (3, "c", [3])])
    assert values(some.take(np.array([2, 0]))) == [(3, "c", [3]), (1, "a", [1, 2])]
    assert values(some.take(np.array([False, True, True]))) == [(2, "b", []), (3, "c", [3])]
    assert values(Rows.concat([some, some.take(np.array([0]))]))[2:] == [(3, "c", [3]), (1, "a", [1, 2])]


def test_a_chain_gives_all_slots_of_a_name_and_of_no_other() -> None:
    chains, after = Chains(), np.full(9, -1, dtype=np.int64)
    names = np.array(["a", "b", "c"], dtype=object)
    chains.set(names, np.array([0, 1, 0, 0]), np.array([5, 2, 7, 1]), after)
    owner, slots = chains.find(["c", "a", "b"], after)
    assert sorted(zip(owner.tolist(), slots.tolist(), strict=True)) == [(1, 1), (1, 5), (1, 7), (2, 2)]
    chains.set(names, np.array([0, 2]), np.array([7, 2]), after)
    owner, slots = chains.find(["a", "b", "c"], after)
    assert sorted(zip(owner.tolist(), slots.tolist(), strict=True)) == [(0, 7), (2, 2)]
    assert len(chains) == 2
