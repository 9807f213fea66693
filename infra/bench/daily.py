"""The daily run of all batch assets at the shop's size: two nights after each other, seconds of each asset and check, and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from infra.bench.base import BenchError, Result, note
from infra.bench.daily_data import NIGHTS, Shop, shop
from infra.bench.daily_visits import VISIT_DAYS
from infra.bench.warehouse_data import DAYS, LAST_DAY, Size
from infra.ivy import jars_folder
from infra.java import java_home
from ingestion.sessions import EVENTS_PER_SESSION, TRANSACTIONS_PER_SESSION
from lakehouse.days import midnight
from lakehouse.ledger import LedgerEntry
from lakehouse.settings import CHECKOUT, PREFIX, load_settings
from lakehouse.tables import LEDGER_STREAMING
from lakehouse.transforms.watermarks import SESSION_TOPICS

CUSTOMERS = 10_000_000
GATE_SECONDS, GATE_QUALITY_SHARE = 15 * 60, 0.2
_SLOWEST = 10


def daily(customers: int = CUSTOMERS) -> Result:
    """Seconds of the second night's run, start to end of its process: a day more than the first, which has nothing to build on."""
    size = Size(customers)
    data = shop(size, note)
    nights = []
    with tempfile.TemporaryDirectory(prefix="globalmart-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        env = _environment(home)
        for path, where in data.folders.items():
            (home / "lake" / path).parent.mkdir(parents=True, exist_ok=True)
            (home / "lake" / path).symlink_to(where)
        for number in range(NIGHTS):
            _reach(home, data, number)
            nights.append({**_night(env, home, number), "rows_read": data.rows[number]})
    last = nights[-1]
    details = {
        "customers": customers,
        "products": size.products,
        "transactions": size.daily_orders * DAYS,
        "a_day": {
            "transactions": size.daily_orders,
            "sessions": round(size.daily_orders / TRANSACTIONS_PER_SESSION),
            "events": round(size.daily_orders / TRANSACTIONS_PER_SESSION * EVENTS_PER_SESSION),
            "days_of_visits": VISIT_DAYS,
        },
        "is_within_gates": last["seconds"] <= GATE_SECONDS and last["quality_share"] <= GATE_QUALITY_SHARE,
        "gates": {"seconds": GATE_SECONDS, "quality_share": GATE_QUALITY_SHARE},
        "nights": nights,
    }
    return Result("daily", "seconds, second night", last["seconds"], None, None, details)


def _environment(home: Path) -> dict[str, str]:
    """A lake on local files, a Dagster that keeps its record beside it, and none of the settings from outside but those of size."""
    kept = {f"{PREFIX}{name}" for name in ("CACHE_DIR", "BATCH_MEMORY_GB", "SPARK_MASTER")}
    outside = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) or name in kept}
    for name in ("dagster", "state"):
        (home / name).mkdir()
    (home / "dagster" / "dagster.yaml").touch()
    jars = load_settings().jars_dir or jars_folder() / "spark"
    own = {"LAKE_URI": (home / "lake").as_uri(), "STATE_DIR": str(home / "state"), "JARS_DIR": str(jars)}
    return outside | {
        "JAVA_HOME": os.environ.get("JAVA_HOME") or str(java_home()),
        "DAGSTER_HOME": str(home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        f"{PREFIX}ENV_FILE": str(home / "none.env"),
        **{f"{PREFIX}{name}": value for name, value in own.items()},
    }


def _reach(home: Path, data: Shop, number: int) -> None:
    """The ledger's entry with which the stream has passed the day of this night."""
    day = LAST_DAY - timedelta(days=NIGHTS - 1 - number)
    over = midnight(day + timedelta(days=1)) + timedelta(hours=2)
    batch_id = DAYS - NIGHTS + number
    entry = LedgerEntry(
        generation=1,
        batch_id=batch_id,
        spark_batch_id=batch_id,
        started_at=over,
        committed_at=over,
        next_offsets={},
        watermarks=dict.fromkeys(SESSION_TOPICS, over.astimezone(UTC)),
        table_versions=data.versions[number],
        counts={name: 0 for name in LEDGER_STREAMING.schema.names if name.endswith("_count")},
    )
    write_deltalake(home / "lake" / LEDGER_STREAMING.path, entry.to_rows(), mode="append")


def _night(env: dict[str, str], home: Path, number: int) -> dict[str, Any]:
    """What the run of this night says of itself. Raises BenchError where it fails."""
    day = LAST_DAY - timedelta(days=NIGHTS - 1 - number)
    began = datetime.now(UTC)
    file = home / f"night-{number}.json"  # not its output, in which libraries write too
    command = [sys.executable, "-m", "infra.bench.daily_night", day.isoformat(), str(file)]
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"The run of {day} ended with code {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if told["failures"] or told["failed_checks"]:
        raise BenchError(f"The run of {day} failed: {'; '.join(told['failures'] or told['failed_checks'])}")
    whole = round((datetime.now(UTC) - began).total_seconds(), 2)
    slowest = sorted(told["steps"], key=lambda step: -step["seconds"])[:_SLOWEST]
    names = ", ".join(f"{step['step']} {step['seconds']:.1f}" for step in slowest)
    note(f"{day}: {whole} s, quality {told['quality_share']:.0%} of all steps' time; slowest: {names}")
    return {**told, "seconds": whole, "is_first": number == 0}
