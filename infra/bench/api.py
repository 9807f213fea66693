"""How soon the REST API answers at 200 requests a second, idle and while events stream in, beside the same queries in DuckDB."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from api.manifest import read_manifest
from api.serving import Generation, Watchdog
from infra.bench.base import BenchError, Result, live, note, throwaway, up, wait_for_lag
from infra.bench.load import milliseconds, steady
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

RATE = 200
_EVENTS = 3_000
_WARM_UP_SECONDS = 60
_PATIENCE_SECONDS = 120
GATE_IDLE_MS, GATE_INGESTING_MS = 25, 80
# Path, and the statement that answers it.
MIX: tuple[tuple[str, str], ...] = (
    (
        "/v1/sales?group_by=country",
        """SELECT date_trunc('hour', minute) AS period, country, sum(unit_count), sum(line_count), sum(revenue) FROM sales_by_minute
           WHERE minute >= (SELECT max(minute) FROM sales_by_minute) - INTERVAL 24 HOUR GROUP BY ALL ORDER BY ALL LIMIT 501""",
    ),
    (
        "/v1/sales?interval=minute&group_by=category&limit=50",
        """SELECT minute, category, sum(unit_count), sum(line_count), sum(revenue) FROM sales_by_minute
            WHERE minute >= (SELECT max(minute) FROM sales_by_minute) - INTERVAL 24 HOUR
            GROUP BY ALL ORDER BY minute, category LIMIT 51""",
    ),
    (
        "/v1/orders?interval=day&group_by=payment_method",
        """SELECT date_trunc('day', minute) AS period, payment_method, sum(order_count), sum(revenue) FROM orders_by_minute
           WHERE minute >= (SELECT max(minute) FROM orders_by_minute) - INTERVAL 24 HOUR GROUP BY ALL ORDER BY ALL LIMIT 501""",
    ),
    (
        "/v1/ingestion-rates?limit=50",
        """SELECT date_trunc('minute', second) AS period, topic, sum(record_count), sum(accepted_count), sum(quarantined_count),
                   sum(duplicate_count), sum(late_count) FROM ingestion_rates
            WHERE second >= (SELECT max(second) FROM ingestion_rates) - INTERVAL 24 HOUR
            GROUP BY ALL ORDER BY period, topic LIMIT 51""",
    ),
    ("/v1/sessions?limit=50", "SELECT * FROM sessions ORDER BY started_at DESC, user_id LIMIT 51"),
    (
        "/v1/carts?status=open&country=DE&limit=50",
        """SELECT * FROM carts WHERE status = 'open' AND country = 'DE'
            ORDER BY last_activity_at DESC, cart_id LIMIT 51""",
    ),
    (
        "/v1/inventory?status=low&status=out&limit=50",
        "SELECT * FROM inventory_levels WHERE status IN ('low', 'out') ORDER BY level, product_id LIMIT 51",
    ),
    (
        "/v1/quarantine",
        "SELECT topic, reason, count(*) FROM (SELECT topic, unnest(reason_codes) AS reason FROM quarantine) GROUP BY ALL",
    ),
)


def api(seconds: int) -> Result:
    """p99 while events stream in, from the moment that a request was due to the end of its answer."""
    with throwaway():
        settings = up("kafka", "minio", "streaming", "refresher", "api")
        live(settings, _EVENTS, _WARM_UP_SECONDS)
        wait_for_lag(settings, 0)
        _wait_until_served(settings)
        steady(lambda: _over_http(settings), len(MIX), RATE, 5)
        idle = _both(settings, seconds)
        note(f"idle: {idle}")
        stream = threading.Thread(target=live, args=(settings, _EVENTS, 2 * seconds + 20), daemon=True)
        stream.start()
        threading.Event().wait(5)
        ingesting = _both(settings, seconds)
        note(f"while {_EVENTS:,} events/s stream in: {ingesting}")
        stream.join()
    ours, peer = ingesting["api"]["p99"], ingesting["duckdb"]["p99"]
    details: dict[str, Any] = {
        "idle": idle,
        "while_ingesting": ingesting,
        "requests_per_second": RATE,
        "gates_ms": {"idle": GATE_IDLE_MS, "while_ingesting": GATE_INGESTING_MS},
        "is_within_gates": idle["api"]["p99"] <= GATE_IDLE_MS and ours <= GATE_INGESTING_MS,
        "peer_is": "the same statements at the same rate on the same files in DuckDB, in process",
    }
    unit = f"ms, p99 at {RATE} requests/s while {_EVENTS:,} events/s stream in"
    return Result("api", unit, ours, peer, round(peer / ours, 2), details)


def _both(settings: Settings, seconds: int) -> dict[str, Any]:
    """The API, and after it DuckDB, each for `seconds`. Raises BenchError where a request failed."""
    found: dict[str, Any] = {}
    for name, make in (("api", lambda: _over_http(settings)), ("duckdb", _in_duckdb(settings))):
        times, failed = steady(make, len(MIX), RATE, seconds)
        if failed:
            raise BenchError(f"{failed} of {sum(map(len, times))} requests to {name} failed.")
        found[name] = milliseconds([one for kind in times for one in kind])
        found[f"{name}_p99_by_route"] = {
            path: milliseconds(kind)["p99"] for (path, _), kind in zip(MIX, times, strict=True)
        }
    return found


def _over_http(settings: Settings) -> Callable[[int], bool]:
    address = urlsplit(settings.api_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    headers = {"X-API-Key": settings.api_key.get_secret_value()}

    def ask(kind: int) -> bool:
        try:
            connection.request("GET", MIX[kind][0], headers=headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        return response.status == 200

    return ask


def _in_duckdb(settings: Settings) -> Callable[[], Callable[[int], bool]]:
    manifest = read_manifest(settings.serving_dir)
    if manifest is None:
        raise BenchError("There are no serving files.")
    generation = Generation(settings.serving_dir, manifest, settings.duckdb_memory_gb, Watchdog())

    def make() -> Callable[[int], bool]:
        def ask(kind: int) -> bool:
            try:
                generation.query(MIX[kind][1])
            except GlobalMartError:
                return False
            return True

        return ask

    return make


def _wait_until_served(settings: Settings) -> None:
    """Wait until every route of the mix answers. Raises BenchError."""
    ask, deadline, pause = _over_http(settings), time.monotonic() + _PATIENCE_SECONDS, threading.Event()
    while not all(ask(kind) for kind in range(len(MIX))):
        if time.monotonic() > deadline:
            raise BenchError(f"The API did not serve all tables within {_PATIENCE_SECONDS} s.")
        pause.wait(1)
