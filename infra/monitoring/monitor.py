"""The monitor's process: looks at everything from outside now and then, and shows what it saw. Wiring only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector as Exposed

from infra.credentials import alert_token_file
from infra.monitoring.collectors.base import UNKNOWABLE, Collector
from infra.monitoring.collectors.databases import Alerts, Postgres, Runs
from infra.monitoring.collectors.host import Host
from infra.monitoring.collectors.kafka import Kafka
from infra.monitoring.collectors.ledger import Ledger
from infra.monitoring.collectors.notes import Notes
from infra.monitoring.collectors.services import Services
from infra.monitoring.collectors.tables import Tables
from infra.monitoring.web import Application, serve
from lakehouse.errors import GlobalMartError
from lakehouse.findings import Finding
from lakehouse.heartbeat import Pulse
from lakehouse.metrics import names
from lakehouse.metrics.base import Sample, families
from lakehouse.settings import Settings
from lakehouse.streams.markers import Outbox

NAME = "monitor"
log = logging.getLogger(__name__)


class MonitorError(GlobalMartError):
    """The monitor cannot start."""


def collectors(settings: Settings) -> list[Collector]:
    """All of them, in the order in which they look; those that need the ledger come after it."""
    ledger = Ledger(settings)
    return [
        Host(settings), Services(settings), ledger, Kafka(settings, ledger), Notes(settings, ledger), Tables(settings),
        Postgres(settings), Runs(settings), Alerts(settings),
    ]  # fmt: skip


class Snapshot(Exposed):
    """What was seen last, by collector: a scrape reads it and waits for nothing. What cannot be known is absent, not old."""

    def __init__(self, collectors: list[Collector]) -> None:
        self._collectors = collectors
        self._seen: dict[str, list[Sample]] = {}
        self._problems: dict[str, str] = {}
        self._round = 0

    @property
    def problems(self) -> dict[str, str]:
        """What kept which collector from knowing, in words."""
        return dict(self._problems)

    def look(self) -> None:
        """One round: each collector whose turn it is."""
        for collector in self._collectors:
            if self._round % collector.every == 0:
                self._look(collector)
        self._round += 1

    def _look(self, collector: Collector) -> None:
        begin = time.perf_counter()
        try:
            samples = collector.collect(datetime.now(UTC))
            problem = ""
        except UNKNOWABLE as error:
            samples, problem = [], str(error).strip().partition("\n")[0] or type(error).__name__
        if problem != self._problems.get(collector.name, ""):
            log.info("%s: %s", collector.name, problem or "knows again")
        self._problems[collector.name] = problem
        self._seen[collector.name] = [
            *samples,
            Sample(names.COLLECT_SECONDS, time.perf_counter() - begin, (collector.name,)),
            Sample(names.COLLECT_OK, float(not problem), (collector.name,)),
        ]

    def collect(self) -> Iterator[Family]:
        yield from families(sample for samples in list(self._seen.values()) for sample in samples)


def run(settings: Settings, stop: threading.Event) -> None:
    """Look until `stop`. Raises MonitorError where its port is taken."""
    snapshot = Snapshot(collectors(settings))
    registry = CollectorRegistry()
    registry.register(snapshot)
    ProcessCollector(registry=registry)

    def tell(findings: list[Finding]) -> None:
        with closing(Outbox(settings, f"globalmart-{NAME}")) as outbox:
            outbox.tell(findings)

    token = alert_token_file(settings).read_text(encoding="utf-8").strip()
    with Pulse(settings, NAME) as pulse:
        try:
            server = serve(Application(registry, token, tell), settings.metrics_host, settings.monitor_port)
        except OSError as error:
            raise MonitorError(
                f"Port {settings.monitor_port} cannot be used by the monitor: {error.strerror}."
            ) from None
        while not stop.is_set():
            snapshot.look()
            blind = sorted(name for name, problem in snapshot.problems.items() if problem)
            # That something else is away is no illness of the monitor.
            pulse.say("running", blind=blind)
            stop.wait(settings.monitor_seconds)
        server.shutdown()
