"""What people are told about stock: low, out, oversold, back. Each finding names the movement that caused it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.dedup import pack_position, unpack_position
from lakehouse.findings import Finding, Severity, finding_id
from lakehouse.live.base import Batch
from lakehouse.live.movements import Movements
from lakehouse.tables import INVENTORY_EVENTS, PRODUCTS, TRANSACTIONS
from lakehouse.transforms.stock import ALARMS, LOW, OK, OUT, OVERSOLD, Int64s, Mask, StockRules

BACK = "back_in_stock"
_KINDS: dict[int, tuple[str, Severity]] = {
    OK: (BACK, "info"),
    LOW: ("low_stock", "warning"),
    OUT: ("out_of_stock", "critical"),
    OVERSOLD: ("oversold", "warning"),
}
_TABLES = (INVENTORY_EVENTS, PRODUCTS, TRANSACTIONS)
_EVIDENCE = (
    "level",
    "opening_count",
    "changed_count",
    "sold_count",
    "oversold_count",
    "sell_rate_per_day",
    "days_of_cover",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stock_findings(
    batch: Batch,
    rules: StockRules,
    rows: pa.Table,
    alarm_before: Sequence[int],
    level_before: Sequence[int],
    moves: Movements,
) -> list[Finding]:
    """One finding for each step of the alarm. `rows` are new rows of `gold/inventory_levels`, of products whose alarm changed;
    the others go with them, the movements' places counted in them.

    The cause is the first movement, as Kafka got them, that took the level past the step's bound, or the last one where
    no single one did (days of cover). It makes the id, so that a batch that is tried again, or cut elsewhere, says the same.
    """
    moves = moves.in_order()
    edges = np.searchsorted(moves.product, np.arange(len(rows) + 1))
    products = rows.select(["product_id", "category", "alarm", *_EVIDENCE]).to_pylist()
    told: list[tuple[int, int, int]] = []
    for number, row in enumerate(products):
        first, last = int(edges[number]), int(edges[number + 1])
        path = level_before[number] + np.cumsum(moves.units[first:last])
        for step in _steps(alarm_before[number], ALARMS.index(row["alarm"])):
            past = np.flatnonzero(_is_past(step, path, rules))
            told.append((number, step, first + int(past[0]) if len(past) else last - 1))
    event_ids = _event_ids(batch, moves.take(np.array([cause for *_, cause in told], np.int64)))
    findings = [
        _finding(batch, products[number], step, moves, cause, event_id)
        for (number, step, cause), event_id in zip(told, event_ids, strict=True)
    ]
    return sorted(findings, key=lambda finding: (finding.product_id or "", finding.kind))


def _steps(before: int, after: int) -> Iterator[int]:
    """What to tell: that all is well again, or each step down; low stock not where it is out at once."""
    if after in (OK, LOW):
        yield after
    else:
        yield from (step for step in (OUT, OVERSOLD) if before < step <= after)


def _is_past(step: int, path: Int64s, rules: StockRules) -> Mask:
    if step == OK:
        return path > rules.low_units * rules.recovery_factor
    return path <= {LOW: rules.low_units, OUT: 0, OVERSOLD: -1}[step]


def _event_ids(batch: Batch, causes: Movements) -> list[str | None]:
    """The events that `causes` come from, in their order."""
    found: list[str | None] = [None] * len(causes.kind)
    for kind, table in enumerate(_TABLES):
        wanted = np.flatnonzero(causes.is_a(kind))
        rows = batch.of(table)
        if not len(wanted) or not len(rows):
            continue
        positions = pack_position(0, rows["partition"].to_numpy(), rows["offset"].to_numpy())
        order = np.argsort(positions)
        at = order[np.searchsorted(positions, causes.position[wanted], sorter=order)]
        for number, event_id in zip(wanted.tolist(), rows["event_id"].take(at).to_pylist(), strict=True):
            found[number] = event_id
    return found


def _finding(
    batch: Batch, row: dict[str, Any], step: int, moves: Movements, cause: int, event_id: str | None
) -> Finding:
    kind, severity = _KINDS[step]
    product_id, level = row["product_id"], row["level"]
    topic = _TABLES[moves.kind[cause]].name
    _, partition, offset = unpack_position(int(moves.position[cause]))
    title = {
        OK: f"Back in stock: {product_id}, {level} units",
        LOW: f"Low stock: {product_id}, {level} units",
        OUT: f"Out of stock: {product_id}",
        OVERSOLD: f"Oversold: {product_id} by {row['oversold_count']} units",
    }[step]
    lasts = "" if row["days_of_cover"] is None else f" and lasts {row['days_of_cover']:.1f} days"
    detail = (
        f"{product_id} ({row['category']}) has {level} units: {row['opening_count']} at the opening, "
        f"{row['changed_count']:+} by changes, {row['sold_count']} sold. "
        f"It sells {row['sell_rate_per_day']:.2f} units a day{lasts}."
    )
    return Finding(
        finding_id=finding_id(kind, product_id, topic, str(partition), str(offset)),
        kind=kind,
        severity=severity,
        fingerprint=f"stock|{product_id}",
        title=title,
        detail=detail,
        event_at=_EPOCH + timedelta(microseconds=int(moves.at_us[cause])),
        detected_at=batch.started_at,
        event_id=event_id,
        product_id=product_id,
        evidence={name: row[name] for name in _EVIDENCE}
        | {"category": row["category"], "cause": {"topic": topic, "partition": partition, "offset": offset}},
    )
