"""Where an event is on Kafka, as one integer that orders as topic, partition and offset do, and as columns `entry_*`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contracts import CONTRACTS
from lakehouse.dedup import OFFSET_BITS, PARTITION_BITS, pack_position
from lakehouse.live import columns as c
from lakehouse.live.columns import Ints

TOPICS = ("cart_events", "product_views", "transactions")
"""What visitors do, in alphabetical order, which is the order of positions."""
_TOPICS = pa.array(TOPICS)
_KINDS = pa.array([CONTRACTS[topic].event_type for topic in TOPICS])


def packed(topic: pa.ChunkedArray, partition: pa.ChunkedArray, offset: pa.ChunkedArray) -> Ints:
    """One integer for each position."""
    bits = np.int64(PARTITION_BITS + OFFSET_BITS)
    return (c.places(topic, _TOPICS).astype(np.int64) << bits) | pack_position(0, c.ints(partition), c.ints(offset))


def packed_entries(rows: pa.Table) -> Ints:
    return packed(rows["entry_topic"], rows["entry_partition"], rows["entry_offset"])


def entry_columns(entry: Ints) -> dict[str, Any]:
    """The columns `entry_topic`, `entry_partition` and `entry_offset`."""
    partition = (entry >> np.int64(OFFSET_BITS)) & np.int64((1 << PARTITION_BITS) - 1)
    return {
        "entry_topic": pc.take(_TOPICS, _numbers(entry)),
        "entry_partition": partition.astype(np.int32),
        "entry_offset": entry & np.int64((1 << OFFSET_BITS) - 1),
    }


def kinds(entry: Ints) -> pa.Array:
    """The event type of each position."""
    return pc.take(_KINDS, _numbers(entry))


def _numbers(entry: Ints) -> pa.Array:
    return pa.array(entry >> np.int64(OFFSET_BITS + PARTITION_BITS))
