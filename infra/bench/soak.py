"""Whether an hour leaves traces: seconds of a micro-batch and files of each table, from one sixth of the time to the next."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np

from infra.bench.base import BenchError, Result, live, note, throwaway, up, wait_for_lag
from infra.bench.looks import Look, looking
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING

_RATE = 500
_WARM_UP_SECONDS = 60
_PARTS = 6
_LOOKS = 10  # of the files in each part


def soak(seconds: int) -> Result:
    """Live traffic of 500 events a second with every query. Ours: the median batch of the last part, as a share of that of the first.

    Nothing to compare with: 1 is flat.
    """
    with throwaway():
        settings = up("kafka", "minio", "streaming")
        live(settings, _RATE, _WARM_UP_SECONDS)
        began = datetime.now(UTC)
        with looking(settings, seconds / _PARTS / _LOOKS) as looks:
            live(settings, _RATE, seconds)
        wait_for_lag(settings, 0)
        parts = _parts(settings, began, seconds, looks)
    ratio = round(parts[-1]["batch_seconds_p50"] / parts[0]["batch_seconds_p50"], 2)
    return Result("soak", "median batch, last part over first", ratio, None, None, {"parts": parts})


def _parts(settings: Settings, began: datetime, seconds: int, looks: list[Look]) -> list[dict[str, Any]]:
    """Of each sixth of the time: seconds from a batch's start to its commit, and the most files that were counted."""
    columns = ["started_at", "committed_at"]
    batches = open_table(settings, LEDGER_STREAMING).to_pyarrow_table(columns=columns).to_pylist()
    parts = []
    for number in range(_PARTS):
        first, last = (number * seconds / _PARTS, (number + 1) * seconds / _PARTS)

        def within(at: datetime, first: float = first, last: float = last) -> bool:
            return first <= (at - began).total_seconds() < last

        took = [
            (row["committed_at"] - row["started_at"]).total_seconds() for row in batches if within(row["started_at"])
        ]
        seen = [one.files for one in looks if within(one.at)]
        if not took or not seen:
            raise BenchError(
                f"No batch began, or no files were counted, within {last - first:.0f} s: give --seconds more time."
            )
        most = max((count, path) for files in seen for path, count in files.items())
        parts.append(
            {
                "minutes": f"{first / 60:.0f} to {last / 60:.0f}",
                "batches": len(took),
                "batch_seconds_p50": round(median(took), 2),
                "batch_seconds_p95": round(float(np.percentile(took, 95)), 2),
                "files_median": round(median(sum(files.values()) for files in seen)),
                "files_most": max(sum(files.values()) for files in seen),
                "most_files_of_a_table": most[0],
                "that_table": most[1],
            }
        )
        note(str(parts[-1]))
    return parts
