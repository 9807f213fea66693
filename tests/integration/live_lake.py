"""One lake for all tests of live tables: a history, live traffic with faults, kills of the driver, a late visitor, stock moved by hand."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Stack, wait_for
from kafka import KafkaProducer
from records import event_id, text
from settling import settle, wait_taken

from lakehouse import tables as t
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import open_table

PRODUCT = "P0000042"
"""Its stock goes far below nothing and comes back."""
VISITOR = "late-visitor"
"""Two views 50 minutes apart, and 30 hours later the one between them."""
_FAULTS = {"duplicates": 0.03, "late": 0.1, "malformed": 0.02, "violations": 0.03}


@pytest.fixture(scope="session")
def live_lake(stack: Stack) -> Settings:
    """The stream has taken all of it and the books balance; it was killed in the middle of traffic, and before late events."""
    settings = stack("kafka", "minio", "streaming")
    began = (datetime.now(UTC) - timedelta(hours=30)).replace(microsecond=0)
    with _traffic("--rate", "500", "--duration", "15s", "--seed", "51", "--catalogue") as first:
        assert first.wait(600) == 0
    with _traffic("--history", "36h", "--scale", "0.002", "--seed", "61", "--no-catalogue") as history:
        assert history.wait(600) == 0
    wait_taken(settings)
    before = open_table(settings, t.TRANSACTIONS).version()
    with _traffic("--rate", "500", "--duration", "20s", "--seed", "51", "--no-catalogue") as second:
        wait_for(lambda: open_table(settings, t.TRANSACTIONS).version() > before, "sales of the second run", 300)
        _restart(stack)
        assert second.wait(600) == 0
    _see(settings, 0, began, began + timedelta(minutes=50))
    _move_stock(settings, 0, -1_000_000)
    wait_taken(settings)
    _restart(stack)
    _see(settings, 2, began + timedelta(minutes=25))
    _move_stock(settings, 1, 2_000_000)
    settle(settings)
    return settings


@contextmanager
def _traffic(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Traffic with faults, as long as the context lasts at most."""
    faults = [word for name, share in _FAULTS.items() for word in (f"--{name}", str(share))]
    command = [sys.executable, "-m", "ingestion", *options, *faults, "--json"]
    running = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def _restart(stack: Stack) -> None:
    pid = stack.kill("streaming", signal.SIGKILL)
    stack.wait_healthy("streaming", after_pid=pid, seconds=300)


def _see(settings: Settings, number: int, *times: datetime) -> None:
    """Send product views of VISITOR."""
    for place, time in enumerate(times, start=number):
        fields = {"event_id": event_id(61_000 + place), "user_id": VISITOR, "timestamp": _written(time)}
        _send(settings, "product_views", VISITOR, text("product_views", **fields))


def _move_stock(settings: Settings, number: int, change: int) -> None:
    """Send an inventory event about PRODUCT."""
    fields = {"event_id": event_id(51_000 + number), "product_id": PRODUCT, "change": change, "reason": "correction"}
    _send(
        settings, "inventory_events", PRODUCT, text("inventory_events", timestamp=_written(datetime.now(UTC)), **fields)
    )


def _written(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _send(settings: Settings, topic: str, key: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    producer.send(topic, value, key.encode()).get(30)
    producer.close()
