"""Where repaired records would end: silver, or again a duplicate or a conflict of what silver has. The rules of `transforms.identity`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow.compute as pc

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS, Contract
from lakehouse.contracts.base import Field, Kind
from lakehouse.quarantine.lake import QuarantineLake

SILVER, DUPLICATES = "silver", "duplicates"
Known = dict[str, dict[str, Any] | None]


def typed(contract: Contract, cleaned: bytes) -> dict[str, Any]:
    """The fields of a record that the judge found right, as silver types them."""
    document = json.loads(cleaned, parse_float=Decimal)
    return {item.name: _typed(item, document.get(item.name)) for item in contract.fields}


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
        return [{part.name: _typed(part, line.get(part.name)) for part in item.fields} for line in value]
    return value


def forecast(lake: QuarantineLake, repaired: Sequence[tuple[str, bytes]]) -> list[str]:
    """For each (topic, cleaned value), in the order of replay: `silver`, `duplicates`, or the ids of the conflict rules.

    Looks at all of silver, also at what lies further back than the stream remembers.
    """
    records = [(CONTRACTS[topic], typed(CONTRACTS[topic], cleaned)) for topic, cleaned in repaired]
    events = _known_events(lake, records)
    orders = _known_orders(lake, records)
    return [_outcome(contract, record, events, orders) for contract, record in records]


def _outcome(contract: Contract, record: dict[str, Any], events: Known, orders: Known) -> str:
    known = [(events, record["event_id"], "event_id", record)]
    if contract.business_id:
        body = {name: value for name, value in record.items() if name != "event_id"}
        known.append((orders, record[contract.business_id], contract.business_id, body))
    conflicts = [name for seen, key, name, body in known if key in seen and seen[key] != body]
    if conflicts:
        return "; ".join(f"conflict.{name}" for name in conflicts)
    if any(key in seen for seen, key, _, _ in known):
        return DUPLICATES
    for seen, key, _, body in known:
        seen[key] = body
    return SILVER


def _known_events(lake: QuarantineLake, records: list[tuple[Contract, dict[str, Any]]]) -> Known:
    """Bodies of the accepted events with one of the records' ids; None for one of a topic that has no such record."""
    ids = sorted({record["event_id"] for _, record in records})
    topics = {contract.topic for contract, _ in records}
    known: Known = {}
    for topic, contract in CONTRACTS.items() if ids else ():
        fields = [item.name for item in contract.fields] if topic in topics else ["event_id"]
        rows = lake.read(t.BY_PATH[f"silver/{topic}"], fields, pc.field("event_id").isin(ids))
        known |= {row["event_id"]: row if topic in topics else None for row in rows.to_pylist()}
    return known


def _known_orders(lake: QuarantineLake, records: list[tuple[Contract, dict[str, Any]]]) -> Known:
    known: Known = {}
    for topic in {contract.topic for contract, _ in records if contract.business_id}:
        contract = CONTRACTS[topic]
        name = str(contract.business_id)
        ids = sorted({record[name] for own, record in records if own is contract})
        fields = [item.name for item in contract.fields if item.name != "event_id"]
        rows = lake.read(t.BY_PATH[f"silver/{topic}"], fields, pc.field(name).isin(ids))
        known |= {row[name]: row for row in rows.to_pylist()}
    return known
