"""The duplicate index finds what was added, whatever the order and number of runs."""

import numpy as np
import pytest

from lakehouse.dedup import NO_POSITION, Entries, IdIndex, pack_position, unpack_position


def entries(*rows):
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Entries(*columns)


def find(index, *ids):
    hashes, hashes2 = np.array(ids, dtype=np.int64).T
    position, body = index.find(hashes, hashes2)
    return list(zip(position.tolist(), body.tolist(), strict=True))


def test_unknown_id_has_no_position():
    assert find(IdIndex(), (1, 1)) == [(NO_POSITION, 0)]


def test_known_ids_are_found_among_others():
    index = IdIndex()
    index.add(entries((5, 50, 100, 7), (-3, 30, 101, 8)))
    assert find(index, (-3, 30), (4, 40), (5, 50)) == [(101, 8), (NO_POSITION, 0), (100, 7)]


def test_equal_first_hash_of_different_ids_is_told_apart():
    index = IdIndex()
    index.add(entries((5, 50, 100, 7), (5, 51, 101, 8), (5, 52, 102, 9)))
    assert find(index, (5, 52), (5, 50), (5, 53)) == [(102, 9), (100, 7), (NO_POSITION, 0)]


def test_many_batches_are_all_found_and_kept_in_few_runs():
    rng = np.random.default_rng(1)
    ids = rng.integers(-(2**63), 2**63 - 1, size=(50_000, 2), dtype=np.int64)
    index = IdIndex()
    for start in range(0, 50_000, 500):
        part = ids[start : start + 500]
        index.add(Entries(part[:, 0], part[:, 1], np.arange(start, start + 500), part[:, 0] ^ part[:, 1]))
    position, body = index.find(ids[:, 0], ids[:, 1])
    assert position.tolist() == list(range(50_000))
    assert (body == ids[:, 0] ^ ids[:, 1]).all()
    assert len(index) == 50_000
    assert len(index._runs) <= 10


@pytest.mark.parametrize("place", [(0, 0, 0), (5, 16383, 2**44 - 1), (3, 7, 123456789)])
def test_positions_survive_packing_and_keep_their_order(place):
    topic, partition, offset = place
    packed = pack_position(topic, np.array([partition]), np.array([offset]))
    assert unpack_position(int(packed[0])) == place
    assert packed[0] >= 0


def test_positions_order_as_topic_partition_offset():
    places = [(0, 0, 5), (0, 1, 0), (1, 0, 0), (1, 0, 1)]
    packed = [int(pack_position(t, np.array([p]), np.array([o]))[0]) for t, p, o in places]
    assert packed == sorted(packed)
