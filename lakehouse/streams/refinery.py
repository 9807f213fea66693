"""One micro-batch: parsed records to Delta, exactly once. Wires source, transform, sinks and ledger; no rules of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from lakehouse import tables as t
from lakehouse.findings import Finding
from lakehouse.ledger import LedgerEntry
from lakehouse.live import views
from lakehouse.live.base import Batch, View
from lakehouse.live.rates import consumer_lag
from lakehouse.logs import facts, tracing
from lakehouse.settings import Settings
from lakehouse.streams import measures
from lakehouse.streams.checkpoint import Checkpoint, Generation
from lakehouse.streams.markers import closing_span, split_marks
from lakehouse.streams.sinks import Sinks
from lakehouse.transforms.parse import parse
from lakehouse.transforms.refine import Knowledge, Stamp, refine
from lakehouse.transforms.watermarks import advanced, marked, shop_watermark

log = logging.getLogger(__name__)

QUERY = "refine"


class Refinery:
    """Processes the batches of one generation in order. `last` is the newest ledger entry, None before the first."""

    def __init__(
        self,
        settings: Settings,
        spark: SparkSession,
        sinks: Sinks,
        checkpoint: Checkpoint,
        generation: Generation,
        knowledge: Knowledge,
        live: list[View],
        tell: Callable[[list[Finding]], None],
        ends: Callable[[], dict[str, int]],
        last: LedgerEntry | None,
    ) -> None:
        self._settings = settings
        self._spark = spark
        self._sinks = sinks
        self._checkpoint = checkpoint
        self._generation = generation
        self._knowledge = knowledge
        self._live = live
        self._tell = tell
        self._ends = ends
        self._maintenance = sinks.maintenance()
        self._delay = timedelta(minutes=settings.watermark_delay_minutes)
        self._closing = closing_span(settings)
        self.last = last
        self.error: BaseException | None = None

    def __call__(self, frame: DataFrame, spark_batch_id: int) -> None:
        """The `foreachBatch` function: `frame` has the columns of `parse`."""
        try:
            self._process(frame, spark_batch_id)
        except BaseException as error:
            self.error = error
            raise

    def _process(self, frame: DataFrame, spark_batch_id: int) -> None:
        batch_id = self._generation.first_batch + spark_batch_id
        if self.last is not None and batch_id <= self.last.batch_id:
            return  # in the ledger already: only Spark's own commit of it was lost
        with tracing(batch_id):
            self._refine(frame, spark_batch_id, batch_id)

    def _refine(self, frame: DataFrame, spark_batch_id: int, batch_id: int) -> None:
        clock = [time.perf_counter()]
        intent = self._checkpoint.intent(self._generation, batch_id, self.last.watermarks if self.last else {})
        taken = frame.toArrow().combine_chunks()
        clock.append(time.perf_counter())

        records, marks = split_marks(taken)
        before = self.last.next_offsets if self.last else {}
        next_offsets = before | _next_offsets(taken)
        stamp = Stamp(batch_id, intent.started_at, intent.watermarks, self._settings.too_old_days)
        refined = refine(records, stamp, self._knowledge, self._parse_again)
        watermarks, waiting = marked(
            advanced(intent.watermarks, refined.watermark_times, self._delay),
            (*(self.last.waiting_marks if self.last else ()), *marks),
            next_offsets,
            self._delay,
            self._closing,
        )
        clock.append(time.perf_counter())

        shop = shop_watermark(watermarks)
        batch = Batch(batch_id, intent.started_at, refined.rows, shop, self._knowledge.catalogue)
        self._sinks.begin(refined.rows, batch_id)  # written while the views count
        try:
            said = views.apply(self._live, batch)
            self._tell(said.findings)
            self._sinks.begin(said.rows, batch_id)
            clock.append(time.perf_counter())
        finally:
            self._sinks.finish()
        lag = consumer_lag(records, intent.started_at, next_offsets, self._ends())
        clock.append(time.perf_counter())

        entry = LedgerEntry(
            generation=self._generation.number,
            batch_id=batch_id,
            spark_batch_id=spark_batch_id,
            started_at=intent.started_at,
            committed_at=datetime.now(UTC),
            next_offsets=next_offsets,
            watermarks=watermarks,
            table_versions={path: v for path, v in self._sinks.versions().items() if path != t.LEDGER_STREAMING.path},
            counts=refined.counts,
            waiting_marks=tuple(waiting),
            lag_records=lag.records,
            lag_seconds=lag.seconds,
        )
        self._sinks.append({t.LEDGER_STREAMING.path: entry.to_rows()}, batch_id)
        self.last = entry
        self._maintenance.after_batch(entry.committed_at, is_idle=not len(records))
        clock.append(time.perf_counter())
        phases = ("read_and_parse", "refine", "live", "commit", "ledger_and_maintenance")
        seconds = {name: round(b - a, 3) for name, a, b in zip(phases, clock, clock[1:], strict=False)}
        offsets = {place: offset for place, offset in next_offsets.items() if offset != before.get(place)}
        log.info("committed", extra=facts(batch_id=batch_id, **refined.counts, next_offsets=offsets, seconds=seconds))
        measures.took(QUERY, seconds)
        measures.holds(QUERY, self._live)

    def _parse_again(self, cleaned: pa.Table) -> pa.Table:
        return parse(self._spark.createDataFrame(cleaned), self._settings.too_old_days).toArrow()


def _next_offsets(records: pa.Table) -> dict[str, int]:
    highest = records.group_by(["topic", "partition"], use_threads=False).aggregate([("offset", "max")])
    after = pc.add(highest["offset_max"], 1)
    names = zip(highest["topic"].to_pylist(), highest["partition"].to_pylist(), strict=True)
    return {f"{topic}/{partition}": offset for (topic, partition), offset in zip(names, after.to_pylist(), strict=True)}
