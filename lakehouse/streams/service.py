"""The streaming service: one process that owns the streaming tables and keeps one query running. `python -m lakehouse.streams.service`"""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import UTC, datetime

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from lakehouse import logs, release, storage
from lakehouse.errors import GlobalMartError, KafkaError, LeaseHeldError, StorageError
from lakehouse.heartbeat import Pulse, stop_on_signals
from lakehouse.kafka import KafkaOffsets
from lakehouse.lease import Lease
from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.live import views
from lakehouse.live.base import Lake
from lakehouse.metrics.endpoint import expose
from lakehouse.session import build_session
from lakehouse.settings import Settings, load_settings
from lakehouse.streams import retention
from lakehouse.streams.checkpoint import Checkpoint
from lakehouse.streams.jvm import adopt_jvm, listen_for_batches, wait_for_old_jvm
from lakehouse.streams.knowledge import load_knowledge
from lakehouse.streams.markers import MARKERS, IdleWatch, Outbox
from lakehouse.streams.measures import Reports
from lakehouse.streams.refinery import QUERY, Refinery
from lakehouse.streams.sinks import Sinks
from lakehouse.streams.source import ALL_TOPICS, read_records
from lakehouse.streams.waiting import wait_until
from lakehouse.tables import LEDGER_STREAMING, TABLES
from lakehouse.transforms.parse import parse
from lakehouse.transforms.watermarks import shop_watermark

log = logging.getLogger(__name__)

_SPARK_55271 = 'because the return value of "scala.Option.get()" is null'
NAME = "streaming"
_MARK_SECONDS = 4  # for the batch of an idle mark, before the next is thought of
_SPARK = {
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.driver.maxResultSize": "3g",
}


def run(settings: Settings) -> None:
    """Own the tables and stream until told to stop. Raises a GlobalMartError when it cannot go on."""
    pulse = Pulse(settings, NAME)
    stop = stop_on_signals()

    lease = Lease(settings, NAME)
    wait_until(lambda: lease.acquire(), pulse, stop, "the lake", (StorageError,))
    try:
        release.check(settings)
        wait_for_old_jvm(settings)
        offsets = wait_until(lambda: KafkaOffsets(settings), pulse, stop)
        partitions = wait_until(lambda: offsets.partitions(ALL_TOPICS), pulse, stop, "topics")
        spark = build_session(settings, f"globalmart-{NAME}", settings.streaming_memory_gb, _SPARK)
        adopt_jvm(settings, spark)
        listen_for_batches(spark)
        expose(settings, settings.streaming_metrics_port)
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
    release.record(settings)
    ledger = last_entry(storage.open_table(settings, LEDGER_STREAMING))
    checkpoint = Checkpoint(settings)
    skipped_to = wait_until(lambda: _skipped_to(settings, ledger, offsets, partitions), pulse, stop)
    generation = checkpoint.open(ledger, sinks.last_batch(), skipped_to)
    if generation.is_new:
        log.info("generation %s starts at batch %s", generation.number, generation.first_batch)
        sinks.restore(ledger.table_versions if ledger else {}, spared=LEDGER_STREAMING)
        checkpoint.begin(generation)
    lake = Lake(
        settings, ledger.table_versions if ledger else {}, shop_watermark(ledger.watermarks) if ledger else None
    )
    live = views.load(settings, lake)
    outbox = wait_until(lambda: Outbox(settings), pulse, stop)
    idle = IdleWatch(settings)
    # a connection of its own: batches run in a thread of their own
    batch_offsets = wait_until(lambda: KafkaOffsets(settings), pulse, stop)
    inputs = {topic: count for topic, count in partitions.items() if topic != MARKERS}
    refinery = Refinery(
        settings,
        spark,
        sinks,
        checkpoint,
        generation,
        load_knowledge(settings),
        live,
        lambda findings: wait_until(lambda: outbox.tell(findings), pulse, stop),
        lambda: _ends(batch_offsets, inputs),
        ledger,
    )
    records = read_records(spark, settings, generation.start_offsets, partitions)
    writer = (
        parse(records, settings.too_old_days)
        .writeStream.foreachBatch(refinery)
        .option("checkpointLocation", checkpoint.folder(generation).as_uri())
        .trigger(processingTime=f"{int(settings.stream_trigger_seconds * 1000)} milliseconds")
        .queryName(QUERY)
    )
    reports = Reports(QUERY, settings.stream_trigger_seconds)
    while not stop.is_set():
        query = writer.start()
        while not stop.is_set() and query.isActive:
            last = refinery.last
            lag = _lag(last, offsets, partitions)
            batch = {"batch_id": last.batch_id, "committed_at": last.committed_at.isoformat()} if last else {}
            pulse.say("running", generation=generation.number, lag_records=lag, **batch)
            reports.look(query)
            now = datetime.now(UTC)
            if last is not None and idle.is_due(last, lag, now):
                wait_until(lambda: outbox.mark_idle(last.next_offsets, now), pulse, stop)  # noqa: B023 called at once
                stop.wait(_MARK_SECONDS)
            stop.wait(1)
        if not stop.is_set():
            retention.check(refinery.last.next_offsets if refinery.last else {}, _starts(offsets, partitions))
            _raise_unless_harmless(query.exception(), refinery.error)
    query.stop()


def _skipped_to(
    settings: Settings, ledger: LedgerEntry | None, offsets: KafkaOffsets, partitions: dict[str, int]
) -> dict[str, int] | None:
    """Where to go on after records that Kafka has lost, if that is allowed. Raises LostRecordsError where it is not."""
    starts, taken = offsets.starts(partitions), ledger.next_offsets if ledger else {}
    retention.check_reaches(taken, offsets.ends(partitions))
    if not settings.stream_accept_loss:
        retention.check(taken, starts)
    lost = retention.lost_records(taken, starts)
    for name, (first, last) in lost.items():
        log.error("going on without %s offsets %d to %d, which Kafka has lost", name, first, last)
    return {name: starts[name] for name in lost} or None


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


def _ends(offsets: KafkaOffsets, partitions: dict[str, int]) -> dict[str, int]:
    """Where Kafka's partitions end; nothing while it does not answer, since a batch need not fail for a figure about it."""
    try:
        return offsets.ends(partitions)
    except KafkaError:
        return {}


def _starts(offsets: KafkaOffsets, partitions: dict[str, int]) -> dict[str, int]:
    """Where Kafka's partitions begin; nothing while it does not answer."""
    try:
        return offsets.starts(partitions)
    except KafkaError:
        return {}


def _lag(last: LedgerEntry | None, offsets: KafkaOffsets, partitions: dict[str, int]) -> int | None:
    """Records in Kafka that no batch has committed yet; None while Kafka does not answer."""
    taken = last.next_offsets if last else {}
    ends = _ends(offsets, partitions)
    return sum(end - taken.get(name, 0) for name, end in ends.items()) if ends else None


def main() -> None:
    logs.set_up(NAME)
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
