"""From a record's Kafka timestamp to the commit that makes it visible, over all records, beside the serial topology."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa

from infra.bench.base import BenchError, Result, live, note, throwaway, up, wait_for_lag
from infra.ivy import jars_folder
from infra.supervision import leftovers
from lakehouse.contracts import CONTRACTS
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING, TABLES

_RATE = 3000
_SLOW_SECONDS = 120
_WARM_UP_SECONDS = 60
_PATIENCE_SECONDS = 240


def freshness(seconds: int) -> Result:
    """Ours: to the ledger entry of the record's batch, by when silver and live gold have it. The peer: Kafka to bronze to
    silver to gold by MERGE, three queries with Spark's defaults, to the MERGE that has the record; same traffic, same machine."""
    with throwaway():
        settings = up("kafka", "minio", "streaming")
        live(settings, 500, _WARM_UP_SECONDS)  # the virtual machine compiles what it uses; users register
        measured = {500: _fresh_at(settings, 500, min(seconds, _SLOW_SECONDS))}
        live(settings, _RATE, _WARM_UP_SECONDS)
        measured[_RATE] = _fresh_at(settings, _RATE, seconds)
    with throwaway():
        peer = _serial_at(up("kafka"), _RATE, seconds)
    details: dict[str, Any] = {f"{rate}_per_second": figures for rate, figures in measured.items()}
    details |= {f"peer_{_RATE}_per_second": peer, "peer_is": "three Spark queries in a row, see infra/bench/serial.py"}
    ours = measured[_RATE]["p95"]
    unit = f"seconds, p95 at {_RATE:,} events/s"
    return Result("freshness", unit, ours, peer["p95"], round(peer["p95"] / ours, 2), details)


def _fresh_at(settings: Settings, rate: int, seconds: int) -> dict[str, Any]:
    began = datetime.now(UTC)
    live(settings, rate, seconds)
    wait_for_lag(settings, 0)
    age, arrival = ages_since(settings, began)
    minutes = ((arrival - began.timestamp()) // 60).astype(int)
    by_minute = [round(float(np.percentile(age[minutes == minute], 95)), 2) for minute in np.unique(minutes)]
    memory = {
        f"{process.name()} {process.pid}": f"{process.memory_info().rss / 2**30:.2f} GiB"
        for process in leftovers(settings)
    }
    told = {**percentiles(age), "p95_by_minute": by_minute}
    note(f"{rate:,} events/s: {told}")
    return {**told, "memory": memory}


def ages_since(settings: Settings, began: datetime) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each record of silver that Kafka took from `began` on: seconds until its batch was committed, and when Kafka took it, Unix seconds."""
    ledger = open_table(settings, LEDGER_STREAMING).to_pyarrow_table(columns=["batch_id", "committed_at"]).to_pylist()
    committed = {row["batch_id"]: row["committed_at"] for row in ledger}
    ages, arrivals = [], []
    for topic in CONTRACTS:
        table = next(table for table in TABLES if table.path == f"silver/{topic}")
        rows = open_table(settings, table).to_pyarrow_table(
            columns=["kafka_at", "batch_id"], filters=[("kafka_at", ">=", began)]
        )
        visible = pa.array([committed[batch] for batch in rows["batch_id"].to_pylist()], pa.timestamp("us", tz="UTC"))
        arrivals.append(rows["kafka_at"].combine_chunks().cast(pa.int64()).to_numpy() / 1e6)
        ages.append(visible.cast(pa.int64()).to_numpy() / 1e6 - arrivals[-1])
    return np.concatenate(ages), np.concatenate(arrivals)


def percentiles(age: npt.NDArray[np.float64]) -> dict[str, Any]:
    told = {f"p{p}": round(float(np.percentile(age, p)), 2) for p in (50, 95, 99)}
    return {**told, "max": round(float(age.max()), 2), "records": len(age)}


def _serial_at(settings: Settings, rate: int, seconds: int) -> dict[str, Any]:
    """Run the serial topology in a process of its own and read what it wrote down of each record that reached gold."""
    with tempfile.TemporaryDirectory(prefix="globalmart-serial-", ignore_cleanup_errors=True) as folder:
        arguments = [folder, settings.kafka_bootstrap_servers, str(jars_folder() / "spark")]
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.bench.serial", *arguments],
            cwd=CHECKOUT,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            live(settings, 500, _WARM_UP_SECONDS)
            live(settings, rate, _WARM_UP_SECONDS)
            began = time.time()
            live(settings, rate, seconds)
            ages = _wait_until_quiet(process, Path(folder) / "visible.jsonl", began)
        finally:
            for one in (*psutil.Process(process.pid).children(recursive=True), process):
                one.kill()
            process.wait()
    return percentiles(np.array(ages))


def _wait_until_quiet(process: subprocess.Popen[bytes], path: Path, began: float) -> list[float]:
    """Seconds from Kafka to gold of each sale since `began`, once no more come."""
    pause, deadline = threading.Event(), time.time() + _PATIENCE_SECONDS
    seen = -1
    while time.time() < deadline:
        if process.poll() is not None:
            raise BenchError(f"The serial topology ended with code {process.returncode}.")
        size = path.stat().st_size if path.exists() else 0
        if size and size == seen:
            break
        seen = size
        pause.wait(20)
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    ages = [line["at"] - kafka_at for line in lines for kafka_at in line["kafka_at"] if kafka_at >= began]
    if not ages:
        raise BenchError("The serial topology brought no sale to gold.")
    return ages
