"""How many records a second one generator process makes and sends, for `globalmart bench generator`."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.options import RunOptions, history
from ingestion.run import Progress, run
from lakehouse.settings import Settings

REQUIRED_PER_SECOND = 500
_DAYS = 60


def measure_rate(settings: Settings, seconds: float) -> dict[str, Any]:
    """Send history of full scale for `seconds` once it flows and return `events_per_second` (acknowledged, one process),
    `headroom` as a multiple of the 500 a second that are asked for, `cpu_microseconds_per_event`, `records` and `seconds`.

    It writes to the input topics, so use a broker that nobody reads. Raises KafkaError where none answers.
    """
    options: RunOptions = history(
        timedelta(days=_DAYS).total_seconds(),
        int((datetime.now(UTC) - timedelta(days=_DAYS)).timestamp() * 1000),
        scale=1.0,
        catalogue=False,
    )
    stop = threading.Event()
    first: list[tuple[float, float, int]] = []

    def on_progress(progress: Progress) -> None:
        if not first:
            first.append((time.monotonic(), time.process_time(), progress.acknowledged))
        elif time.monotonic() - first[0][0] >= seconds:
            stop.set()

    report = run(settings, options, on_progress=on_progress, stop=stop)
    started, cpu, already = first[0]
    passed, cpu = time.monotonic() - started, time.process_time() - cpu
    records = sum(report.acknowledged.values()) - already
    return {
        "events_per_second": round(records / passed, 1),
        "headroom": round(records / passed / REQUIRED_PER_SECOND, 1),
        "cpu_microseconds_per_event": round(cpu / max(records, 1) * 1e6, 1),
        "records": records,
        "seconds": round(passed, 3),
    }
