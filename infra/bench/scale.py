"""The profile `cluster`: a backlog with one worker core and with two, then traffic at a rising rate, and what each part of it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from infra import envfile, stack
from infra.bench.base import FAULTS, Result, live, note, throwaway, wait_for_lag
from infra.bench.freshness import ages_since, percentiles
from infra.servers.kafka import brokers
from infra.servers.spark import WORKERS
from infra.supervision import Supervisor
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
GENERATOR = "generator"


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
    used = meter.used(since_start=("driver, JVM", "driver, Python"))
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
        behind = max(0.0, _last_commit(settings) - ended)
        step = {
            "rate": rate,
            "events_per_second": round(len(age) / (sent_in + behind)),
            "kept_up": behind <= _KEPT_UP_SECONDS,
            "lag_seconds_at_end": round(behind, 1),
            "freshness_seconds": percentiles(age),
            "cores": cores,
            **_cost(meter.used(), len(age), core_hour),
            "memory_gb": {part: round(value, 2) for part, value in memory(settings).items()},
        }
        steps.append(step)
        note(str(step))
        if not step["kept_up"]:
            break
    return steps


def _last_commit(settings: Settings) -> float:
    """When the last batch with records was committed, in Unix seconds."""
    columns = ["committed_at", "record_count"]
    rows = open_table(settings, LEDGER_STREAMING).to_pyarrow_table(columns=columns).to_pylist()
    return float(max(row["committed_at"].timestamp() for row in rows if row["record_count"]))


def _cost(used: dict[str, float], records: int, core_hour: float) -> dict[str, float]:
    core_seconds = sum(value for part, value in used.items() if part != GENERATOR) / (records / 1e6)
    return {
        "core_seconds_per_million": round(core_seconds),
        "dollars_per_million": round(core_seconds / 3600 * core_hour, 4),
    }


def _parts(settings: Settings) -> dict[str, list[psutil.Process]]:
    """The processes of each part of the cluster as they are now."""
    pids = {name: int(info["pid"]) for name, info in Supervisor(settings).processes().items() if info["pid"]}

    def trees(*names: str) -> list[psutil.Process]:
        roots = [psutil.Process(pids[name]) for name in names if name in pids]
        return [one for root in roots for one in (root, *root.children(recursive=True))]

    driver = trees("streaming")
    jvm = [one for one in driver if one.name() == "java"]
    return {
        "Kafka": trees(*brokers(settings)),
        "MinIO": trees("minio"),
        "Spark master": trees("spark-master"),
        "Spark workers": trees(*WORKERS),
        "driver, JVM": jvm,
        "driver, Python": [one for one in driver if one not in jvm],
        GENERATOR: [psutil.Process()],
    }


def memory(settings: Settings) -> dict[str, float]:
    """Resident memory of each part, GiB."""
    return {part: sum(_resident(one) for one in found) / 2**30 for part, found in _parts(settings).items()}


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@dataclass
class Meter:
    """Processor seconds of each part from the meter's making on; of a process that ends in between, nothing after the last look."""

    settings: Settings
    _before: dict[int, float] = field(init=False)

    def __post_init__(self) -> None:
        self._before = {one.pid: _seconds(one) for found in _parts(self.settings).values() for one in found}

    def used(self, since_start: tuple[str, ...] = ()) -> dict[str, float]:
        """Core-seconds by part. A process that was not there before counts from its start."""
        return {
            part: sum(_seconds(one) - (0.0 if part in since_start else self._before.get(one.pid, 0.0)) for one in found)
            for part, found in _parts(self.settings).items()
        }


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
