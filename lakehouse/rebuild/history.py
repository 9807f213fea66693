"""Bronze played through the stream's own transforms again: each batch as the ledger has it, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import judge
from lakehouse.errors import GlobalMartError
from lakehouse.ledger import NO_BATCH, LedgerEntry
from lakehouse.live import views
from lakehouse.live.base import Batch, Conditions, Lake, View, newest
from lakehouse.settings import Settings
from lakehouse.storage import open_table, spark_uri
from lakehouse.tables import Table
from lakehouse.transforms.parse import RECORD_COLUMNS, parse
from lakehouse.transforms.refine import RAW, Knowledge, Stamp, refine
from lakehouse.transforms.watermarks import shop_watermark

_CHUNK_RECORDS = 100_000
_POSITION = ["topic", "partition", "offset"]


class BronzeError(GlobalMartError):
    """The source of the rebuild cannot be read."""


class RebuiltLake(Lake):
    """The lake as the views of a rebuild see it: what has been made so far, committed to staging or still in `fresh`."""

    def __init__(self, staging: Settings) -> None:
        super().__init__(staging, {})
        self._staging = staging
        self.fresh: dict[str, list[pa.Table]] = {}

    def so_far(self, table: Table, batch_id: int, filter: pc.Expression, files: Conditions | None = None) -> pa.Table:
        staged = open_table(self._staging, table).to_pyarrow_dataset(file_pruning_predicate=files)
        before = filter & (pc.field("batch_id") < batch_id)
        parts = [staged.to_table(columns=table.schema.names, filter=before, use_threads=False)]
        parts += [rows.filter(before) for rows in self.fresh.get(table.path, ())]
        return newest(pa.concat_tables([part.cast(table.schema) for part in parts]).combine_chunks(), table)


def rebuilt_tables(live: Iterable[View]) -> list[Table]:
    """The streaming tables that are functions of bronze: silver, the sums, findings, and what the views keep."""
    of_views = {table.path for view in live for table in view.tables}
    made = {t.SALES_BY_MINUTE.path, t.ORDERS_BY_MINUTE.path, t.ALERTS.path, t.ANOMALIES.path} | of_views
    return [one for one in t.TABLES if one.owner == "streaming" and (one.layer == "silver" or one.path in made)]


def play(
    settings: Settings, staging: Settings, spark: SparkSession, entries: list[LedgerEntry]
) -> Iterator[tuple[int, dict[str, pa.Table]]]:
    """The rows of all tables but bronze, as the stream made them: (last batch, rows by table path) for some batches at a time.

    `entries` are all entries of the ledger in their order. Nothing is remembered beyond them: duplicates are looked for over
    all of bronze, so that one that the stream could no longer recognise is found here. The caller commits to `staging` what
    it is given before it asks for more: views look there for what they no longer hold.
    """
    knowledge = Knowledge()
    lake = RebuiltLake(staging)
    live = views.load(settings, lake)
    bronze = spark.read.format("delta").load(spark_uri(settings, t.BRONZE_EVENTS))
    before: dict[int, dict[str, datetime]] = {after.batch_id: one.watermarks for one, after in pairwise(entries)}
    for chunk in _chunks([entry for entry in entries if entry.spark_batch_id != NO_BATCH]):
        parsed = _parsed(settings, bronze, chunk[0].batch_id, chunk[-1].batch_id)
        again = _cleaned(settings, spark, parsed)
        lake.fresh = {}
        batch_ids = parsed["batch_id"].to_numpy()
        records_of = parsed.drop_columns(["batch_id"])
        for entry in chunk:
            first, after = np.searchsorted(batch_ids, [entry.batch_id, entry.batch_id + 1]).tolist()
            records = records_of.slice(first, after - first)
            stamp = Stamp(entry.batch_id, entry.started_at, before.get(entry.batch_id, {}), settings.too_old_days)
            refined = refine(records, stamp, knowledge, partial(_same_records, again))
            batch = Batch(
                entry.batch_id, entry.started_at, refined.rows, shop_watermark(entry.watermarks), knowledge.catalogue
            )
            for path, rows in (refined.rows | views.apply(live, batch).rows).items():
                if path != t.BRONZE_EVENTS.path:
                    lake.fresh.setdefault(path, []).append(rows)
        yield chunk[-1].batch_id, {path: pa.concat_tables(tables) for path, tables in lake.fresh.items()}


def _chunks(entries: list[LedgerEntry]) -> Iterator[list[LedgerEntry]]:
    """Neighbouring batches that are parsed in one Spark job."""
    chunk: list[LedgerEntry] = []
    size = 0
    for entry in entries:
        count = entry.counts.get("record_count", 0)
        if chunk and size + count > _CHUNK_RECORDS:
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += count
    if chunk:
        yield chunk


def _parsed(settings: Settings, bronze: DataFrame, first: int, last: int) -> pa.Table:
    """Parsed records of these batches, ordered by batch and position."""
    raw = bronze.where(F.col("batch_id").between(first, last)).select(*RECORD_COLUMNS, "batch_id")
    try:
        parsed = parse(raw, settings.too_old_days).toArrow().combine_chunks()
    except (PySparkException, Py4JError) as error:
        words = str(error).strip().splitlines()[0]
        raise BronzeError(
            f"Bronze cannot be read, and all else is made from it ({words}): see `globalmart prove`."
        ) from error
    keys = [(name, "ascending") for name in ("batch_id", *_POSITION)]
    return parsed.take(pc.sort_indices(parsed, sort_keys=keys)).combine_chunks()


def _cleaned(settings: Settings, spark: SparkSession, parsed: pa.Table) -> pa.Table:
    """What the judge finds right after all, parsed without its unknown fields: in one job for all batches instead of one each."""
    rows = np.flatnonzero(pc.is_null(parsed["record"]).to_numpy(zero_copy_only=False))
    rest = parsed.select(RAW).take(pa.array(rows))
    verdicts = [
        judge(CONTRACTS[record["topic"]], record["value"], record["kafka_at"], settings.too_old_days).cleaned
        for record in rest.select(["topic", "value", "kafka_at"]).to_pylist()
    ]
    right = rest.set_column(RAW.index("value"), "value", pa.array(verdicts, pa.binary()))
    right = right.filter(pc.is_valid(right["value"]))
    return parse(spark.createDataFrame(right), settings.too_old_days).toArrow() if len(right) else right


def _same_records(known: pa.Table, cleaned: pa.Table) -> pa.Table:
    """Of `known` the records at the positions of `cleaned`, in its order."""
    places = {place: row for row, place in enumerate(_positions(known))}
    return known.take(pa.array([places[place] for place in _positions(cleaned)], pa.int64()))


def _positions(rows: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(rows[name].to_pylist() for name in _POSITION), strict=True)
