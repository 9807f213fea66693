"""RFM of all customers: a day out of the day before, and in full in Spark, beside Polars that computes and writes everything."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import SparkSession

from infra.bench.base import BenchError, Result, note
from infra.bench.warehouse_data import LAST_DAY, Size, lake
from infra.ivy import jars_folder
from lakehouse import batch
from lakehouse.customer_rfm import Made, make
from lakehouse.session import build_session
from lakehouse.settings import CHECKOUT, Settings, load_settings
from lakehouse.tables import TRANSACTIONS

CUSTOMERS = 10_000_000
FULL_GATE = 6.0
_SHARES = (0.1, 0.5, 1.0)
_ROUNDS = 3
_BEFORE = LAST_DAY - timedelta(days=1)


def warehouse(customers: int = CUSTOMERS) -> Result:
    """Seconds for the refresh after one more day, at a tenth, half and all of the customers; ours and the peer take turns."""
    settings = load_settings()
    folder = settings.state_dir / "bench"
    sizes = []
    with tempfile.TemporaryDirectory(prefix="globalmart-bench-", ignore_cleanup_errors=True) as home:
        for share in _SHARES:
            sizes.append(_measure(settings, Size(max(round(customers * share), 1)), Path(home) / str(share)))
    whole = sizes[-1]
    ours, peer = whole["refresh"]["seconds"], whole["polars"]["seconds"]
    full = round(whole["in_full"]["seconds"] / peer, 2)
    details = {
        "in_full_times_polars": full,
        "is_within_gate": full <= FULL_GATE,
        "gate_times_polars": FULL_GATE,
        "sizes": sizes,
        "files": _write(folder, sizes),
        "peer_is": "Polars on the same files: groups, ranks and writes all customers of the day to a Delta table",
    }
    return Result("warehouse", "seconds, daily refresh", ours, peer, round(peer / ours, 2), details)


def _measure(settings: Settings, size: Size, home: Path) -> dict[str, Any]:
    """One size, in a lake of its own on local files over the cached silver; the virtual machine stays for the next, larger one."""
    source = lake(size, note)
    (home / TRANSACTIONS.layer).parent.mkdir(parents=True)
    (home / TRANSACTIONS.layer).symlink_to(source / TRANSACTIONS.layer)
    own = settings.model_copy(
        update={"lake_uri": home.as_uri(), "jars_dir": settings.jars_dir or jars_folder() / "spark"}
    )
    started = time.monotonic()
    was_running = SparkSession.getActiveSession() is not None
    spark = build_session(own, "bench warehouse", own.batch_memory_gb)
    start_seconds = round(time.monotonic() - started, 2)
    try:
        version = batch.version_at(own, TRANSACTIONS, {})
        _timed(size, "day before, in full", lambda: make(spark, own, _BEFORE, version - 1))
        full, refresh, polars = [], [], []
        for turn in range(_ROUNDS):
            refresh.append(_timed(size, "refresh", lambda: make(spark, own, LAST_DAY, version)))
            polars.append(_polars(size, home))
            if turn:
                full.append(_timed(size, "in full", lambda: make(spark, own, LAST_DAY, version, in_full=True)))
        if not all(one["is_increment"] for one in refresh):
            raise BenchError(f"A refresh computed in full: {refresh}.")
        different = [_polars(size, home)["different_rows"], *[one["different_rows"] for one in polars]]
        memory = _peak_gib()
    finally:
        if not was_running:
            spark.stop()
    if any(different):
        raise BenchError(f"Spark and Polars differ in {max(different)} rows of {size.customers:,} customers.")
    return {
        "customers": size.customers,
        "transactions": size.orders,
        "new_transactions": size.daily_orders,
        "refresh": _median(refresh),
        "in_full": _median(full),
        "polars": _median(polars),
        "spark_start_seconds": start_seconds,
        "peak_gib": memory,
        "polars_peak_gib": max(one["peak_gib"] for one in polars),
    }


def _timed(size: Size, what: str, run: Callable[[], Made]) -> dict[str, Any]:
    made = run()
    told = {
        "computing_seconds": round(made.computing_seconds, 2),
        "publishing_seconds": round(made.publishing_seconds, 2),
        "seconds": round(made.computing_seconds + made.publishing_seconds, 2),
        "is_increment": made.is_increment,
    }
    note(f"{size.customers:,} customers, {what}: {told}; {made.reason}")
    return told


def _polars(size: Size, home: Path) -> dict[str, Any]:
    out = home.with_name(f"{home.name}-polars")
    arguments = [str(home), str(out), LAST_DAY.isoformat()]
    done = subprocess.run(
        [sys.executable, "-m", "infra.bench.warehouse_peer", *arguments],
        cwd=CHECKOUT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"The peer ended with code {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    told: dict[str, Any] = json.loads(done.stdout)
    note(f"{size.customers:,} customers, Polars: {told}")
    return told


def _median(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {
        name: round(statistics.median(one[name] for one in runs), 2)
        for name in ("computing_seconds", "publishing_seconds", "seconds")
    }


def _peak_gib() -> float:
    """The most memory that the virtual machine and this process have had resident until now, each at its own time, in GiB."""
    own = psutil.Process()
    java = next(child for child in own.children(recursive=True) if child.name() == "java")
    texts = [Path(f"/proc/{process.pid}/status").read_text() for process in (java, own)]
    peaks = [line.split()[1] for text in texts for line in text.splitlines() if line.startswith("VmHWM")]
    return round(sum(map(int, peaks)) / 2**20, 2)


def _write(folder: Path, sizes: list[dict[str, Any]]) -> list[str]:
    """The table as Markdown and the plot as Vega-Lite, time against customers."""
    folder.mkdir(parents=True, exist_ok=True)
    points = [
        {"customers": size["customers"], "seconds": size[way]["seconds"], "way": label}
        for size in sizes
        for way, label in (("refresh", "refresh"), ("in_full", "Spark, in full"), ("polars", "Polars, in full"))
    ]
    plot = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": "RFM of all customers: seconds until the table is written",
        "width": 560,
        "height": 320,
        "data": {"values": points},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "customers", "type": "quantitative", "title": "customers"},
            "y": {"field": "seconds", "type": "quantitative", "title": "seconds"},
            "color": {"field": "way", "type": "nominal", "title": None},
        },
    }
    ways = " | ".join(f"{way}: computing + publishing, s" for way in ("refresh", "Spark in full", "Polars"))
    head = f"| customers | transactions | {ways} | peak ours / Polars, GiB |"
    lines = [head, "|---|---|---|---|---|---|"]
    for size in sizes:
        times = " | ".join(
            f"{size[way]['computing_seconds']} + {size[way]['publishing_seconds']}"
            for way in ("refresh", "in_full", "polars")
        )
        lines.append(
            f"| {size['customers']:,} | {size['transactions']:,} | {times} | {size['peak_gib']} / {size['polars_peak_gib']} |"
        )
    (folder / "warehouse.md").write_text("\n".join(lines) + "\n")
    (folder / "warehouse.vl.json").write_text(json.dumps(plot, indent=2) + "\n")
    return [str(folder / name) for name in ("warehouse.md", "warehouse.vl.json")]
