"""The profile `cluster`: a backlog with one worker core and with two, then traffic at a rising rate, and what each part of it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from infra import envfile, stack
from infra.bench.base import FAULTS, Result, live, note, throwaway, wait_for_lag
from infra.bench.freshness import ages_since, percentiles
from infra.bench.parts import GENERATOR, Meter, bytes_per_record, memory, phases
from infra.servers.spark import WORKERS
from ingestion import options as traffic
from ingestion.run import run
from lakehouse.settings import Settings, load_settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING

RATES = (500, 1000, 2000, 4000, 8000)
CORE_HOUR = 0.04  # an example: what a core with 4 GiB costs an hour, in dollars, where machines are rented by the hour
_HOURS = 6  # of the whole shop, 700,000 records
_WARM_UP_SECONDS = 60
_KEPT_UP_SECONDS = (
    15.0  # behind at most this at the end of a step, the stream has kept up; what lies above it starts no higher step
)


def scale(seconds: int, rates: tuple[int, ...] = RATES, core_hour: float = CORE_HOUR) -> Result:
    """Ours: events a second that two workers of one core each drain; the peer: one of them. Each step of `rates` lasts `seconds`."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    with _cluster(WORKERS[0]) as settings:
        one = _drain(settings, (WORKERS[0],), midnight, core_hour)
    with _cluster(*WORKERS) as settings:
        two = _drain(settings, WORKERS, midnight, core_hour)
        live(settings, rates[0], _WARM_UP_SECONDS)
        steps = _steps(settings, rates, seconds, core_hour)
    speed_up = round(two["events_per_second"] / one["events_per_second"], 2)
    details = {
        "one_worker_core": one,
        "two_worker_cores": two,
        "steps": steps,
        "highest_rate_kept_up_with": max((one["rate"] for one in steps if one["kept_up"]), default=0),
        "cores_of_this_machine": psutil.cpu_count(),
        "core_hour_dollars": core_hour,
        "cost_is_of": "brokers, object store, Spark's master, workers and executors, and the driver; not of the generator",
    }
    unit = "events/s drained by two worker cores, beside one"
    return Result("scale", unit, two["events_per_second"], one["events_per_second"], speed_up, details)


@contextmanager
def _cluster(*workers: str) -> Iterator[Settings]:
    """A throw-away stack of the profile `cluster` whose workers have one core each; servers and `workers` run, the stream does not yet."""
    with throwaway():
        envfile.put("profile", "cluster")
        envfile.put("spark_worker_cores", "1")
        stack.up(only=("kafka", "minio", "spark-master", *workers), say=note)
        yield load_settings()


def _drain(settings: Settings, workers: tuple[str, ...], midnight: datetime, core_hour: float) -> dict[str, Any]:
    """The same records whatever `workers`: from 12:00 of a day on. The driver counts from its start, compiling included."""
    start = int((midnight + timedelta(hours=12)).timestamp() * 1000)
    asked = traffic.history(
        timedelta(hours=_HOURS).total_seconds(), start, scale=1.0, shares=FAULTS, catalogue=False, seed=1
    )
    records = sum(run(settings, asked).acknowledged.values())
    meter = Meter(settings)
    stack.up(only=("streaming",), say=note)
    wait_for_lag(settings, 0)
    used = meter.used()
    ledger = open_table(settings, LEDGER_STREAMING).to_pyarrow_table().sort_by("batch_id").to_pylist()
    batches = [row for row in ledger if row["record_count"]]
    took = (batches[-1]["committed_at"] - batches[0]["started_at"]).total_seconds()
    warm = [(row["record_count"], (row["committed_at"] - row["started_at"]).total_seconds()) for row in batches[1:]]
    told = {
        "worker_cores": len(workers),
        "records": records,
        "events_per_second": round(records / took),
        "events_per_second_without_first_batch": round(sum(n for n, _ in warm) / (sum(s for _, s in warm) or 1)),
        **_cost(used, records, core_hour),
        "core_seconds": {part: round(value, 1) for part, value in used.items()},
        "driver_seconds_by_phase": phases(settings),
        "memory_gb": {part: round(value, 2) for part, value in memory(settings).items()},
        "bytes_per_record": bytes_per_record(settings, records),
    }
    note(f"backlog with {len(workers)} worker core(s): {told}")
    return told


def _steps(settings: Settings, rates: tuple[int, ...], seconds: int, core_hour: float) -> list[dict[str, Any]]:
    """One after the other, until the stream does not keep up."""
    steps: list[dict[str, Any]] = []
    for rate in rates:
        began, clock, meter = datetime.now(UTC), time.monotonic(), Meter(settings)
        live(settings, rate, seconds)
        sent_in = time.monotonic() - clock
        cores = {part: round(value / sent_in, 2) for part, value in meter.used().items()}
        ended = time.time()
        wait_for_lag(settings, 0)
        age, _ = ages_since(settings, began)
        records, last_commit = _taken_since(settings, began)
        behind = max(0.0, last_commit - ended)
        step = {
            "rate": rate,
            "events_per_second": round(records / (sent_in + behind)),
            "kept_up": behind <= _KEPT_UP_SECONDS,
            "lag_seconds_at_end": round(behind, 1),
            "freshness_seconds": percentiles(age),
            "cores": cores,
            **_cost(meter.used(), records, core_hour),
            "memory_gb": {part: round(value, 2) for part, value in memory(settings).items()},
        }
        steps.append(step)
        note(str(step))
        if not step["kept_up"]:
            break
    return steps


def _taken_since(settings: Settings, began: datetime) -> tuple[int, float]:
    """Records of the batches from `began` on, and when the last of them was committed, in Unix seconds."""
    columns = ["started_at", "committed_at", "record_count"]
    rows = open_table(settings, LEDGER_STREAMING).to_pyarrow_table(columns=columns).to_pylist()
    taken = [row for row in rows if row["record_count"] and row["started_at"] >= began]
    return sum(row["record_count"] for row in taken), max(row["committed_at"].timestamp() for row in taken)


def _cost(used: dict[str, float], records: int, core_hour: float) -> dict[str, float]:
    core_seconds = sum(value for part, value in used.items() if part != GENERATOR) / (records / 1e6)
    return {
        "core_seconds_per_million": round(core_seconds),
        "dollars_per_million": round(core_seconds / 3600 * core_hour, 4),
    }
