"""What each part of the profile `cluster` takes: processor, memory, bytes kept per record, and where the driver's seconds go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from infra.servers.kafka import brokers
from infra.servers.spark import WORKERS
from infra.supervision import Supervisor, log_file
from ingestion.topics import INPUT_NAMES
from lakehouse.settings import Settings
from lakehouse.storage import exists, open_table
from lakehouse.tables import TABLES

GENERATOR = "generator"


def _parts(settings: Settings) -> dict[str, list[psutil.Process]]:
    """The processes of each part of the cluster as they are now."""
    pids = {name: int(info["pid"]) for name, info in Supervisor(settings).processes().items() if info["pid"]}

    def trees(*names: str) -> list[psutil.Process]:
        roots = [psutil.Process(pids[name]) for name in names if name in pids]
        return [one for root in roots for one in (root, *root.children(recursive=True))]

    driver = trees("streaming")
    jvm = [one for one in driver if one.name() == "java"]
    return {
        "Kafka": trees(*brokers(settings)),
        "MinIO": trees("minio"),
        "Spark master": trees("spark-master"),
        "Spark workers": trees(*WORKERS),
        "driver, JVM": jvm,
        "driver, Python": [one for one in driver if one not in jvm],
        GENERATOR: [psutil.Process()],
    }


def memory(settings: Settings) -> dict[str, float]:
    """Resident memory of each part, GiB."""
    return {part: sum(_resident(one) for one in found) / 2**30 for part, found in _parts(settings).items()}


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@dataclass
class Meter:
    """Processor seconds of each part from the meter's making on; of a process that ends in between, nothing after the last look."""

    settings: Settings
    _before: dict[int, float] = field(init=False)

    def __post_init__(self) -> None:
        self._before = {one.pid: _seconds(one) for found in _parts(self.settings).values() for one in found}

    def used(self) -> dict[str, float]:
        """Core-seconds by part. A process that was not there before counts from its start."""
        return {
            part: sum(_seconds(one) - self._before.get(one.pid, 0.0) for one in found)
            for part, found in _parts(self.settings).items()
        }


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def bytes_per_record(settings: Settings, records: int) -> dict[str, float]:
    """Of each layer, over all input records: Kafka's one copy and the streaming tables' files without what compactions left behind."""
    log = settings.state_dir / "data" / "kafka" / "log"
    sizes: Counter[str] = Counter()
    for topic in INPUT_NAMES:
        sizes["Kafka, each copy"] += sum(file.stat().st_size for file in log.glob(f"{topic}-*/*.log"))
    for table in TABLES:
        if table.owner == "streaming" and exists(settings, table):
            files = pa.table(open_table(settings, table).get_add_actions(flatten=True))
            sizes[table.layer] += int(pc.sum(files["size_bytes"]).as_py() or 0)
    return {name: round(size / records, 1) for name, size in sizes.items()}


def phases(settings: Settings) -> dict[str, float]:
    """Seconds of all batches so far by phase, as the streaming service logs them. `read_and_parse` alone is the executors' work."""
    text = log_file(settings, "streaming").read_bytes().splitlines()
    return _phases([orjson.loads(line) for line in text if line.startswith(b"{")])


def _phases(lines: list[dict[str, Any]]) -> dict[str, float]:
    seconds: Counter[str] = Counter()
    for line in lines:
        if line.get("message") == "committed":
            seconds.update(line["seconds"])
    return {name: round(value, 1) for name, value in seconds.items()}
