"""The host: processor, memory and the disk that the state folder is on."""

from __future__ import annotations

import shutil
from datetime import datetime

import psutil

from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings

_MODES = ("user", "nice", "system", "iowait", "irq", "softirq", "steal", "idle")


class Host:
    name = "host"
    every = 1

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002 one signature for all collectors
        times, memory, disk = psutil.cpu_times(), psutil.virtual_memory(), shutil.disk_usage(self._settings.state_dir)
        load = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
        return [
            *(Sample(names.HOST_CPU, getattr(times, mode), (mode,)) for mode in _MODES if hasattr(times, mode)),
            Sample(names.HOST_LOAD, load),
            Sample(names.HOST_MEMORY, memory.total, ("total",)),
            Sample(names.HOST_MEMORY, memory.available, ("available",)),
            Sample(names.HOST_DISK, disk.total, ("total",)),
            Sample(names.HOST_DISK, disk.free, ("free",)),
        ]
