"""`globalmart bench`: what the platform does in a second, each beside its peer, on a throw-away stack that is gone afterwards."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import pyarrow as pa
import typer
from deltalake import write_deltalake
from kafka import KafkaConsumer
from rich.console import Console

from infra import envfile, stack
from infra.supervision import leftovers
from ingestion import options as traffic
from ingestion.bench import REQUIRED_PER_SECOND, measure_rate
from ingestion.run import run
from ingestion.shares import Shares
from lakehouse import heartbeat
from lakehouse.contracts import CONTRACTS
from lakehouse.errors import GlobalMartError
from lakehouse.kafka import KafkaOffsets
from lakehouse.settings import PREFIX, Settings, get_settings, load_settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING, TABLES

EPILOG = "Example: globalmart bench drain --json"

_out = Console(stderr=True, highlight=False)
_FAULTS = Shares(duplicates=0.01, conflicts=0.002, late=0.01, malformed=0.002, violations=0.005)


@dataclass(frozen=True)
class Result:
    """One benchmark. `ratio` above 1: ours is better. `peer` and `ratio` are None where there is nothing to compare with."""

    name: str
    unit: str
    ours: float
    peer: float | None
    ratio: float | None
    details: dict[str, Any] = field(default_factory=dict)


class BenchError(GlobalMartError):
    """A benchmark could not be run."""


def bench(
    name: Annotated[str, typer.Argument(help="generator, drain, freshness, or all.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per benchmark.")] = False,
    seconds: Annotated[int, typer.Option(min=5, help="How long to measure, where time is the measure.")] = 60,
) -> None:
    """Run one benchmark on a throw-away stack of its own and print ours beside its peer."""
    if name != "all" and name not in _BENCHMARKS:
        raise BenchError(f"There is no benchmark {name!r}: there are {', '.join(_BENCHMARKS)}, and all.")
    for one in _BENCHMARKS if name == "all" else [name]:
        result = _BENCHMARKS[one](seconds)
        if as_json:
            print(json.dumps(asdict(result)))
        else:
            beside = "" if result.peer is None else f", peer {result.peer:,.1f} (ratio {result.ratio:.2f})"
            print(f"{result.name}: {result.ours:,.1f} {result.unit}{beside}")
            for key, value in result.details.items():
                print(f"  {key}: {value}")


@contextmanager
def _throwaway() -> Iterator[None]:
    """A stack with its own `.env`, ports and data; nothing of it is left."""
    outside = {
        key: os.environ.pop(key) for key in list(os.environ) if key.startswith(PREFIX) and key != f"{PREFIX}CACHE_DIR"
    }
    with tempfile.TemporaryDirectory(prefix="globalmart-bench-", ignore_cleanup_errors=True) as folder:
        os.environ[f"{PREFIX}ENV_FILE"] = str(Path(folder) / ".env")
        envfile.ensure_env(Path(folder) / "state", envfile.random_ports())
        get_settings.cache_clear()
        try:
            yield
        finally:
            stack.down(say=lambda _: None)
            os.environ.pop(f"{PREFIX}ENV_FILE")
            os.environ.update(outside)
            get_settings.cache_clear()


def _up(*services: str) -> Settings:
    stack.up(only=services, say=lambda text: _out.print(f"  {text}", markup=False))
    return load_settings()


def _generator(seconds: int) -> Result:
    with _throwaway():
        rate = measure_rate(_up("kafka"), seconds)
    ours = rate["events_per_second"]
    return Result("generator", "events/s", ours, float(REQUIRED_PER_SECOND), round(ours / REQUIRED_PER_SECOND, 2), rate)


def _drain(_seconds: int) -> Result:
    """A backlog from Kafka to bronze, silver, quarantine, duplicates and live gold, against a script without any guarantee."""
    with _throwaway():
        settings = _up("kafka", "minio")
        start = int((datetime.now(UTC) - timedelta(days=3)).timestamp() * 1000)
        report = run(
            settings,
            traffic.history(timedelta(hours=2).total_seconds(), start, scale=1.0, shares=_FAULTS, catalogue=False),
        )
        records = sum(report.acknowledged.values())
        peer = records / _plain_script(settings)
        _up("streaming")
        _wait_for_lag(settings, 0)
        ledger = open_table(settings, LEDGER_STREAMING).to_pyarrow_table().sort_by("batch_id").to_pylist()
    took = (ledger[-1]["committed_at"] - ledger[0]["started_at"]).total_seconds()
    batches = [
        {"records": row["record_count"], "seconds": round((row["committed_at"] - row["started_at"]).total_seconds(), 2)}
        for row in ledger
    ]
    warm = [one for one in batches[1:] if one["records"]]
    details = {
        "records": records,
        "seconds_with_warm_up": round(took, 2),
        "events_per_second_without_first_batch": round(
            sum(b["records"] for b in warm) / (sum(b["seconds"] for b in warm) or 1)
        ),
        "batches": batches,
        "peer_is": "consume, orjson, Arrow, delta-rs append to three local tables: no validation, no duplicates, not exactly once",
    }
    return Result("drain", "events/s", round(records / took), round(peer), round(records / took / peer, 2), details)


def _plain_script(settings: Settings) -> float:
    """Seconds that the plain script takes for what Kafka holds now."""
    offsets = KafkaOffsets(settings)
    left = sum(offsets.ends(offsets.partitions(CONTRACTS)).values())
    offsets.close()
    consumer = KafkaConsumer(
        *CONTRACTS,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
        max_poll_records=20_000,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        while left > 0:
            rows: dict[str, list[dict[str, Any]]] = {}
            for records in consumer.poll(timeout_ms=1000, max_records=20_000).values():
                left -= len(records)
                for record in records:
                    try:
                        body = orjson.loads(record.value or b"")
                        rows.setdefault(record.topic, []).append(
                            {"id": str(body["event_id"]), "user": str(body.get("user_id")), "body": record.value}
                        )
                    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                        continue
            for topic, parsed in rows.items():
                write_deltalake(f"{folder}/{topic}", pa.Table.from_pylist(parsed), mode="append")
    consumer.close()
    return time.monotonic() - began


def _freshness(seconds: int) -> Result:
    """From a record's Kafka timestamp to the ledger entry of its batch, by when silver and live gold have it; all records."""
    with _throwaway():
        settings = _up("kafka", "minio", "streaming")
        _live(settings, 500, 60)  # the virtual machine compiles what it uses; users register
        measured = {rate: _fresh_at(settings, rate, seconds) for rate in (500, 3000)}
    details = {f"{rate}_per_second": figures for rate, figures in measured.items()}
    return Result("freshness", "seconds, p95 at 3,000 events/s", measured[3000]["p95"], None, None, details)


def _fresh_at(settings: Settings, rate: int, seconds: int) -> dict[str, Any]:
    began = datetime.now(UTC)
    _live(settings, rate, seconds)
    _wait_for_lag(settings, 0)
    ledger = open_table(settings, LEDGER_STREAMING).to_pyarrow_table(columns=["batch_id", "committed_at"]).to_pylist()
    committed = {row["batch_id"]: row["committed_at"] for row in ledger}
    ages = []
    for topic in CONTRACTS:
        table = next(table for table in TABLES if table.path == f"silver/{topic}")
        rows = open_table(settings, table).to_pyarrow_table(
            columns=["kafka_at", "batch_id"], filters=[("kafka_at", ">=", began)]
        )
        visible = pa.array([committed[batch] for batch in rows["batch_id"].to_pylist()], pa.timestamp("us", tz="UTC"))
        ages.append(
            (visible.cast(pa.int64()).to_numpy() - rows["kafka_at"].combine_chunks().cast(pa.int64()).to_numpy()) / 1e6
        )
    age = np.concatenate(ages)
    percentiles = {f"p{p}": round(float(np.percentile(age, p)), 2) for p in (50, 95, 99)}
    memory = {
        f"{process.name()} {process.pid}": f"{process.memory_info().rss / 2**30:.2f} GiB"
        for process in leftovers(settings)
    }
    return {**percentiles, "max": round(float(age.max()), 2), "records": len(age), "memory": memory}


def _live(settings: Settings, rate: int, seconds: int) -> None:
    run(settings, traffic.live(seconds, rate=rate, catalogue=False, shares=_FAULTS))


def _wait_for_lag(settings: Settings, most: int, patience: float = 900) -> None:
    asked, waiting = time.time(), threading.Event()
    while time.time() - asked < patience:
        beat = heartbeat.read(settings, "streaming") or {}
        told = beat and datetime.fromisoformat(beat["updated_at"]).timestamp() > asked + 2
        if told and beat.get("lag_records") is not None and beat["lag_records"] <= most:
            return
        waiting.wait(0.2)
    raise BenchError(f"The stream did not take the backlog within {patience:.0f} s.")


_BENCHMARKS: dict[str, Callable[[int], Result]] = {"generator": _generator, "drain": _drain, "freshness": _freshness}
