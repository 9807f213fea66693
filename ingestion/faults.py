"""Injected faults: duplicates, conflicts, lateness, clock skew, broken and odd records. Each has a label for the truth ledger.

A label says where the record must end and why; it never shows in the record. One record has one fault at most.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import orjson

from ingestion.anomalies import KINDS, ORDERS_PER_ANOMALY, Anomalies
from ingestion.events import CART_EVENT, INVENTORY_EVENT, PRODUCT_VIEW, TRANSACTION
from ingestion.hashing import Ints, key64, uuid_texts
from ingestion.incidents import BROKEN_SHARE, Incident, any_holds
from ingestion.labels import Label
from ingestion.records import Records, time_texts
from ingestion.shares import Shares
from ingestion.struck import Struck, change_body
from ingestion.violations import Document, encode, malformed, violations
from ingestion.world import World

_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE
_VISITOR_KINDS = (TRANSACTION, PRODUCT_VIEW, CART_EVENT, INVENTORY_EVENT)
_ID_BLOCK = 1_000


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
    """Adds faults to the records of one run, deterministically: the same records in the same blocks get the same faults.

    `world` is what anomalies are made of; a share of anomalies needs it. `end_ms` is where the run's event time ends.
    `releases` are bad ones of the shop's front end: while one lasts, many of its records break.
    """

    def __init__(
        self,
        shares: Shares,
        run_key: int,
        live: bool,
        world: World | None = None,
        end_ms: int = 2**62,
        releases: tuple[Incident, ...] = (),
    ) -> None:
        self._shares = shares
        self._releases = releases
        self._release_rng = np.random.Generator(np.random.Philox(key=[run_key, key64("releases")]))
        self._run_key = run_key
        self._live = live
        self._rng = np.random.Generator(np.random.Philox(key=[run_key, key64("faults")]))
        self._waiting: list[_Extra] = []
        self._order = 0
        self._turns: Counter[tuple[str, int]] = Counter()
        self._odd_share = shares.anomalies / ORDERS_PER_ANOMALY
        self._anomalies = Anomalies(world, self._rng, live, end_ms, self._fresh) if world and shares.anomalies else None
        self._ids: list[str] = []
        self._id_block = 0
        self.counts: Counter[str] = Counter()
        names = ("duplicates", "conflicts", "late", "skew", "malformed", "violations", "extra_fields")
        self._edges = np.cumsum([getattr(shares, name) for name in names])
        self._strikes: tuple[Callable[[Struck], Label | None], ...] = (
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
        if size and (self._edges[-1] or self._odd_share):
            draws = self._rng.random(size)
            struck = np.searchsorted(self._edges, draws, side="right")
            is_order = np.array(records.kinds) == TRANSACTION
            odd = is_order & (struck == len(self._strikes)) & (draws > 1 - self._odd_share)
            for place in np.flatnonzero((struck < len(self._strikes)) | odd).tolist():
                strike = self._anomaly if odd[place] else self._strikes[struck[place]]
                label = strike(Struck(records, place, int(arrival[place])))
                if label is not None:
                    labels[place] = label
                    self.counts[label.fault or "original"] += 1
        if size and self._releases:
            labels |= self._break(records, arrival, labels)
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

    def _duplicate(self, struck: Struck) -> Label:
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

    def _conflict(self, struck: Struck) -> Label:
        document = struck.document()
        change_body(struck.kind, document)
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

    def _late(self, struck: Struck) -> Label | None:
        if struck.kind not in _VISITOR_KINDS:
            return None
        behind = math.exp(self._rng.uniform(math.log(12 * _MINUTE), math.log(4 * _DAY)))
        return self._retime(struck, "late", -int(behind))

    def _skew(self, struck: Struck) -> Label | None:
        if struck.kind not in _VISITOR_KINDS:
            return None
        if self._turn("skew", 0, 2):
            return self._retime(struck, "skew:beyond", int(self._rng.uniform(15, 180) * _MINUTE))
        return self._retime(struck, "skew:within", int(self._rng.uniform(-8, 8) * _MINUTE))

    def _malformed(self, struck: Struck) -> None:
        ways = list(malformed(self._fresh(struck)))
        name, value, code = ways[self._turn("malformed", 0, len(ways))]
        self._add(struck, value, Label(f"malformed:{name}", "quarantine", (code,)))

    def _violate(self, struck: Struck) -> None:
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

    def _extra_field(self, struck: Struck) -> Label:
        extras = (
            b'"campaign":"spring"',
            b'"experiment":{"name":"b","weights":[0.5,0.125]}',
            b'"referrer":null',
            b'"score":0.12345',
        )
        struck.value = struck.value[:-1] + b"," + extras[self._turn("extra_field", struck.kind, len(extras))] + b"}"
        return Label("extra_field", "silver", (), struck.event_id, None, struck.at_ms)

    def _anomaly(self, struck: Struck) -> Label | None:
        if self._anomalies is None:
            raise ValueError("anomalies need a world")
        label, added = self._anomalies.strike(KINDS[self._turn("anomaly", 0, len(KINDS))], struck)
        for one in added:
            self._add(one.of, one.value, one.label, one.delay_ms)
        return label

    def _break(self, records: Records, arrival: Ints, struck: dict[int, Label]) -> dict[int, Label]:
        """What a bad release does to the front end's records: a renamed field, or a text that is cut off."""
        is_front = np.isin(records.kinds, (PRODUCT_VIEW, CART_EVENT)) & any_holds(self._releases, arrival)
        is_front[list(struck)] = False
        is_hit = is_front & (self._release_rng.random(len(records)) < BROKEN_SHARE)
        labels = {}
        for place in np.flatnonzero(is_hit).tolist():
            one = Struck(records, place, int(arrival[place]))
            if self._turn("bad_release", 0, 3) == 2:
                label = Label("bad_release:not_json", "quarantine", ("not_json",))
                one.value = one.value[: len(one.value) // 2]
            else:
                code = "missing.session_id"
                label = Label(f"bad_release:{code}", "quarantine", (code,), one.event_id, None, one.at_ms)
                one.value = one.value.replace(b'"session_id":', b'"sessionId":', 1)
            labels[place] = label
            self.counts[label.fault or "original"] += 1
        return labels

    # ---- helpers -------------------------------------------------------------------------------------------------

    def _retime(self, struck: Struck, fault: str, shift_ms: int) -> Label:
        at_ms = struck.at_ms + shift_ms
        place = struck.value.index(b'"timestamp":"') + 13
        text = time_texts(np.array([at_ms]))[0].encode()
        struck.value = struck.value[:place] + text + struck.value[place + len(text) :]
        return Label(fault, "silver", (), struck.event_id, None, at_ms)

    def _fresh(self, struck: Struck) -> Document:
        """The struck record as another event: ids of its own, so that the good one stays first of its kind."""
        document = struck.document()
        document["event_id"] = self._new_id()
        if struck.kind == TRANSACTION:
            document["transaction_id"] = self._new_id()
        return document

    def _add(self, struck: Struck, value: bytes | None, label: Label, delay_ms: int = 0) -> None:
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
