"""What the real-time lane raised and the durable path does not find is withdrawn. Pure: what is heard goes in, what is due comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from lakehouse.findings import Finding
from lakehouse.live.anomalies.rules import PRICE_MISMATCH, STATELESS
from lakehouse.live.price_book import PriceBook, dollars

_KINDS = {rule.kind for rule in STATELESS}


class Claims:
    """Findings of the real-time lane that nobody has settled yet, by id; `settled` are the ids that are done with.

    Memory: 32 characters an id, for the findings since the process began. Their number is that of anomalies, not of events.
    """

    def __init__(self) -> None:
        self.open: dict[str, Finding] = {}
        self.settled: set[str] = set()

    def hear(self, value: bytes | None) -> None:
        """A message of the topic `detections`; what is no finding of these kinds is passed by."""
        finding = _read(value)
        if finding is None:
            return
        if finding.verdict != "raised":
            self.settle([finding.finding_id])
        elif finding.lane == "realtime" and finding.finding_id not in self.settled:
            self.open[finding.finding_id] = finding

    def due(self, next_offsets: Mapping[str, int]) -> list[Finding]:
        """Open claims about records that the durable path has committed: it has had its say on them."""
        return [claim for claim in self.open.values() if _is_below(claim.evidence["record"], next_offsets)]

    def settle(self, finding_ids: Iterable[str]) -> None:
        for finding_id in finding_ids:
            self.settled.add(finding_id)
            self.open.pop(finding_id, None)


def retraction(claim: Finding, prices: PriceBook, at: datetime) -> Finding:
    """The durable path's word against `claim`, said at `at`: the same id, with the catalogue's prices at event time beside those of the lane."""
    evidence = dict(claim.evidence)
    reason = "The order is usual by the catalogue of its time or for its customer, or the record was refused."
    if claim.kind == PRICE_MISMATCH.kind:
        evidence["lines"] = [_with_price_then(line, prices, claim.event_at) for line in evidence["lines"]]
        if any(line["catalogue_price_at_event"] != line["catalogue_price"] for line in evidence["lines"]):
            reason = "The catalogue has another price for the time of the order than the real-time lane went by."
        else:
            reason = "The record was refused or repeats another."
    return replace(
        claim,
        verdict="retracted",
        lane="durable",
        detected_at=at,
        title=f"Withdrawn: {claim.title}",
        detail=f"{reason} Withdrawn: {claim.detail}",
        evidence=evidence,
    )


def priced_products(claims: Iterable[Finding]) -> set[str]:
    """The products whose prices through time `retraction` asks for."""
    return {
        line["product_id"] for claim in claims if claim.kind == PRICE_MISMATCH.kind for line in claim.evidence["lines"]
    }


def _with_price_then(line: dict[str, Any], prices: PriceBook, at: datetime) -> dict[str, Any]:
    listing = prices.listing(line["product_id"], at)
    return line | {"catalogue_price_at_event": None if listing is None else dollars(listing.cents)}


def _is_below(record: Mapping[str, Any], next_offsets: Mapping[str, int]) -> bool:
    return bool(record["offset"] < next_offsets.get(f"{record['topic']}/{record['partition']}", 0))


def _read(value: bytes | None) -> Finding | None:
    """The finding in a message; None where it is another kind's, or nobody's."""
    try:
        body = orjson.loads(value or b"")
        if body["kind"] not in _KINDS:
            return None
        times = {name: datetime.fromisoformat(body[name]) for name in ("event_at", "detected_at")}
        finding = Finding(**(body | times))
        return finding if finding.verdict != "raised" or "record" in finding.evidence else None
    except (ValueError, TypeError, KeyError):
        return None
