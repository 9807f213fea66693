"""Hashing: the same for one id as for many, and partitions as Kafka's own client computes them."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from kafka.partitioner.default import murmur2

from ingestion import hashing


def test_key64_is_the_same_on_every_machine_and_differs_by_part() -> None:
    assert hashing.key64("a", 1) == 9331952569449725121
    assert hashing.key64("a", 1) != hashing.key64("a1")


def test_each_id_alone_hashes_as_within_an_array() -> None:
    ids = np.arange(1000)
    together = hashing.hash64(7, ids)
    assert [int(hashing.hash64(7, [one])[0]) for one in ids] == together.tolist()


def test_uniform_numbers_fill_the_unit_interval_evenly() -> None:
    values = hashing.uniform(3, np.arange(100_000))
    assert values.min() >= 0
    assert values.max() < 1
    assert np.histogram(values, 10, (0, 1))[0] == pytest.approx(np.full(10, 10_000), rel=0.05)


def test_normal_numbers_have_mean_zero_and_deviation_one() -> None:
    values = hashing.normal(3, np.arange(100_000))
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.std() == pytest.approx(1, abs=0.02)


def test_uuid_texts_are_valid_distinct_and_repeatable() -> None:
    texts = hashing.uuid_texts(5, np.arange(10_000))
    assert len(set(texts)) == 10_000
    assert all(str(uuid.UUID(text)) == text and uuid.UUID(text).version == 4 for text in texts[:100])
    assert hashing.uuid_texts(5, [9_999]) == texts[-1:]


def test_partitions_are_those_of_kafkas_default_partitioner() -> None:
    keys = hashing.digit_chars("U", np.arange(0, 10_000_000, 99_991), 7)
    expected = [(murmur2(bytes(key)) & 0x7FFFFFFF) % 7 for key in keys]
    assert hashing.partitions(keys, 7).tolist() == expected


def test_partitions_refuse_keys_of_another_length() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        hashing.partitions(hashing.digit_chars("U", [1], 6), 4)
