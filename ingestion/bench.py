"""How many records a second one generator process makes and sends, for `globalmart bench generator`."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.options import RunOptions, history
from ingestion.run import run
from lakehouse.settings import Settings

REQUIRED_PER_SECOND = 500
_DAYS = 60


def measure_rate(settings: Settings, seconds: float) -> dict[str, Any]:
    """Send history of full scale for about `seconds` and return `events_per_second` (acknowledged, at most one process),
    `headroom` as a multiple of the 500 a second that are asked for, `cpu_microseconds_per_event` and `records`.

    It writes to the input topics, so use a broker that nobody reads. Raises KafkaError where none answers.
    """
    options: RunOptions = history(
        timedelta(days=_DAYS).total_seconds(),
        int((datetime.now(UTC) - timedelta(days=_DAYS)).timestamp() * 1000),
        scale=1.0,
        catalogue=False,
    )
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    cpu = time.process_time()
    try:
        report = run(settings, options, stop=stop)
    finally:
        timer.cancel()
    cpu = time.process_time() - cpu
    records = sum(report.acknowledged.values())
    return {
        "events_per_second": report.events_per_second,
        "headroom": round(report.events_per_second / REQUIRED_PER_SECOND, 1),
        "cpu_microseconds_per_event": round(cpu / max(records, 1) * 1e6, 1),
        "records": records,
        "seconds": report.seconds,
    }
