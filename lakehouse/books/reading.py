"""Reading tables for the proof, file by file, so that a file that is gone is named and the rest still counts.

The newest version is read, and of it the rows of batches up to the cut: that is what the ledger's pinned version holds, unless
somebody has changed the table since, which is what the proof is to find.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.books.positions import EMPTY
from lakehouse.dedup import Int64s, pack_position
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import Table
from lakehouse.transforms.identity import TOPICS

_POSITION = ["topic", "partition", "offset"]


@dataclass(frozen=True)
class Read:
    """Rows with a packed `position` column where the table has offsets, and the files that could not be read."""

    rows: pa.Table
    lost_files: tuple[str, ...] = ()

    @property
    def positions(self) -> Int64s:
        """Sorted, with repetitions."""
        return np.sort(self.rows["position"].to_numpy()) if "position" in self.rows.column_names else EMPTY


def read_up_to(settings: Settings, table: Table, batch_id: int, columns: list[str], with_position: bool = True) -> Read:
    """`columns` of all rows of batches up to `batch_id`; a table that is gone reads as empty and lost."""
    wanted = [*columns, *(_POSITION if with_position else [])]
    empty = pa.schema([table.schema.field(name) for name in wanted]).empty_table()
    try:
        dataset = open_table(settings, table).to_pyarrow_dataset()
    except (TableNotFoundError, DeltaError) as error:
        return Read(_packed(empty) if with_position else empty, (f"{table.path}: {error}",))

    up_to = pc.field("batch_id") <= batch_id

    def read(fragment) -> pa.Table | str:  # type: ignore[no-untyped-def]
        try:
            # Arrow's own threads, still busy with a file system in Python when a command ends, abort it
            return fragment.to_table(columns=wanted, schema=dataset.schema, filter=up_to, use_threads=False)
        except (OSError, pa.ArrowInvalid):
            return f"{table.path}/{fragment.path}"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(read, dataset.get_fragments()))
    parts = [part for part in answers if isinstance(part, pa.Table)]
    rows = pa.concat_tables([part.cast(empty.schema) for part in parts]) if parts else empty
    lost = tuple(part for part in answers if isinstance(part, str))
    return Read(_packed(rows) if with_position else rows, lost)


def _packed(rows: pa.Table) -> pa.Table:
    """The three columns of a position as one integer."""
    encoded = rows["topic"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    numbers = np.array([TOPICS.index(topic) for topic in encoded.dictionary.to_pylist()], dtype=np.int64)
    topics = numbers[encoded.indices.to_numpy()] if len(rows) else EMPTY
    positions = pack_position(topics, rows["partition"].to_numpy(), rows["offset"].to_numpy())
    return rows.drop_columns(_POSITION).append_column("position", pa.array(positions, pa.int64()))
