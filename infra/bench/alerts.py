"""How soon a finding that needs no state is on `detections`: the real-time lane, beside the micro-batch path in the same run."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer

from infra.bench.base import BenchError, Result, note, throwaway, up, wait_for_lag
from ingestion import options as traffic
from ingestion.run import run
from ingestion.shares import Shares
from ingestion.world import PRODUCT_COUNT
from lakehouse import heartbeat
from lakehouse.findings import DETECTIONS
from lakehouse.live.anomalies.rules import STATELESS
from lakehouse.settings import Settings

_RATE = 3_000
_DEMO_RATE = 500
GATE_MS = 100
# Of the usual share of anomalies a minute at this rate holds ten findings of this lane: too few for a 99th percentile.
_SHARES = Shares(duplicates=0.01, late=0.01, malformed=0.002, violations=0.005, anomalies=0.05)
_WARM_UP_SECONDS = 60
_KINDS = {rule.kind for rule in STATELESS}


def alerts(seconds: int) -> Result:
    """From a record's Kafka time to the Kafka time of its finding, ms, with the whole stack running: at 500 and at 3,000 events a second."""
    with throwaway():
        settings = up()
        run(settings, traffic.live(5, rate=_DEMO_RATE, catalogue=True))
        wait_for_lag(settings, 0)
        _wait_for_catalogue(settings)
        measured = {rate: _at(settings, rate, seconds) for rate in (_DEMO_RATE, _RATE)}
    ours, peer = measured[_RATE]["real_time_lane_ms"], measured[_RATE]["micro_batch_path_ms"]
    details: dict[str, Any] = {f"{rate}_per_second": figures for rate, figures in measured.items()}
    details |= {
        "gate_ms": GATE_MS,
        "is_within_gate": ours["p99"] <= GATE_MS,
        "peer_is": "the durable finding of the same id on the same topic, told before its micro-batch is committed",
    }
    unit = f"ms, p99 at {_RATE:,} events/s"
    return Result("alerts", unit, ours["p99"], peer["p99"], round(peer["p99"] / ours["p99"], 1), details)


def _at(settings: Settings, rate: int, seconds: int) -> dict[str, Any]:
    run(settings, traffic.live(_WARM_UP_SECONDS, rate=rate, catalogue=False, shares=_SHARES))
    wait_for_lag(settings, 0)
    listener = _Listener(settings)
    report = run(settings, traffic.live(seconds, rate=rate, catalogue=False, shares=_SHARES))
    wait_for_lag(settings, 0)
    listener.stop()
    fast, slow = listener.latencies()
    if not len(fast):
        raise BenchError(f"The real-time lane said nothing at {rate} events a second: no latency to state.")
    told = {"real_time_lane_ms": _percentiles(fast), "micro_batch_path_ms": _percentiles(slow)}
    note(f"{rate:,} events/s: {told}")
    return {
        **told,
        "records": sum(report.acknowledged.values()),
        "generator_behind_seconds": report.most_seconds_behind,
    }


class _Listener:
    """Hears `detections` in a thread of its own from now on; keeps the first message of each lane for an id."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = KafkaConsumer(
            DETECTIONS,
            bootstrap_servers=settings.kafka_bootstrap_servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )
        self._consumer.poll(timeout_ms=2_000)
        self._recorded_ms: dict[str, float] = {}
        self._said_ms: dict[str, dict[str, float]] = {"realtime": {}, "durable": {}}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            for messages in self._consumer.poll(timeout_ms=500).values():
                for message in messages:
                    self._hear(message.timestamp, orjson.loads(message.value))

    def _hear(self, said_ms: float, body: dict[str, Any]) -> None:
        if body["kind"] not in _KINDS or body["verdict"] == "retracted":
            return
        if body["lane"] == "realtime":  # its `detected_at` is the record's own Kafka time
            recorded = datetime.fromisoformat(body["detected_at"]).timestamp() * 1000
            self._recorded_ms.setdefault(body["finding_id"], recorded)
        self._said_ms[body["lane"]].setdefault(body["finding_id"], said_ms)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def latencies(self) -> tuple[list[float], list[float]]:
        """ms from record to finding, for what the real-time lane said: of that lane, and of the durable path."""
        both = [
            [said[one] - at for one, at in self._recorded_ms.items() if one in said] for said in self._said_ms.values()
        ]
        return both[0], both[1]


def _percentiles(values: list[float]) -> dict[str, float]:
    points = {f"p{p}": round(float(np.percentile(values, p)), 1) for p in (50, 95, 99)} if values else {"p99": 0.0}
    return {**points, "max": round(max(values, default=0.0), 1), "count": len(values)}


def _wait_for_catalogue(settings: Settings, patience: float = 300) -> None:
    waiting = threading.Event()
    for _ in range(int(patience)):
        beat = heartbeat.read(settings, "realtime") or {}
        if beat.get("product_count") == PRODUCT_COUNT and beat["state"] == "running" and not beat["is_stale"]:
            return
        waiting.wait(1)
    raise BenchError(f"The real-time lane did not take up the catalogue within {patience:.0f} s.")
