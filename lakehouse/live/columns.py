"""Arrow columns as numpy arrays and back, exact to the microsecond and the cent; and what is computed on groups of rows.

Inside the live views a time is whole microseconds since 1970 (UTC), an amount whole cents, a text a Python string in an object array.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.tables import MONEY, TIME

Ints = NDArray[np.int64]
Texts = NDArray[np.object_]
Flags = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
LONG_AGO = -(2**62)  # far enough for all times, and what is added to it does not run over
MOST_CENTS = 10**18 - 1  # the largest decimal(18,2)
DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Below this a sum of 64-bit numbers cannot have run over, though its sum in binary floats is only about right.
_SURELY_EXACT = 4e18


def micros_of(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def time_of(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def time_scalar(micros: int) -> pa.Scalar:
    """A time to compare columns with."""
    return pa.scalar(micros, pa.int64()).cast(TIME)


def ints(column: pa.ChunkedArray | pa.Array) -> Ints:
    """A column of whole numbers, or of times as microseconds. No nulls."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(TIME).cast(pa.int64())
    return np.ascontiguousarray(column.to_numpy(), dtype=np.int64)


def cents(column: pa.ChunkedArray | pa.Array) -> Ints:
    """A column of decimal(18,2) as cents: the low half of each 128-bit number, which 18 digits never leave. No nulls."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    halves = np.frombuffer(array.buffers()[1], dtype=np.int64)
    return halves[2 * array.offset : 2 * (array.offset + len(array)) : 2].copy()


def coded(column: pa.ChunkedArray | pa.Array, intern: bool = False) -> tuple[Ints, Texts]:
    """(number of each row's text, the distinct texts). `intern`: equal texts of all batches are one object."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    distinct = np.empty(len(names), dtype=object)
    distinct[:] = [sys.intern(name) for name in names] if intern else names
    return encoded.indices.to_numpy().astype(np.int64), distinct


def joined(*columns: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Columns of texts, one behind the other."""
    return pa.chunked_array(
        [chunk for one in columns for chunk in (one.chunks if isinstance(one, pa.ChunkedArray) else [one])], pa.string()
    ).combine_chunks()


def texts(column: pa.ChunkedArray | pa.Array, intern: bool = True) -> Texts:
    """A column of texts as Python strings, equal ones as one object; of all batches if `intern`. No nulls."""
    codes, names = coded(column, intern)
    return np.asarray(names[codes])


def places(column: pa.ChunkedArray | pa.Array, values: pa.Array) -> NDArray[np.int8]:
    """The place of each row's text in the few `values`. All are there."""
    return np.asarray(pc.index_in(column, values).to_numpy(), dtype=np.int8)


def coded_objects(shared: Texts) -> tuple[Ints, Texts]:
    """As `coded`, of texts of which equal ones are one object, as `texts` gives them: quicker, since none is read."""
    identity = np.fromiter(map(id, shared), dtype=np.int64, count=len(shared))
    _, first, codes = np.unique(identity, return_index=True, return_inverse=True)
    return codes, shared[first]


def distinct(values: Ints) -> Ints:
    """The distinct values, sorted."""
    ordered = np.sort(values)
    return ordered[group_starts(ordered)]


def times(micros: Ints) -> pa.Array:
    """Times; null where NEVER."""
    return pa.array(micros, pa.int64(), mask=micros == NEVER).cast(TIME)


class Times(Sequence[datetime]):
    """Times as Python sees them, made one by one as they are asked for."""

    def __init__(self, micros: Ints) -> None:
        self._micros = micros

    def __len__(self) -> int:
        return len(self._micros)

    @overload
    def __getitem__(self, place: int) -> datetime: ...
    @overload
    def __getitem__(self, place: slice) -> Times: ...
    def __getitem__(self, place: int | slice) -> datetime | Times:
        if isinstance(place, slice):
            return Times(self._micros[place])
        return time_of(int(self._micros[place]))


def dates(micros: Ints) -> pa.Array:
    """The UTC day of each time."""
    return pa.array((micros // DAY).astype(np.int32), pa.int32()).cast(pa.date32())


def money(amounts: Ints) -> pa.Array:
    """Cents as decimal(18,2)."""
    halves = np.stack([amounts, amounts >> 63], axis=1)
    return pa.Array.from_buffers(MONEY, len(amounts), [None, pa.py_buffer(np.ascontiguousarray(halves))])


def snapshot_columns(count: int, batch_id: int, known_at: datetime) -> dict[str, pa.Array]:
    """`batch_id` and `known_at` of `count` snapshots."""
    return {
        "batch_id": pa.repeat(pa.scalar(batch_id, pa.int64()), count),
        "known_at": pa.repeat(pa.scalar(known_at, TIME), count),
    }


def offsets(lengths: Ints) -> Ints:
    """Where each list begins, and the end of the last: one more than there are lists."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def lists(lengths: Ints, values: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column of lists of type `kind` with these lengths, `values` one behind the other."""
    return pa.ListArray.from_arrays(pa.array(offsets(lengths), pa.int32()), values, type=kind)


def list_parts(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    """(length of each list, all their values one behind the other). No nulls."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return ints(pc.list_value_length(array)), array.flatten()


def group_starts(*keys: NDArray[Any]) -> Ints:
    """Rows at which a new group begins, for rows sorted by `keys`."""
    if not len(keys[0]):
        return np.empty(0, dtype=np.int64)
    begins = np.ones(len(keys[0]), dtype=bool)
    begins[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(begins)


def run_begins(owner: Ints, start: Ints, end: Ints, gap: int) -> Flags:
    """True for each span that begins a run: it starts more than `gap` behind all earlier spans of its owner.

    Spans are sorted by owner (a number from 0) and start.
    """
    begins = np.ones(len(owner), dtype=bool)
    if len(owner) > 1:
        # the highest end so far, per owner: in ranks, so that the owner's number can stand before it in one integer
        values, rank = np.unique(end, return_inverse=True)
        reach = np.maximum.accumulate(owner * len(values) + rank) - owner * len(values)
        begins[1:] = (owner[1:] != owner[:-1]) | (start[1:] - values[reach[:-1]] > gap)
    return begins


def sums(values: Ints, starts: Ints) -> Ints:
    """The sum of each group; groups begin at `starts`."""
    return np.add.reduceat(values, starts) if len(starts) else np.empty(0, dtype=np.int64)


def capped_sums(amounts: Ints, starts: Ints) -> Ints:
    """As `sums`, of cents that are not negative, with MOST_CENTS for more than that."""
    if not len(starts):
        return np.empty(0, dtype=np.int64)
    total = np.add.reduceat(amounts, starts)
    rough = np.add.reduceat(amounts.astype(np.float64), starts)
    return np.asarray(np.where(rough < _SURELY_EXACT, np.minimum(total, MOST_CENTS), MOST_CENTS))


def list_sums(values: Ints, lengths: Ints, add: Callable[[Ints, Ints], Ints]) -> Ints:
    """The sum of each list by `sums` or `capped_sums`, 0 where it is empty; `values` are those of all lists, one behind the other."""
    total = np.zeros(len(lengths), dtype=np.int64)
    total[lengths > 0] = add(values, offsets(lengths)[:-1][lengths > 0])
    return total


def capped_product(counts: Ints, amounts: Ints) -> Ints:
    """`counts` x cents, neither negative, with MOST_CENTS for more than that."""
    rough = counts.astype(np.float64) * amounts.astype(np.float64)
    return np.asarray(np.where(rough < _SURELY_EXACT, np.minimum(counts * amounts, MOST_CENTS), MOST_CENTS))


def ranks(names: Sequence[str] | Texts) -> Ints:
    """Place of each of the distinct `names` in their order."""
    order = pc.array_sort_indices(pa.array(names, pa.string())).to_numpy()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place
