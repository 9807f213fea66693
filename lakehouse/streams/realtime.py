"""The real-time lane: a process with a JVM of its own that judges events record by record. `python -m lakehouse.streams.realtime`

It writes to Kafka alone and owns no table, so it needs no lease: two of them at once would say the same findings twice under the
same ids, and what it writes is at least once anyway. Whatever happens to it, the durable path goes on and says the same.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse import logs
from lakehouse.errors import GlobalMartError
from lakehouse.findings import DETECTIONS
from lakehouse.heartbeat import Pulse, stop_on_signals
from lakehouse.kafka import KafkaOffsets
from lakehouse.metrics.endpoint import expose
from lakehouse.session import build_session
from lakehouse.settings import Settings, load_settings
from lakehouse.streams.catalogue_copy import CatalogueCopy
from lakehouse.streams.jvm import adopt_jvm, wait_for_old_jvm
from lakehouse.streams.measures import Reports
from lakehouse.streams.retractions import Retractions
from lakehouse.streams.waiting import wait_until
from lakehouse.transforms.realtime import LIVE_EVENTS, LIVE_TOPICS, judge

log = logging.getLogger(__name__)

NAME = "realtime"
_REFRESH_SECONDS = 30
_RESTART_SHARE = 0.01
"""A catalogue in which more than this share of the products is new or changed is taken up at once, by a restart of the query."""
_SPARK = {
    "spark.sql.streaming.minBatchesToRetain": "3",
    # no optimiser that learns between stages: a Real-Time query never ends a stage
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",  # the one broadcast is asked for by name
    # neither can apply here, and to find that out each follows the join keys through the whole of the parsing, join by join
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "false",
}
_READER = {
    # A record is handed over as it comes, and an idle partition costs two requests a second.
    "kafka.fetch.min.bytes": "1",
    "kafka.fetch.max.wait.ms": "500",
    "failOnDataLoss": "false",  # what retention took is for the durable path to report
}
_WRITER = {
    "kafka.linger.ms": "5",
    "kafka.acks": "all",
    "kafka.delivery.timeout.ms": "30000",
    "kafka.request.timeout.ms": "10000",
}


class Lane:
    """The query and its catalogue, which lies at `catalogue`. One Spark session, one query at a time."""

    def __init__(self, settings: Settings, spark: SparkSession, catalogue: Path, partitions: int) -> None:
        self._settings = settings
        self._spark = spark
        self._partitions = partitions
        self._checkpoint = settings.state_dir / "realtime" / "checkpoint"
        self._said = self._messages(catalogue)
        self.query: StreamingQuery | None = None

    def _messages(self, catalogue: Path) -> DataFrame:
        reader = self._spark.readStream.format("kafka").options(**_READER).option("subscribe", ",".join(LIVE_TOPICS))
        reader = reader.option("kafka.bootstrap.servers", self._settings.kafka_bootstrap_servers)
        raw = reader.option("startingOffsets", "latest").load()
        records = raw.select("topic", "partition", "offset", "value", F.col("timestamp").alias("kafka_at"))
        return judge(records, self._spark.read.format("delta").load(str(catalogue)))

    def start(self) -> None:
        """Start where the last query left off, or at the newest record after a long absence."""
        away = _age_seconds(self._checkpoint)
        if away is not None and away > self._settings.realtime_away_minutes * 60:
            log.info("away for %.0f minutes: starting at the newest record", away / 60)
            self.forget()
        writer = self._said.writeStream.format("kafka").options(**_WRITER).outputMode("update").queryName(NAME)
        writer = writer.option("kafka.bootstrap.servers", self._settings.kafka_bootstrap_servers)
        writer = writer.option("checkpointLocation", self._checkpoint.as_uri())
        # PySpark 4.1 has no call for this trigger
        trigger = self._spark._jvm.org.apache.spark.sql.streaming.Trigger  # type: ignore[union-attr]
        every = trigger.RealTime(f"{round(self._settings.realtime_trigger_minutes * 60)} seconds")
        writer._jwrite = writer._jwrite.trigger(every)
        self.query = writer.start()

    def stop(self) -> None:
        if self.query is not None:
            self.query.stop()

    def is_judging(self) -> bool:
        """Whether every partition has its task; not so between two batches, for a moment."""
        tracker = self._spark.sparkContext.statusTracker()
        stages = (tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds())
        return any(stage is not None and stage.numActiveTasks >= self._partitions for stage in stages)

    def forget(self) -> None:
        """Drop the checkpoint: a query that it does not let start must not fail for ever."""
        shutil.rmtree(self._checkpoint, ignore_errors=True)


def run(settings: Settings) -> None:
    """Judge until told to stop. Raises a GlobalMartError when it cannot go on."""
    pulse = Pulse(settings, NAME)
    stop = stop_on_signals()

    wait_for_old_jvm(settings, NAME)
    counts = wait_until(lambda: _partitions(settings), pulse, stop)
    catalogue = CatalogueCopy(settings)
    catalogue.refresh()
    partitions = sum(counts[topic] for topic in LIVE_TOPICS)
    warehouse = {"spark.sql.warehouse.dir": (settings.state_dir / "realtime" / "warehouse").as_uri()}
    slots = _with_slots(settings, partitions)
    spark = build_session(slots, f"globalmart-{NAME}", settings.realtime_memory_gb, _SPARK | warehouse)
    adopt_jvm(settings, spark, NAME)
    expose(settings, settings.realtime_metrics_port)
    retractions = wait_until(lambda: Retractions(settings, settings.realtime_away_minutes * 60), pulse, stop)
    lane = Lane(settings, spark, catalogue.path, partitions)
    reports = Reports(NAME, settings.realtime_trigger_minutes * 60)
    while not stop.is_set():
        lane.start()
        _watch(lane, catalogue, retractions, reports, pulse, stop)
        lane.stop()


def _watch(
    lane: Lane,
    catalogue: CatalogueCopy,
    retractions: Retractions,
    reports: Reports,
    pulse: Pulse,
    stop: threading.Event,
) -> None:
    """Look after a started query until it is time to stop or to start it anew. Raises GlobalMartError when it has failed."""
    query = lane.query
    state, refreshed = "starting", time.monotonic()
    withdrawn = 0
    while query is not None and not stop.is_set():
        if not query.isActive:
            if state == "starting":
                lane.forget()
            raise GlobalMartError(f"The real-time query ended: {query.exception() or 'it was stopped from outside'}")
        if state == "starting" and lane.is_judging():
            state = "running"
        if time.monotonic() - refreshed > _REFRESH_SECONDS or not catalogue.product_count:
            refreshed = time.monotonic()
            if catalogue.refresh() > _RESTART_SHARE * catalogue.product_count:
                log.info("starting anew with a catalogue of %s products", catalogue.product_count)
                return
        withdrawn += retractions.step()
        reports.look(query)
        pulse.say(
            state,
            product_count=catalogue.product_count,
            open_finding_count=retractions.open_count,
            retracted_count=withdrawn,
        )
        stop.wait(1)


def _partitions(settings: Settings) -> dict[str, int]:
    offsets = KafkaOffsets(settings)
    try:
        return offsets.partitions([*LIVE_TOPICS, DETECTIONS, LIVE_EVENTS])
    finally:
        offsets.close()


def _with_slots(settings: Settings, partitions: int) -> Settings:
    """A Real-Time query holds one slot per partition for as long as it runs; a cluster must have them to spare."""
    if not settings.spark_master.startswith("local") and settings.profile == "local":
        return settings  # the profile `cluster` has too few slots for it: there it keeps a JVM of its own
    return settings.model_copy(update={"spark_master": f"local[{partitions}]"})


def _age_seconds(checkpoint: Path) -> float | None:
    """How long ago the checkpoint was written; None where there is none."""
    files = [file for name in ("sources", "commits") for file in (checkpoint / name).rglob("*") if file.is_file()]
    if not files:
        return None
    return time.time() - max(file.stat().st_mtime for file in files)


def main() -> None:
    logs.set_up(NAME)
    code = 0
    try:
        run(load_settings())
    except (GlobalMartError, PySparkException, Py4JError, OSError) as error:
        code = 1
        gone = f"Spark's JVM is gone: {type(error).__name__}."
        sentence = gone if isinstance(error, Py4JError | OSError) else str(error).splitlines()[0]
        print(f"globalmart realtime: {sentence}", file=sys.stderr, flush=True)
    # threads of py4j wait for a JVM that may be dead: leave without them
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
