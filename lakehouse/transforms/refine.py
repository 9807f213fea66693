"""One batch of parsed records to the rows of every streaming table. Pure but for the indexes and catalogue that it is given.

Good and bad are disjoint and add up: each record is in exactly one of silver, quarantine and duplicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse import tables as t
from lakehouse.catalogue import Catalogue
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import CONTRACT_VERSION
from lakehouse.contracts.judge import explain, judge
from lakehouse.transforms.identity import Indexes, Outcome, decide
from lakehouse.transforms.parse import typed_names
from lakehouse.transforms.sales import order_lines, orders_by_minute, sales_by_minute

Parser = Callable[[pa.Table], pa.Table]
RAW = ("topic", "partition", "offset", "key", "value", "headers", "kafka_at")


@dataclass(frozen=True)
class Stamp:
    """What a batch is told about itself, recorded before its first write so that a retry is told the same."""

    batch_id: int
    started_at: datetime
    watermarks: dict[str, datetime]
    too_old_days: int | None = None


@dataclass
class Knowledge:
    """What the batches before left behind; a cache of silver that `refine` adds to."""

    indexes: Indexes = field(default_factory=Indexes)
    catalogue: Catalogue = field(default_factory=Catalogue)


@dataclass(frozen=True)
class Refined:
    """Rows by table path, for tables that get any; `watermark_times` is the highest accepted event time per topic."""

    rows: dict[str, pa.Table]
    counts: dict[str, int]
    watermark_times: dict[str, datetime]


def refine(records: pa.Table, stamp: Stamp, knowledge: Knowledge, parser: Parser) -> Refined:
    """`records` as `parse` returns them. `parser` parses again what the judge has cleaned of unknown fields."""
    records = records.combine_chunks()
    typed = {topic: _typed_rows(records, topic) for topic in CONTRACTS}
    broken, cleaned = _judge_the_rest(records, stamp)
    if cleaned is not None:
        again = parser(cleaned)
        for topic in CONTRACTS:
            typed[topic] = pa.concat_tables([typed[topic], _typed_rows(again, topic)]).combine_chunks()
    typed = {topic: rows for topic, rows in typed.items() if len(rows)}

    outcomes = decide(typed, knowledge.indexes)
    rows = {t.BRONZE_EVENTS.path: _stamped(records.select(RAW), stamp)}
    rows[t.QUARANTINE.path] = _quarantine(records, broken, typed, outcomes, stamp)
    rows[t.DUPLICATES.path] = _duplicates(typed, outcomes, stamp)
    watermark_times = {}
    for topic, outcome in outcomes.items():
        accepted = _stamped(typed[topic].filter(pa.array(outcome.accepted)), stamp)
        watermark = stamp.watermarks.get(topic)
        is_late = pc.less(accepted["timestamp"], watermark) if watermark else pa.array(np.zeros(len(accepted), bool))
        rows[f"silver/{topic}"] = accepted.append_column("is_late", is_late)
        if len(accepted):
            watermark_times[topic] = pc.max(accepted["timestamp"]).as_py()
    _add_sales(rows, stamp, knowledge.catalogue)
    rows = {path: _conform(table, t.BY_PATH[path]) for path, table in rows.items() if len(table)}
    counts = {
        "record_count": len(records),
        "accepted_count": sum(int(outcome.accepted.sum()) for outcome in outcomes.values()),
        "quarantined_count": len(rows.get(t.QUARANTINE.path, ())),
        "duplicate_count": len(rows.get(t.DUPLICATES.path, ())),
        "warning_count": 0 if cleaned is None else len(cleaned),
    }
    return Refined(rows, counts, watermark_times)


def _typed_rows(records: pa.Table, topic: str) -> pa.Table:
    """The plainly right records of a topic: its fields, hashes, position and Kafka time."""
    slim = records.select(["topic", "partition", "offset", "kafka_at", "record"])
    right = slim.filter(pc.and_(pc.equal(records["topic"], topic), pc.is_valid(records["record"])))
    struct = right["record"].combine_chunks()
    fields = dict(zip((f.name for f in struct.type), struct.flatten(), strict=True))
    typed = {name: fields[name] for name in typed_names(CONTRACTS[topic])}
    return pa.table({**typed, **{name: right[name] for name in ("topic", "partition", "offset", "kafka_at")}})


def _judge_the_rest(records: pa.Table, stamp: Stamp) -> tuple[dict[int, tuple[tuple[str, ...], str]], pa.Table | None]:
    """(row -> reason codes and words) of the broken records, and the others with their values cleaned, if any."""
    row_numbers = np.flatnonzero(pc.is_null(records["record"]).to_numpy(zero_copy_only=False))
    broken, clean_rows, clean_values = {}, [], []
    rest = records.select(["topic", "value", "kafka_at"]).take(pa.array(row_numbers))
    for row, record in zip(row_numbers.tolist(), rest.to_pylist(), strict=True):
        contract = CONTRACTS[record["topic"]]
        verdict = judge(contract, record["value"], record["kafka_at"], stamp.too_old_days)
        if verdict.cleaned is None:
            broken[row] = (verdict.codes, explain(contract, verdict.codes))
        else:
            clean_rows.append(row)
            clean_values.append(verdict.cleaned)
    if not clean_rows:
        return broken, None
    cleaned = records.select(RAW).take(pa.array(clean_rows))
    return broken, cleaned.set_column(RAW.index("value"), "value", pa.array(clean_values, pa.binary()))


def _stamped(table: pa.Table, stamp: Stamp) -> pa.Table:
    return table.append_column("ingested_at", _at(stamp, len(table))).append_column(
        "batch_id", pa.array(np.full(len(table), stamp.batch_id))
    )


def _at(stamp: Stamp, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(stamp.started_at, pa.timestamp("us", tz="UTC")), count)


def _quarantine(
    records: pa.Table,
    broken: dict[int, tuple[tuple[str, ...], str]],
    typed: dict[str, pa.Table],
    outcomes: dict[str, Outcome],
    stamp: Stamp,
) -> pa.Table:
    rows = dict(broken)
    conflicts = {
        (topic, typed[topic]["partition"][row].as_py(), typed[topic]["offset"][row].as_py()): codes
        for topic, outcome in outcomes.items()
        for row, codes in outcome.conflicts.items()
    }
    if conflicts:
        positions = zip(*(records[name].to_pylist() for name in ("topic", "partition", "offset")), strict=True)
        for row, position in enumerate(positions):
            if position in conflicts:
                codes = conflicts[position]
                rows[row] = (codes, explain(CONTRACTS[position[0]], codes))
    ordered = sorted(rows)
    table = records.select(["topic", "partition", "offset", "key", "value", "kafka_at"]).take(
        pa.array(ordered, pa.int64())
    )
    reasons = pa.array([list(rows[row][0]) for row in ordered], pa.list_(pa.string()))
    return _stamped(
        table.append_column("reason_codes", reasons)
        .append_column("detail", pa.array([rows[row][1] for row in ordered], pa.string()))
        .append_column("contract_version", pa.array([CONTRACT_VERSION] * len(ordered), pa.int32())),
        stamp,
    )


def _duplicates(typed: dict[str, pa.Table], outcomes: dict[str, Outcome], stamp: Stamp) -> pa.Table:
    parts = []
    for topic, outcome in outcomes.items():
        rows = list(outcome.duplicates)
        part = (
            typed[topic]
            .select(["topic", "partition", "offset", "event_id", "kafka_at"])
            .take(pa.array(rows, pa.int64()))
        )
        winners = list(zip(*outcome.duplicates.values(), strict=True)) or [(), (), ()]
        parts.append(
            part.append_column("winner_topic", pa.array(winners[0], pa.string()))
            .append_column("winner_partition", pa.array(winners[1], pa.int32()))
            .append_column("winner_offset", pa.array(winners[2], pa.int64()))
        )
    return _stamped(pa.concat_tables(parts), stamp) if parts else pa.table({})


def _add_sales(rows: dict[str, pa.Table], stamp: Stamp, catalogue: Catalogue) -> None:
    products = rows.get(t.PRODUCTS.path)
    if products is not None:
        catalogue.add(*(products[name].to_pylist() for name in ("product_id", "category", "timestamp")))
    transactions = rows.get(t.TRANSACTIONS.path)
    if transactions is None or not len(transactions):
        return
    items = order_lines(transactions, catalogue)
    rows[t.TRANSACTION_ITEMS.path] = items
    for table, sums in (
        (t.SALES_BY_MINUTE, sales_by_minute(items)),
        (t.ORDERS_BY_MINUTE, orders_by_minute(transactions)),
    ):
        batch_id = pa.array(np.full(len(sums), stamp.batch_id))
        rows[table.path] = sums.append_column("batch_id", batch_id).append_column("known_at", _at(stamp, len(sums)))


def _conform(rows: pa.Table, table: t.Table) -> pa.Table:
    """Exactly the table's columns, in order and type."""
    return pa.table([rows[field.name].cast(field.type) for field in table.schema], schema=table.schema)
