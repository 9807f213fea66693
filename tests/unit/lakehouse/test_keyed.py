"""The table by key agrees with a dictionary, whatever is put in, and forgets what it is told to forget."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakehouse.live.anomalies.keyed import ABSENT, KeyedTable, hashes, mixed


def test_a_table_agrees_with_a_dictionary():
    rng = np.random.default_rng(1)
    table = KeyedTable({"sum": (np.int64, 1, 0), "seen": (np.int8, 3, -1)})
    known: dict[int, int] = {}
    for _ in range(60):
        keys = rng.integers(-4_000, 4_000, 500)
        amounts = rng.integers(0, 100, 500)
        slots = table.place(keys)
        np.add.at(table.column("sum"), slots, amounts)
        for key, amount in zip(keys.tolist(), amounts.tolist(), strict=True):
            known[key] = known.get(key, 0) + amount
    keys = np.arange(-5_000, 5_000)
    slots = table.find(keys)
    found = {int(key): int(table.column("sum")[slot]) for key, slot in zip(keys, slots, strict=True) if slot != ABSENT}
    assert found == known
    assert len(table) == len(known)
    assert (table.column("seen")[slots[slots != ABSENT]] == -1).all()


def test_what_is_not_kept_is_gone_and_its_place_is_new():
    table = KeyedTable({"sum": (np.int64, 1, 0)})
    slots = table.place(np.arange(1_000))
    table.column("sum")[slots] = 7
    table.keep(np.isin(np.arange(len(table.column("sum"))), table.find(np.arange(10))))
    assert len(table) == 10
    assert (table.find(np.arange(10, 1_000)) == ABSENT).all()
    slots = table.place(np.array([5, 500]))
    assert table.column("sum")[slots].tolist() == [7, 0]


def test_the_number_that_stands_for_no_key_may_be_a_key():
    table = KeyedTable({"sum": (np.int64, 1, 0)})
    slot = table.place(np.array([np.iinfo(np.int64).min]))
    assert table.find(np.array([np.iinfo(np.int64).min])).tolist() == slot.tolist()


def test_hashes_are_those_of_the_texts_in_any_batch():
    together = hashes(pa.array(["ada", "bob", "ada", "ü"]))
    assert together[0] == together[2]
    assert together.tolist() == [hashes(pa.array([text]))[0] for text in ("ada", "bob", "ada", "ü")]
    assert len(set(together.tolist())) == 3
    assert len(hashes(pa.array([], pa.string()))) == 0


def test_pairs_have_hashes_of_their_own():
    keys, numbers = np.repeat(np.arange(1_000), 100), np.tile(np.arange(-50, 50), 1_000)
    assert len(np.unique(mixed(keys, numbers))) == 100_000
