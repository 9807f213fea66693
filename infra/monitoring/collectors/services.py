"""The services of the stack: whether they are well, their restarts, heartbeats, processor time and memory."""

from __future__ import annotations

from datetime import datetime

import psutil

from infra.stack import status
from lakehouse import heartbeat
from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings


class Services:
    """Of the services that `globalmart up` was asked for. Where no supervisor runs (on a cluster), heartbeats alone."""

    name = "services"
    every = 2

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002 one signature for all collectors
        samples = []
        statuses = [one for one in status(self._settings) if one.wanted]
        if any(one.pid for one in statuses):
            for one in statuses:
                samples += [
                    Sample(names.SERVICE_UP, float(one.healthy), (one.name,)),
                    Sample(names.SERVICE_RESTARTS, one.restarts, (one.name,)),
                ]
            samples += _costs({one.pid: one.name for one in statuses if one.pid})
        for one in statuses:
            beat = heartbeat.read(self._settings, one.name)
            if beat is not None:
                samples.append(Sample(names.HEARTBEAT_AGE, beat["age_seconds"], (one.name,)))
        return samples


def _costs(roots: dict[int, str]) -> list[Sample]:
    """Processor time and memory by service: of the process that supervisor started and all below it."""
    found = {process.pid: process.info for process in psutil.process_iter(["ppid", "cpu_times", "memory_info"])}
    parents = {pid: info["ppid"] for pid, info in found.items()}
    seconds, memory = dict.fromkeys(roots.values(), 0.0), dict.fromkeys(roots.values(), 0.0)
    for pid, info in found.items():
        service = _service_of(pid, parents, roots)
        if service is not None and info["cpu_times"] and info["memory_info"]:  # None of what is not ours to see
            seconds[service] += info["cpu_times"].user + info["cpu_times"].system
            memory[service] += info["memory_info"].rss
    spent = [Sample(names.SERVICE_CPU, value, (name,)) for name, value in seconds.items()]
    return spent + [Sample(names.SERVICE_MEMORY, value, (name,)) for name, value in memory.items()]


def _service_of(pid: int | None, parents: dict[int, int], roots: dict[int, str]) -> str | None:
    while pid and pid not in roots:
        pid = parents.get(pid)
    return roots.get(pid or 0)
