"""When event time became final: which batch took the watermark past which minute. Table `gold/finality`, read by the sales board."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.live.base import Batch, Lake, Output
from lakehouse.tables import FINALITY, Table


class FinalityView:
    """One row for each batch after which the watermark has reached a further whole minute; at most one row a minute, live."""

    tables: tuple[Table, ...] = (FINALITY,)

    def __init__(self) -> None:
        self._final_until: datetime | None = None

    def load(self, lake: Lake) -> None:
        self._final_until = pc.max(lake.read(FINALITY, ["final_until"])["final_until"]).as_py()

    def apply(self, batch: Batch) -> Output:
        if batch.watermark is None:
            return Output()
        minute = batch.watermark.replace(second=0, microsecond=0)
        if self._final_until is not None and minute <= self._final_until:
            return Output()
        self._final_until = minute
        row = {"final_until": minute, "batch_id": batch.batch_id, "known_at": batch.started_at}
        return Output({FINALITY.path: pa.Table.from_pylist([row], schema=FINALITY.schema)})
