"""Injected faults: duplicates, conflicts, lateness, clock skew, broken and odd records. Each has a label for the truth ledger.

A label says where the record must end and why; it never shows in the record. One record has one fault at most.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import orjson

from ingestion.events import CART_EVENT, INVENTORY_EVENT, PRODUCT_VIEW, TRANSACTION, USER
from ingestion.hashing import Ints, key64, uuid_texts
from ingestion.records import EVENT_ID_PLACE, Records, money_text, time_texts
from ingestion.violations import Document, encode, malformed, raw, violations
from lakehouse.errors import GlobalMartError

Expected = Literal["silver", "quarantine", "duplicates"]

_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE
_VISITOR_KINDS = (TRANSACTION, PRODUCT_VIEW, CART_EVENT, INVENTORY_EVENT)
_BURST_SIZE = 8
_BURST_GAP_MS = 2_000
_ID_BLOCK = 1_000


class FaultShareError(GlobalMartError):
    """The fault shares asked for make no sense."""


@dataclass(frozen=True)
class Shares:
    """Share of records, 0 to 1, that each fault strikes; `anomalies` is a share of transactions. They add up to 1 at most."""

    duplicates: float = 0.0
    conflicts: float = 0.0
    late: float = 0.0
    skew: float = 0.0
    malformed: float = 0.0
    violations: float = 0.0
    extra_fields: float = 0.0
    anomalies: float = 0.0

    def __post_init__(self) -> None:
        """Raises FaultShareError."""
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise FaultShareError(
                    f"--{field.name.replace('_', '-')} is {share:g}; a share lies between 0 and 1, as in 0.01 for one record in a hundred."
                )
        total = sum(getattr(self, field.name) for field in fields(self))
        if total > 1 + 1e-9:
            raise FaultShareError(
                f"The fault shares add up to {total:g}; together they may be 1 at most, as a record has one fault."
            )


@dataclass(frozen=True)
class Label:
    """What the truth ledger knows of one record. `at_ms` is its event time where that can be read; the broker's time then
    decides whether it lies in the future. `codes` are sorted."""

    fault: str | None
    expected: Expected = "silver"
    codes: tuple[str, ...] = ()
    event_id: str | None = None
    of_event_id: str | None = None
    at_ms: int | None = None

    def judged(self, kafka_ms: int, future_ms: int = 10 * _MINUTE, too_old_ms: int | None = None) -> Label:
        """The label once the broker's time is known. A contract broken by time comes before being a duplicate."""
        if self.at_ms is None:
            return self
        broken = []
        if self.at_ms - kafka_ms > future_ms:
            broken.append("future.timestamp")
        if too_old_ms is not None and kafka_ms - self.at_ms > too_old_ms:
            broken.append("too_old.timestamp")
        if not broken:
            return self
        kept = [code for code in self.codes if not code.startswith("conflict.")]
        return replace(self, expected="quarantine", codes=tuple(sorted({*kept, *broken})))


@dataclass(frozen=True)
class _Extra:
    """A record beside the ordinary ones, to be sent when the stream reaches `due_ms`."""

    due_ms: int
    order: int
    kind: int
    partition: int
    key: bytes
    value: bytes | None
    label: Label

    def __lt__(self, other: _Extra) -> bool:
        return (self.due_ms, self.order) < (other.due_ms, other.order)


class Injector:
    """Adds faults to the records of one run, deterministically: the same records in the same blocks get the same faults."""

    def __init__(self, shares: Shares, run_key: int, live: bool) -> None:
        self._shares = shares
        self._run_key = run_key
        self._live = live
        self._rng = np.random.Generator(np.random.Philox(key=[run_key, key64("faults")]))
        self._waiting: list[_Extra] = []
        self._order = 0
        self._turns: Counter[tuple[str, int]] = Counter()
        self._ids: list[str] = []
        self._id_block = 0
        self.counts: Counter[str] = Counter()
        names = ("duplicates", "conflicts", "late", "skew", "malformed", "violations", "extra_fields")
        self._edges = np.cumsum([getattr(shares, name) for name in names])
        self._strikes: tuple[Callable[[_Struck], Label | None], ...] = (
            self._duplicate,
            self._conflict,
            self._late,
            self._skew,
            self._malformed,
            self._violate,
            self._extra_field,
        )

    def inject(self, records: Records, arrival: Ints) -> tuple[Records, dict[int, Label]]:
        """`records` with faults, and the labels of the struck ones by place. `arrival` (ms) orders the stream: what was held
        back comes in where its time has come."""
        labels: dict[int, Label] = {}
        size = len(records)
        if size and (self._edges[-1] or self._shares.anomalies):
            draws = self._rng.random(size)
            struck = np.searchsorted(self._edges, draws, side="right")
            is_order = np.array(records.kinds) == TRANSACTION
            odd = is_order & (struck == len(self._strikes)) & (draws > 1 - self._shares.anomalies)
            for place in np.flatnonzero((struck < len(self._strikes)) | odd).tolist():
                strike = self._anomaly if odd[place] else self._strikes[struck[place]]
                label = strike(_Struck(records, place, int(arrival[place])))
                if label is not None:
                    labels[place] = label
                    self.counts[label.fault or "original"] += 1
        due = int(arrival[-1]) if size else 0
        extras = []
        while self._waiting and self._waiting[0].due_ms <= due:
            extras.append(heapq.heappop(self._waiting))
        return self._merge(records, arrival, labels, extras)

    def rest(self) -> tuple[Records, dict[int, Label]]:
        """What is still held back at the end of the run."""
        extras = [heapq.heappop(self._waiting) for _ in range(len(self._waiting))]
        return self._merge(Records([], [], [], []), np.empty(0, dtype=np.int64), {}, extras)

    def _merge(
        self, records: Records, arrival: Ints, labels: dict[int, Label], extras: list[_Extra]
    ) -> tuple[Records, dict[int, Label]]:
        if not extras:
            return records, labels
        places = np.searchsorted(arrival, [extra.due_ms for extra in extras], side="right").tolist()
        merged, done = Records([], [], [], []), 0
        moved: dict[int, Label] = {}
        for extra, place in zip([*extras, None], [*places, len(records)], strict=True):
            shift = len(merged) - done
            moved |= {index + shift: labels[index] for index in range(done, place) if index in labels}
            merged.kinds += records.kinds[done:place]
            merged.partitions += records.partitions[done:place]
            merged.keys += records.keys[done:place]
            merged.values += records.values[done:place]
            done = place
            if extra is not None:
                moved[len(merged)] = extra.label
                merged.kinds.append(extra.kind)
                merged.partitions.append(extra.partition)
                merged.keys.append(extra.key)
                merged.values.append(extra.value)
                self.counts[extra.label.fault or "original"] += 1
        return merged, moved

    # ---- the faults: each changes the struck record or adds one, and returns the label of the struck one ----------

    def _duplicate(self, struck: _Struck) -> Label:
        event_id = struck.event_id
        way = self._turn("duplicate", struck.kind, 4 if struck.kind == TRANSACTION else 3)
        if way == 3:
            copy = {**struck.document(), "event_id": self._new_id()}
            fault, value, copy_id = "duplicate:transaction_id", encode(copy), str(copy["event_id"])
        elif way == 2:
            backwards = dict(reversed(struck.document().items()))
            fault, value, copy_id = "duplicate:rewritten", orjson.dumps(backwards, option=orjson.OPT_INDENT_2), event_id
        else:
            fault, value, copy_id = "duplicate", struck.value, event_id
        self._add(struck, value, Label(fault, "duplicates", (), copy_id, event_id, struck.at_ms), self._delay())
        return struck.original()

    def _conflict(self, struck: _Struck) -> Label:
        document = struck.document()
        _change_body(struck.kind, document)
        which = "event_id"
        if struck.kind == TRANSACTION:
            if self._turn("conflict", struck.kind, 2):
                which, document["event_id"] = "transaction_id", self._new_id()
            else:
                document["transaction_id"] = self._new_id()
        label = Label(
            f"conflict:{which}",
            "quarantine",
            (f"conflict.{which}",),
            str(document["event_id"]),
            struck.event_id,
            struck.at_ms,
        )
        self._add(struck, encode(document), label, self._delay())
        return struck.original()

    def _late(self, struck: _Struck) -> Label | None:
        if struck.kind not in _VISITOR_KINDS:
            return None
        behind = math.exp(self._rng.uniform(math.log(12 * _MINUTE), math.log(4 * _DAY)))
        return self._retime(struck, "late", -int(behind))

    def _skew(self, struck: _Struck) -> Label | None:
        if struck.kind not in _VISITOR_KINDS:
            return None
        if self._turn("skew", 0, 2):
            return self._retime(struck, "skew:beyond", int(self._rng.uniform(15, 180) * _MINUTE))
        return self._retime(struck, "skew:within", int(self._rng.uniform(-8, 8) * _MINUTE))

    def _malformed(self, struck: _Struck) -> None:
        ways = list(malformed(self._fresh(struck)))
        name, value, code = ways[self._turn("malformed", 0, len(ways))]
        self._add(struck, value, Label(f"malformed:{name}", "quarantine", (code,)))

    def _violate(self, struck: _Struck) -> None:
        ways = violations(struck.kind)
        way = ways[self._turn("violation", struck.kind, len(ways))]
        document = self._fresh(struck)
        way.change(document)
        event_id = document.get("event_id")
        label = Label(
            f"violation:{way.code}",
            "quarantine",
            (way.code,),
            event_id if isinstance(event_id, str) else None,
            None,
            struck.at_ms if way.keeps_time else None,
        )
        self._add(struck, encode(document), label)

    def _extra_field(self, struck: _Struck) -> Label:
        extras = (
            b'"campaign":"spring"',
            b'"experiment":{"name":"b","weights":[0.5,0.125]}',
            b'"referrer":null',
            b'"score":0.12345',
        )
        struck.value = struck.value[:-1] + b"," + extras[self._turn("extra_field", struck.kind, len(extras))] + b"}"
        return Label("extra_field", "silver", (), struck.event_id, None, struck.at_ms)

    def _anomaly(self, struck: _Struck) -> Label:
        kinds = ("huge_amount", "bulk_quantity", "wrong_price", "burst")
        kind = kinds[self._turn("anomaly", 0, len(kinds))]
        label = Label(f"anomaly:{kind}", "silver", (), struck.event_id, None, struck.at_ms)
        if kind == "burst":
            for step in range(1, _BURST_SIZE + 1):
                copy = self._fresh(struck)
                copy.pop("cart_id", None)
                at_ms = struck.at_ms + step * _BURST_GAP_MS
                copy["timestamp"] = time_texts(np.array([at_ms]))[0]
                again = replace(label, event_id=str(copy["event_id"]), at_ms=at_ms)
                self._add(struck, encode(copy), again, step * _BURST_GAP_MS)
            return label
        document = struck.document()
        _distort(kind, document)
        struck.value = encode(document)
        return label

    # ---- helpers -------------------------------------------------------------------------------------------------

    def _retime(self, struck: _Struck, fault: str, shift_ms: int) -> Label:
        at_ms = struck.at_ms + shift_ms
        place = struck.value.index(b'"timestamp":"') + 13
        text = time_texts(np.array([at_ms]))[0].encode()
        struck.value = struck.value[:place] + text + struck.value[place + len(text) :]
        return Label(fault, "silver", (), struck.event_id, None, at_ms)

    def _fresh(self, struck: _Struck) -> Document:
        """The struck record as another event: ids of its own, so that the good one stays first of its kind."""
        document = struck.document()
        document["event_id"] = self._new_id()
        if struck.kind == TRANSACTION:
            document["transaction_id"] = self._new_id()
        return document

    def _add(self, struck: _Struck, value: bytes | None, label: Label, delay_ms: int = 0) -> None:
        self._order += 1
        due = struck.arrival_ms + delay_ms
        records, place = struck.records, struck.place
        extra = _Extra(due, self._order, struck.kind, records.partitions[place], records.keys[place], value, label)
        heapq.heappush(self._waiting, extra)

    def _delay(self) -> int:
        """How much later a copy comes: moments to two days in history, moments to half a minute live."""
        longest = 30_000 if self._live else 2 * _DAY
        return int(math.exp(self._rng.uniform(math.log(10), math.log(longest))))

    def _turn(self, fault: str, kind: int, ways: int) -> int:
        """The ways of a fault take turns, so that a short run meets each."""
        turn = self._turns[fault, kind]
        self._turns[fault, kind] += 1
        return turn % ways

    def _new_id(self) -> str:
        if not self._ids:
            first = self._id_block * _ID_BLOCK
            self._ids = uuid_texts(key64(self._run_key, "injected"), np.arange(first, first + _ID_BLOCK))
            self._id_block += 1
        return self._ids.pop()


@dataclass
class _Struck:
    """One ordinary record that a fault strikes."""

    records: Records
    place: int
    arrival_ms: int

    @property
    def kind(self) -> int:
        return self.records.kinds[self.place]

    @property
    def value(self) -> bytes:
        value = self.records.values[self.place]
        assert value is not None  # noqa: S101  an ordinary record has a value
        return value

    @value.setter
    def value(self, value: bytes) -> None:
        self.records.values[self.place] = value

    @property
    def event_id(self) -> str:
        return self.value[EVENT_ID_PLACE].decode()

    @property
    def at_ms(self) -> int:
        return int(np.datetime64(str(self.document()["timestamp"])[:-1], "ms").astype(np.int64))

    def document(self) -> Document:
        document: Document = orjson.loads(self.value)
        return document

    def original(self) -> Label:
        return Label(None, "silver", (), self.event_id, None, self.at_ms)


def _change_body(kind: int, document: Document) -> None:
    """Another body for the same id, still within the contract."""
    if kind == TRANSACTION:
        document["payment_method"] = "paypal" if document["payment_method"] != "paypal" else "gift_card"
    elif kind == PRODUCT_VIEW:
        document["device"] = "tablet" if document["device"] != "tablet" else "mobile"
    elif kind == CART_EVENT:
        document["quantity"] += 1
    elif kind == INVENTORY_EVENT:
        document["change"] += 1
    elif kind == USER:
        document["age"] += 1
    else:
        document["inventory"] += 1


def _distort(kind: str, document: Document) -> None:
    """Make an order odd but valid: lines changed and the sum with them."""
    line = document["products"][0]
    cents = round(line["price"] * 100)
    if kind == "huge_amount":
        cents = max(cents, 50_000)
        line["quantity"] = 80
    elif kind == "bulk_quantity":
        line["quantity"] = 500
    else:
        cents = max(1, cents // 100)
    line["price"] = cents / 100
    total = sum(round(item["price"] * 100) * item["quantity"] for item in document["products"])
    for item in document["products"]:
        item["price"] = raw(money_text(round(item["price"] * 100)))
    document["total_amount"] = raw(money_text(total))
