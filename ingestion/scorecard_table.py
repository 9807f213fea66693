"""The scorecard as rows of `ops/detector_scorecard`, appended under the lease of the table's owner, the batch side."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from ingestion.scorecard import Score
from lakehouse import upkeep
from lakehouse.lease import Lease
from lakehouse.settings import Settings
from lakehouse.tables import DETECTOR_SCORECARD


def rows(scores: list[Score], seeds: tuple[int, ...], scored_at: datetime) -> pa.Table:
    """One row a score, columns as the table has them."""
    return pa.Table.from_pylist(
        [
            {
                "scored_at": scored_at,
                "seeds": list(seeds),
                "detector": one.detector,
                "anomaly_count": one.anomaly_count,
                "found_count": one.found_count,
                "false_count": one.false_count,
                "crossed_count": one.crossed_count,
                "precision": one.precision,
                "recall": one.recall,
                "f1": one.f1,
                "seconds_to_detect": one.seconds,
            }
            for one in scores
        ],
        schema=DETECTOR_SCORECARD.schema,
    )


def append(settings: Settings, added: pa.Table) -> int:
    """Append to the table, made where it is missing; its version. `settings` are those of the batch service.

    Raises LeaseHeldError while a batch run owns the table.
    """
    with Lease(settings, "batch"):
        return upkeep.append(settings, DETECTOR_SCORECARD, added)
