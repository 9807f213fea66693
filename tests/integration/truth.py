"""The generator's truth ledger against the lake: outcome, reasons and body of every record."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import Field, Kind
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import BY_PATH, DUPLICATES, QUARANTINE, Table

Position = tuple[str, int, int]


def truth_of(folder: Path) -> dict[Position, dict[str, Any]]:
    """What the generator sent and expects, by position, for one run with `--truth full`."""
    rows = pa.concat_tables([pq.read_table(part) for part in sorted(folder.glob("records-*.parquet"))]).to_pylist()
    return {(row["topic"], row["partition"], row["offset"]): row for row in rows}


def lake(settings: Settings) -> dict[Position, tuple[str, dict[str, Any]]]:
    """(`silver`, `quarantine` or `duplicates`, row) of every record in the lake; fails on a record with two."""
    found: dict[Position, tuple[str, dict[str, Any]]] = {}
    for table, outcome in [
        *((BY_PATH[f"silver/{topic}"], "silver") for topic in CONTRACTS),
        (QUARANTINE, "quarantine"),
        (DUPLICATES, "duplicates"),
    ]:
        for row in _rows(settings, table):
            position = (row["topic"], row["partition"], row["offset"])
            assert position not in found, f"{position} is in {found[position][0]} and in {outcome}"
            found[position] = (outcome, row)
    return found


def _rows(settings: Settings, table: Table) -> list[dict[str, Any]]:
    return list(open_table(settings, table).to_pyarrow_table().to_pylist())


def assert_lake_is_the_truth(truth: dict[Position, dict[str, Any]], settings: Settings) -> Counter[str]:
    """Every record ended where the generator says, for the reasons it says, with the body it sent. Returns the outcomes."""
    found = lake(settings)
    wrong = []
    for position, sent in truth.items():
        outcome, row = found.get(position, ("nowhere", {}))
        if outcome != sent["expected"]:
            wrong.append((position, sent["fault"], sent["expected"], outcome))
        elif outcome == "quarantine" and (row["reason_codes"], row["value"]) != (sent["reason_codes"], sent["value"]):
            wrong.append((position, sent["fault"], sent["reason_codes"], row["reason_codes"]))
        elif outcome == "silver" and _body(sent) != {name: row[name] for name in _body(sent)}:
            wrong.append((position, sent["fault"], _body(sent), row))
        elif outcome == "duplicates":
            winner = (row["winner_topic"], row["winner_partition"], row["winner_offset"])
            if truth[winner]["expected"] != "silver" or winner[:2] != position[:2] or winner[2] >= position[2]:
                wrong.append((position, sent["fault"], "winner", winner))
    assert wrong == []
    return Counter(sent["expected"] for sent in truth.values())


def _body(sent: dict[str, Any]) -> dict[str, Any]:
    """The fields of a valid record as silver types them."""
    record = json.loads(sent["value"], parse_float=Decimal)
    return {item.name: _typed(item, record.get(item.name)) for item in CONTRACTS[sent["topic"]].fields}


def _typed(item: Field, value: Any) -> Any:
    if value is None:
        return None
    if item.kind is Kind.TIME:
        return datetime.fromisoformat(value)
    if item.kind is Kind.MONEY:
        return Decimal(value).quantize(Decimal("0.01"))
    if item.kind is Kind.NUMBER:
        return float(value)
    if item.kind is Kind.LINES:
        return [{part.name: _typed(part, line[part.name]) for part in item.fields} for line in value]
    return value
