"""Sessions as they happen: what each customer does without a pause above the gap, whatever the order in which it becomes known.

A session is all views, cart events and transactions of one customer, by event time, in which no two neighbours lie more than
GLOBALMART_SESSION_GAP_MINUTES apart; a pause of exactly the gap still belongs to it. It is not the shop's `session_id`.
A late event extends the session that it falls into or near to, or joins two: then the key that is no more gets a retracted
snapshot. A session is open until the watermark is past its end and the gap; closing it is a snapshot too.

In memory are the open sessions and those that ended within GLOBALMART_LIVE_HORIZON_HOURS behind the watermark, fewer where
there are more than GLOBALMART_LIVE_STATE_LIMIT. The neighbours of an event further back are looked up in the lake, so that
any lateness gives the same sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.live import columns as c
from lakehouse.live import session_rows
from lakehouse.live.base import Batch, Lake, Output, newest
from lakehouse.live.chains import Chains
from lakehouse.live.columns import Flags, Ints, Texts
from lakehouse.live.horizon import Horizon
from lakehouse.live.session_rows import COUNTS
from lakehouse.live.state import Lists, Rows, Slots
from lakehouse.settings import Settings
from lakehouse.tables import MOST_SESSION_PRODUCTS, SESSIONS, Table

_MINUTE = 60_000_000


@dataclass(frozen=True)
class Joined:
    """What became of sessions and events: the sessions that an event changed, and the pieces that went into them."""

    rows: Rows
    owner: Ints
    is_used: Flags  # by piece: it is part of a changed session
    is_absorbed: Flags  # by piece: it was a session of its own and its key is no more


def join(pieces: Rows, owner: Ints, is_event: Flags, gap: int) -> Joined:
    """Sessions out of pieces, which are sessions (apart from each other by more than `gap` µs) and events; `owner` numbers the customers."""
    order = np.lexsort((pieces["entry"], pieces["started_at"], owner))
    started, ended, owner = pieces["started_at"][order], pieces["ended_at"][order], owner[order]
    begins = c.run_begins(owner, started, ended, gap)
    starts, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    changed = c.sums(is_event[order].astype(np.int64), starts) > 0
    first = starts[changed]
    is_used, is_absorbed = np.empty(len(order), dtype=bool), np.empty(len(order), dtype=bool)
    is_used[order] = changed[run]
    is_absorbed[order] = changed[run] & ~is_event[order] & (started != started[starts[run]])

    head = order[first]  # the piece with the earliest event
    columns = {
        name: pieces[name][head] for name in ("user_id", "entry", "country", "entry_product_id", "is_open", "after")
    }
    columns["started_at"] = started[first]
    columns["ended_at"] = (np.maximum.reduceat(ended, starts) if len(starts) else starts)[changed]
    columns |= {name: c.sums(pieces[name][order], starts)[changed] for name in COUNTS}
    columns["revenue"] = c.capped_sums(pieces["revenue"][order], starts)[changed]

    session = np.full(len(starts), -1, dtype=np.int64)
    session[changed] = np.arange(len(first))
    of_piece = np.empty(len(order), dtype=np.int64)
    of_piece[order] = session[run]
    rows = Rows(columns, {"products": _distinct(pieces.lists["products"], of_piece, len(first))})
    return Joined(rows, owner[first], is_used, is_absorbed)


def _distinct(products: Lists, session: Ints, count: int) -> Lists:
    """The distinct products of each of `count` sessions, sorted; `session` is that of each list, -1 for none of them.

    Of more than MOST_SESSION_PRODUCTS the first: how many there are up to there does not depend on how they came together.
    """
    session = np.repeat(session, products.lengths)
    wanted = session >= 0
    codes, names = c.coded_objects(products.entries["product_id"][wanted])
    rank = c.ranks(names)
    by_rank = np.empty(len(names), dtype=object)
    by_rank[rank] = names
    pairs = c.distinct(session[wanted] * len(names) + rank[codes])
    session, place = np.divmod(pairs, max(len(names), 1))
    lengths = np.bincount(session, minlength=count)
    kept = np.arange(len(pairs)) - c.offsets(lengths)[:-1][session] < MOST_SESSION_PRODUCTS
    return Lists(np.minimum(lengths, MOST_SESSION_PRODUCTS), {"product_id": by_rank[place[kept]]})


class SessionsView:
    """Keeps `gold/sessions`: a snapshot of each session that a batch opened, changed, closed or joined to another."""

    tables: tuple[Table, ...] = (SESSIONS,)

    def __init__(self, settings: Settings) -> None:
        self._gap = int(settings.session_gap_minutes * _MINUTE)
        self._settings = settings
        self._clear()

    def _clear(self) -> None:
        self._slots = Slots(session_rows.LAYOUT, session_rows.LISTS)
        self._chains = Chains()
        self._horizon = Horizon(self._settings, self._gap)

    def __len__(self) -> int:
        """Sessions in memory."""
        return len(self._slots)

    def load(self, lake: Lake) -> None:
        self._clear()
        self._lake = lake
        self._horizon.follow(lake.watermark)
        ended = lake.read(SESSIONS, ["ended_at"], *self._horizon.since_floor("ended_at"))["ended_at"]
        self._horizon.make_room(c.ints(ended), lake.watermark)
        recent, files = self._horizon.since_floor("ended_at")
        held = session_rows.of_table(newest(lake.read(SESSIONS, SESSIONS.schema.names, recent, files), SESSIONS))
        owner, names = c.coded(pa.array(held["user_id"], pa.string()))
        self._chains.set(names, owner, self._slots.add(held), self._slots.column("after"))

    def apply(self, batch: Batch) -> Output:
        changed, retracted = self._take_in(batch)
        closed = self._close(batch.watermark)
        self._horizon.follow(batch.watermark)
        self._let_go(self._horizon.leaving(self._slots, "ended_at", len(changed)))
        rows = Rows.concat([changed, closed, retracted])
        is_retracted = np.arange(len(rows)) >= len(changed) + len(closed)
        return Output({SESSIONS.path: session_rows.to_table(rows, is_retracted, batch)})

    def _take_in(self, batch: Batch) -> tuple[Rows, Rows]:
        """Add the batch's events; (the sessions they made or changed, those whose key is no more)."""
        events, event_owner, names = session_rows.of_events(batch)
        slot_owner, slots = self._chains.find(names.tolist(), self._slots.column("after"))
        held = self._slots.take(slots)
        names[slot_owner] = held["user_id"]  # one object for each customer's name, however many batches bring it
        events.columns["user_id"] = names[event_owner]
        recalled, recalled_owner = self._recall(events, event_owner, names, held, slot_owner, batch.batch_id)
        pieces = Rows.concat([held, recalled, events])
        owner = np.concatenate([slot_owner, recalled_owner, event_owner])
        is_event = np.arange(len(owner)) >= len(held) + len(recalled)
        joined = join(pieces, owner, is_event, self._gap)
        joined.rows.columns["is_open"] = joined.rows["ended_at"] >= self._closed_before(batch.watermark)

        is_gone = joined.is_used[: len(held)]
        self._slots.remove(slots[is_gone])
        added = self._slots.add(joined.rows)
        self._chains.set(
            names,
            np.concatenate([slot_owner[~is_gone], joined.owner]),
            np.concatenate([slots[~is_gone], added]),
            self._slots.column("after"),
        )
        return joined.rows, pieces.take(joined.is_absorbed)

    def _recall(
        self, events: Rows, event_owner: Ints, names: Texts, held: Rows, held_owner: Ints, batch_id: int
    ) -> tuple[Rows, Ints]:
        """(sessions that memory may no longer hold and that may be neighbours of `events`, their customers' numbers)."""
        is_old = events["started_at"] - self._gap < self._horizon.floor
        at = events["started_at"][is_old]
        if not len(at):
            return held.take(np.empty(0, dtype=np.int64)), np.empty(0, dtype=np.int64)
        first, last = int(at.min()) - self._gap, int(at.max()) + self._gap
        users = c.distinct(event_owner[is_old])
        near = (pc.field("started_at") <= c.time_scalar(last)) & (pc.field("ended_at") >= c.time_scalar(first))
        wanted = near & pc.field("user_id").isin(pa.array(names[users], pa.string()))
        until, since = c.time_of(last), c.time_of(first)
        files = [("started_date", "<=", until.date()), ("started_at", "<=", until), ("ended_at", ">=", since)]
        found = session_rows.of_table(self._lake.so_far(SESSIONS, batch_id, wanted, files))
        numbers = dict(zip(names[users].tolist(), users.tolist(), strict=True))
        owner = np.array([numbers[user] for user in found["user_id"]], dtype=np.int64)
        known = set(zip(held_owner.tolist(), held["started_at"].tolist(), strict=True))
        keys = zip(owner.tolist(), found["started_at"].tolist(), strict=True)
        is_new = np.array([key not in known for key in keys], dtype=bool)
        return found.take(is_new), owner[is_new]

    def _closed_before(self, watermark: datetime | None) -> int:
        """A session that ended before this time is closed (µs)."""
        return c.LONG_AGO if watermark is None else c.micros_of(watermark) - self._gap

    def _close(self, watermark: datetime | None) -> Rows:
        is_over = self._slots.column("is_open") & self._slots.held()
        is_over &= self._slots.column("ended_at") < self._closed_before(watermark)
        slots = np.flatnonzero(is_over)
        self._slots.column("is_open")[slots] = False
        return self._slots.take(slots)

    def _let_go(self, slots: Ints) -> None:
        _, names = c.coded(pa.array(self._slots.column("user_id")[slots], pa.string()))
        after = self._slots.column("after")
        owner, all_slots = self._chains.find(names.tolist(), after)
        stays = ~np.isin(all_slots, slots)
        self._slots.remove(slots)
        self._chains.set(names, owner[stays], all_slots[stays], after)
