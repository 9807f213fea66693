"""A Spark driver is two processes. These see to it that a new one never runs beside the JVM of the one before."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import psutil
from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import SparkSession

from lakehouse.settings import Settings

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 10


def adopt_jvm(settings: Settings, spark: SparkSession, service: str = "streaming") -> None:
    """Write down which JVM serves this process of `service`."""
    pid = int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
    note = {"pid": pid, "started": psutil.Process(pid).create_time()}
    path = _note_file(settings, service)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")  # a reader finds the old note or the new one, never half of one
    draft.write_text(json.dumps(note))
    draft.replace(path)


def listen_for_batches(spark: SparkSession) -> None:
    """Let the JVM call Python, as `foreachBatch` does, from now on.

    To be called before files and connections are opened: py4j waits by select(), which knows no file number from 1,024 on, and a query
    whose listener got such a number waits for ever without a word.
    """
    ensure_callback_server_started(spark.sparkContext._gateway)  # type: ignore[no-untyped-call]


def forget_jvm(settings: Settings, service: str) -> None:
    """Say that this process of `service` writes no longer: nobody needs to wait for its JVM, which may live on."""
    _note_file(settings, service).unlink(missing_ok=True)


def wait_for_old_jvm(settings: Settings, service: str = "streaming") -> None:
    """Return once the JVM of the process before is gone: it ends with its parent; one that does not is killed."""
    path = _note_file(settings, service)
    try:
        note = json.loads(path.read_text())
        jvm = psutil.Process(note["pid"])
        if abs(jvm.create_time() - note["started"]) > 1:
            return
    except (FileNotFoundError, psutil.NoSuchProcess, ValueError):
        return
    try:
        jvm.wait(_PATIENCE_SECONDS)
    except psutil.TimeoutExpired:
        log.warning("killing JVM %s, which outlived its parent", jvm.pid)
        jvm.kill()
        jvm.wait(_PATIENCE_SECONDS)


def _note_file(settings: Settings, service: str) -> Path:
    return settings.run_dir / "jvm" / f"{service}.json"  # not beside the heartbeats, which are read by `*.json`
