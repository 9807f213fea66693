"""Columns of a benchmark's data: numpy to Arrow without a Python object for each value, and random numbers by name and id."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.hashing import Floats, Ints, key64, uniform
from lakehouse.tables import MONEY, TIME


def draw(what: str, ids: Ints) -> Floats:
    """A number in [0, 1) per id, the same in every run; each `what` draws for itself."""
    return uniform(key64("bench warehouse", what), ids)


def text(chars: npt.NDArray[np.uint8]) -> pa.Array:
    """The rows of an ASCII character matrix as texts."""
    offsets = np.arange(len(chars) + 1, dtype=np.int32) * chars.shape[1]
    return pa.StringArray.from_buffers(len(chars), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(chars)))


def same(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)


def named(codes: Ints, names: tuple[str, ...]) -> pa.Array:
    """The name of each code, as text."""
    values = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))
    return values.cast(pa.string())


def code(draws: Floats, count: int) -> Ints:
    """Each of `count` codes equally often."""
    return np.asarray((draws * count).astype(np.int64))


def money(cents: Ints) -> pa.Array:
    halves = np.stack([cents, cents >> 63], axis=1)  # a decimal is its unscaled number in 128 bits
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(np.ascontiguousarray(halves))])


def times(micros: Ints) -> pa.Array:
    """Microseconds since 1970 (UTC)."""
    return pa.array(micros, TIME)


def lists(ends: Ints, values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values from each end to the next one, as many lists as there are ends but one."""
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, type=kind)
