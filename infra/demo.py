"""`globalmart demo`: everything once, from history through live traffic and a batch run to the proven books and a first look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.table import Table

from infra import stack
from infra.servers.dagster import instance_env
from lakehouse import heartbeat
from lakehouse.errors import GlobalMartError
from lakehouse.settings import CHECKOUT, Settings, load_settings

EPILOG = "Example: globalmart demo --days 7"

_out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
_FAULTS = (
    "--duplicates",
    "0.005",
    "--conflicts",
    "0.001",
    "--violations",
    "0.005",
    "--malformed",
    "0.001",
    "--late",
    "0.005",
    "--anomalies",
    "0.003",
)
_DRAIN_SECONDS = 900


class DemoError(GlobalMartError):
    """A part of the demonstration failed."""


def demo(
    days: Annotated[int, typer.Option(min=1, help="Simulated days of history.")] = 21,
    scale: Annotated[float, typer.Option(help="Share of the shop's daily traffic in history.")] = 0.0025,
    live_seconds: Annotated[int, typer.Option(min=5, help="Seconds of live traffic at 500 records a second.")] = 30,
) -> None:
    """Start the stack, stream history and live traffic, run the batch, prove the books, and show what gold says.

    The stack is left running. Raises DemoError, also in another profile than `local`.
    """
    if load_settings().profile != "local":
        raise DemoError(
            "The demonstration shows all services, which the profile cluster leaves out: run it in a stack of the profile local."
        )
    begin = time.monotonic()
    _title("The stack")
    # Dagster's daemon comes last: its sensor would run the day before while the demonstration runs today.
    settings = stack.up(without=["dagster-daemon"], say=_say)
    _title(f"History: {days} simulated days, some records broken on purpose")
    _globalmart("generate", "--history", f"{days}d", "--scale", str(scale), *_FAULTS)
    _drain(settings)
    _title(f"Live traffic: 500 records a second for {live_seconds} s")
    _globalmart("generate", "--rate", "500", "--duration", f"{live_seconds}s", *_FAULTS)
    _drain(settings)
    _title("Batch: every asset of Dagster, with its checks")
    _materialise(settings)
    _title("The books")
    _globalmart("prove")
    _title("What gold says, through the REST API")
    _first_look(load_settings(), days + 1)
    _title("Dagster's daemon: makes each day once it is over")
    stack.up(only=["dagster-daemon"], say=_say)
    _title(f"Done in {time.monotonic() - begin:.0f} s; the stack is left running")
    _addresses(load_settings())


def _say(text: str) -> None:
    _out.print(f"  {text}", markup=False, soft_wrap=True)


def _title(text: str) -> None:
    _out.print(f"\n[bold]{text}[/]")


def _globalmart(*args: str) -> None:
    result = subprocess.run([sys.executable, "-m", "infra.cli", *args], cwd=CHECKOUT)
    if result.returncode != 0:
        raise DemoError(f"The demonstration ends here: `globalmart {args[0]}` failed with code {result.returncode}.")


def _materialise(settings: Settings) -> None:
    """One run of the daily job in a process of its own; what it says on the way goes to a log file."""
    log = settings.state_dir / "logs" / "demo-batch.log"
    env = {**os.environ, **instance_env(settings)}
    begin = time.monotonic()
    with _out.status(f"running, its log is {log}"), log.open("w") as output:
        command = [sys.executable, "-m", "orchestration.materialize"]
        result = subprocess.run(command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=output, text=True)
    for line in result.stdout.splitlines():
        _out.print(f"  {line}", markup=False, soft_wrap=True)
    if result.returncode != 0:
        raise DemoError(f"The demonstration ends here: the batch run failed, see {log}.")
    _out.print(f"  done in {time.monotonic() - begin:.0f} s")


def _drain(settings: Settings) -> None:
    """Wait until the ledger says that every record is in the lake. Raises DemoError after 15 minutes."""
    begin = time.monotonic()
    asked_at = datetime.now(UTC)
    with _out.status("waiting for the stream"):
        while time.monotonic() - begin < _DRAIN_SECONDS:
            beat = heartbeat.read(settings, "streaming") or {}
            fresh = beat and datetime.fromisoformat(beat["updated_at"]) > asked_at + timedelta(seconds=2)
            if fresh and beat.get("lag_records") == 0:
                _out.print(f"  all records are in the lake, {time.monotonic() - begin:.0f} s after the last was sent")
                return
            time.sleep(0.5)
    raise DemoError("The stream did not take all records within 15 minutes: see `globalmart status`.")


def _ask(settings: Settings, path: str, **query: str | int) -> list[dict[str, Any]]:
    """All rows of one of the API's lists; money as Decimal."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        asked = {**query, "limit": 5000, **({"cursor": cursor} if cursor else {})}
        request = urllib.request.Request(  # noqa: S310 our own address
            f"{settings.api_url}{path}?{urlencode(asked)}", headers={"X-API-Key": settings.api_key.get_secret_value()}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            page = json.loads(answer.read(), parse_float=Decimal)
        rows += page["data"]
        cursor = page["next_cursor"]
        if not cursor:
            return rows


def _first_look(settings: Settings, days: int) -> None:
    start = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        sales = _ask(settings, "/v1/sales", **{"interval": "day", "from": start})
        segments = _ask(settings, "/v1/rfm/segments")
    except OSError as error:
        raise DemoError(f"The API at {settings.api_url} does not answer: {error}.") from None
    for dimension, most in (("country", 5), ("category", 5)):
        _out.print(_sums_table(sales, dimension, most))
    table = _table("segment", "customers", "revenue in USD")
    for one in sorted(segments, key=lambda row: -row["monetary"]):
        table.add_row(one["segment"], f"{one['customer_count']:,}", f"{one['monetary']:,.2f}")
    _out.print(table)


def _sums_table(sales: Iterable[Mapping[str, Any]], dimension: str, most: int) -> Table:
    units: dict[str, int] = defaultdict(int)
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    for row in sales:
        units[row[dimension]] += row["unit_count"]
        revenue[row[dimension]] += row["revenue"]
    table = _table(dimension, "units", "revenue in USD")
    for name in sorted(revenue, key=lambda key: -revenue[key])[:most]:
        table.add_row(name, f"{units[name]:,}", f"{revenue[name]:,.2f}")
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3))
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", min_width=14)
    return table


def _addresses(settings: Settings) -> None:
    lines = {
        "REST API, with examples": f"{settings.api_url}/docs",
        "its key (header X-API-Key)": settings.api_key.get_secret_value(),
        "web explorer, with that key": f"{settings.api_url}/explorer",
        "is all well, with that key": f"{settings.api_url}/explorer/health",
        "data quality, with that key": f"{settings.api_url}/quality/",
        "Dagster": f"http://127.0.0.1:{settings.dagster_port}",
        "Kafka": settings.kafka_bootstrap_servers,
        "S3": settings.s3_endpoint,
        "to stop": "make down",
    }
    for what, value in lines.items():
        _out.print(f"  {what:<28}{value}", markup=False, soft_wrap=True)
