"""The streaming service: one process that owns the streaming tables and keeps one query running. `python -m lakehouse.streams.service`"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from lakehouse import heartbeat, storage
from lakehouse.contracts import CONTRACTS
from lakehouse.errors import GlobalMartError, KafkaError, LeaseHeldError, StorageError
from lakehouse.kafka import KafkaOffsets
from lakehouse.lease import Lease
from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.session import build_session
from lakehouse.settings import Settings, load_settings
from lakehouse.streams.checkpoint import Checkpoint
from lakehouse.streams.jvm import adopt_jvm, wait_for_old_jvm
from lakehouse.streams.knowledge import load_knowledge
from lakehouse.streams.refinery import Refinery
from lakehouse.streams.sinks import Sinks
from lakehouse.streams.source import read_records
from lakehouse.tables import LEDGER_STREAMING, TABLES
from lakehouse.transforms.parse import parse

log = logging.getLogger(__name__)

T = TypeVar("T")
_SPARK_55271 = 'because the return value of "scala.Option.get()" is null'
NAME = "streaming"
_SPARK = {
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.driver.maxResultSize": "3g",
}


class Pulse:
    """The service's heartbeat: a thread that says every two seconds how it is, until the process ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._said: dict[str, object] = {"state": "starting"}
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def say(self, state: str, **details: object) -> None:
        self._said = {"state": state, **details}

    def _run(self) -> None:
        while True:
            said = dict(self._said)
            heartbeat.beat(self._settings, NAME, str(said.pop("state")), **said)
            time.sleep(2)


def run(settings: Settings) -> None:
    """Own the tables and stream until told to stop. Raises a GlobalMartError when it cannot go on."""
    pulse = Pulse(settings)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    lease = Lease(settings, NAME)
    _wait_until(lambda: lease.acquire(), pulse, stop, "the lake", (StorageError,))
    try:
        wait_for_old_jvm(settings)
        offsets = _wait_until(lambda: KafkaOffsets(settings), pulse, stop, "Kafka", (KafkaError,))
        partitions = _wait_until(lambda: offsets.partitions(CONTRACTS), pulse, stop, "topics", (KafkaError,))
        spark = build_session(settings, f"globalmart-{NAME}", settings.streaming_memory_gb, _SPARK)
        adopt_jvm(settings, spark)
        _stream(settings, spark, partitions, offsets, pulse, stop)
    finally:
        lease.release()


def _stream(
    settings: Settings,
    spark: SparkSession,
    partitions: dict[str, int],
    offsets: KafkaOffsets,
    pulse: Pulse,
    stop: threading.Event,
) -> None:
    sinks = Sinks(settings, [table for table in TABLES if table.owner == NAME])
    sinks.create_missing()
    ledger = last_entry(storage.open_table(settings, LEDGER_STREAMING))
    checkpoint = Checkpoint(settings)
    generation = checkpoint.open(ledger, sinks.last_batch())
    if generation.is_new:
        log.info("generation %s starts at batch %s", generation.number, generation.first_batch)
        sinks.restore((ledger.table_versions if ledger else {}) | {LEDGER_STREAMING.path: sys.maxsize})
        checkpoint.begin(generation)
    refinery = Refinery(settings, spark, sinks, checkpoint, generation, load_knowledge(settings), ledger)
    records = read_records(spark, settings, generation.start_offsets, partitions)
    writer = (
        parse(records, settings.too_old_days)
        .writeStream.foreachBatch(refinery)
        .option("checkpointLocation", checkpoint.folder(generation).as_uri())
        .trigger(processingTime=f"{int(settings.stream_trigger_seconds * 1000)} milliseconds")
        .queryName("refine")
    )
    while not stop.is_set():
        query = writer.start()
        while not stop.is_set() and query.isActive:
            pulse.say("running", generation=generation.number, **_progress(refinery.last, offsets, partitions))
            stop.wait(1)
        if not stop.is_set():
            _raise_unless_harmless(query.exception(), refinery.error)
    query.stop()


def _raise_unless_harmless(error: StreamingQueryException | None, cause: BaseException | None) -> None:
    """The query has ended: why? Only SPARK-55271 is harmless, and the query may start again.

    By that defect of Spark 4.1.1 a batch that is run again after a crash is committed, and then its progress report
    fails with a null pointer, because the source has not looked for newer offsets yet.
    """
    if isinstance(cause, GlobalMartError):
        raise cause
    if cause is None and error is not None and _SPARK_55271 in str(error):
        log.info("the repeated batch is committed; starting the query again (SPARK-55271)")
        return
    raise GlobalMartError(f"The streaming query ended: {cause or error or 'it was stopped from outside'}")


def _progress(last: LedgerEntry | None, offsets: KafkaOffsets, partitions: dict[str, int]) -> dict[str, object]:
    """Lag in records, and the newest committed batch."""
    taken = last.next_offsets if last else {}
    try:
        lag: int | None = sum(end - taken.get(name, 0) for name, end in offsets.ends(partitions).items())
    except KafkaError:
        lag = None
    batch = {"batch_id": last.batch_id, "committed_at": last.committed_at.isoformat()} if last else {}
    return {"lag_records": lag, **batch}


def _wait_until(
    attempt: Callable[[], T], pulse: Pulse, stop: threading.Event, what: str, errors: tuple[type[Exception], ...]
) -> T:
    """Try until it works; what is away may come back. Any other error is final."""
    while True:
        try:
            return attempt()
        except errors as error:
            log.warning("waiting for %s: %s", what, error)
            pulse.say("waiting", reason=str(error))
            if stop.wait(2):
                raise


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    logging.getLogger("py4j").setLevel(logging.ERROR)
    code = 0
    try:
        settings = load_settings("streaming")
        run(settings)
    except (GlobalMartError, Py4JError, OSError) as error:
        code = 75 if isinstance(error, LeaseHeldError) else 1
        sentence = str(error) if isinstance(error, GlobalMartError) else f"Spark's JVM is gone: {type(error).__name__}."
        print(f"globalmart streaming: {sentence}", file=sys.stderr, flush=True)
    # threads of py4j wait for a JVM that may be dead: leave without them
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
