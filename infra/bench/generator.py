"""How many records a second one generator process makes and sends, beside the 500 that are asked for."""

from __future__ import annotations

from infra.bench.base import Result, throwaway, up
from ingestion.bench import REQUIRED_PER_SECOND, measure_rate


def generator(seconds: int) -> Result:
    with throwaway():
        rate = measure_rate(up("kafka"), seconds)
    ours = rate["events_per_second"]
    return Result("generator", "events/s", ours, float(REQUIRED_PER_SECOND), round(ours / REQUIRED_PER_SECOND, 2), rate)
