"""The services of the stack: whether they are well, their restarts, heartbeats, processor time and memory."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import psutil

from infra.stack import status
from lakehouse import heartbeat
from lakehouse.health import by_heartbeat
from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings


class Services:
    """Of the services that `globalmart up` was asked for. Where no supervisor runs (in containers), those that beat, by their heartbeats."""

    name = "services"
    every = 2

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spending = Spending()

    def collect(self, now: datetime) -> list[Sample]:
        samples = []
        statuses = [one for one in status(self._settings) if one.wanted]
        supervised = any(one.pid for one in statuses)
        if supervised:
            for one in statuses:
                samples += [
                    Sample(names.SERVICE_UP, float(one.healthy), (one.name,)),
                    Sample(names.SERVICE_RESTARTS, one.restarts, (one.name,)),
                ]
            samples += self._costs({one.pid: one.name for one in statuses if one.pid})
        beats = {one.name: heartbeat.read(self._settings, one.name) for one in statuses}
        for name, beat in beats.items():
            if beat is None:
                continue
            samples.append(Sample(names.HEARTBEAT_AGE, beat["age_seconds"], (name,)))
            if not supervised:
                found = by_heartbeat(self._settings, name, now)
                samples.append(Sample(names.SERVICE_UP, float(found.state == "ok"), (name,)))
        return samples

    def _costs(self, roots: dict[int, str]) -> list[Sample]:
        """Processor time and memory by service: of the process that supervisor started and all below it."""
        asked = ["ppid", "create_time", "cpu_times", "memory_info"]
        found = {process.pid: process.info for process in psutil.process_iter(asked)}
        parents = {pid: info["ppid"] for pid, info in found.items()}
        memory = dict.fromkeys(roots.values(), 0.0)
        processes = {}
        for pid, info in found.items():
            service = _service_of(pid, parents, roots)
            if service is not None and info["cpu_times"] and info["memory_info"]:  # None of what is not ours to see
                seconds = info["cpu_times"].user + info["cpu_times"].system
                processes[pid, info["create_time"]] = service, seconds
                memory[service] += info["memory_info"].rss
        spent = self._spending.seen(processes)
        return [
            *(Sample(names.SERVICE_CPU, spent.get(name, 0.0), (name,)) for name in memory),
            *(Sample(names.SERVICE_MEMORY, value, (name,)) for name, value in memory.items()),
        ]


class Spending:
    """Processor time by service since the making of this object. It only rises: what a process took that has ended stays counted, since to
    Prometheus a counter that falls has begun anew, and all that it shows then as spent at that moment.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], float] | None = None
        self._spent: dict[str, float] = defaultdict(float)

    def seen(self, processes: dict[tuple[int, float], tuple[str, float]]) -> dict[str, float]:
        """Seconds by service, given all processes that live: by pid and start their service and the seconds that they have taken."""
        for process, (service, seconds) in processes.items():
            before = seconds if self._known is None else self._known.get(process, 0.0)
            self._spent[service] += max(0.0, seconds - before)
        self._known = {process: seconds for process, (_, seconds) in processes.items()}
        return dict(self._spent)


def _service_of(pid: int | None, parents: dict[int, int], roots: dict[int, str]) -> str | None:
    while pid and pid not in roots:
        pid = parents.get(pid)
    return roots.get(pid or 0)
