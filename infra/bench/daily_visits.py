"""Visits to the shop for the benchmark `daily`: what is viewed and carted in each, as rows of silver, and the sessions that these are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infra.bench import columns as c
from infra.bench import warehouse_data as orders
from infra.bench.warehouse_data import DAY_MICROS, WORLD, Orders, Size, arrived, day_start
from ingestion.hashing import Ints, digit_chars
from ingestion.sessions import TRANSACTIONS_PER_SESSION
from ingestion.vocabulary import DEVICES
from ingestion.world import PRODUCT_COUNT, product_chars, user_chars
from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import COUNTRIES

VISIT_DAYS = 29  # the 28 that marts look at, as of the first night and of the second
# Means of visits by the chain in `ingestion.sessions`: 2.9 views with an order and 2.2 without, where 37% of what is viewed goes into a cart
_MORE_VIEWS_WITH_ORDER, _VIEWS_WITHOUT = 0.87, 2.24
_CARTED_SHARE, _REMOVED_SHARE = 0.37, 0.1
_MOST_VIEWS = 12
_PAUSE = 40_000_000  # microseconds between two steps
_DEVICES = tuple(name for name, _ in DEVICES)
_DAY_SHARE = 23 / 24  # in which visits begin, so that all of a day's have ended before it is taken


@dataclass(frozen=True)
class Visits:
    """What came in on day `number`: first the visits with an order, in the order of `made`, then those without.

    From `look_ids` on, there is one element for each look, in order of visits and time: a view, that may go on to the cart and out again.
    `first` is the number of the first look of each visit.
    """

    number: int
    made: Orders
    ids: Ints
    user: Ints
    country: Ints
    start: Ints
    first: Ints
    look_ids: Ints
    visit: Ints
    product: Ints
    quantity: Ints
    at: Ints
    is_carted: npt.NDArray[np.bool_]
    is_removed: npt.NDArray[np.bool_]

    @property
    def session_id(self) -> npt.NDArray[np.uint8]:
        """Of each visit; with an order, as the order has it."""
        with_order = digit_chars("S", self.made.ids, 9)
        return np.concatenate([with_order, digit_chars("B", self.ids[len(with_order) :], 9)])


def visits(size: Size, number: int) -> Visits:
    made = orders.orders(size, number)
    count, bought = round(size.daily_orders / TRANSACTIONS_PER_SESSION), len(made.ids)
    ids = np.arange(number * count, (number + 1) * count, dtype=np.int64)
    others = ids[bought:]
    lines = np.diff(made.ends)
    looks = np.concatenate([lines + _geometric("more", ids[:bought], _MORE_VIEWS_WITH_ORDER),
                            1 + _geometric("views", others, _VIEWS_WITHOUT - 1)])  # fmt: skip
    first = np.concatenate([[0], np.cumsum(looks)])
    visit = np.repeat(np.arange(count), looks)
    place = np.arange(first[-1]) - first[visit]
    # The last looks of a visit with an order are at what it buys
    line = np.append(made.ends[1:], np.zeros(len(others), np.int64))[visit] - looks[visit] + place
    is_line = (visit < bought) & (place >= (looks - np.append(lines, looks[bought:]))[visit])
    look_ids = ids[visit] * (_MOST_VIEWS * 2) + place
    product = orders.products(size, " viewed", look_ids)
    product[is_line] = made.product[line[is_line]]
    quantity = np.ones(len(visit), np.int64)
    quantity[is_line] = made.quantity[line[is_line]]
    is_carted = is_line | ((visit >= bought) & (c.draw("carted", look_ids) < _CARTED_SHARE))
    slot = (np.arange(len(others)) + c.draw("slot", others)) / max(len(others), 1)
    begun = day_start(number) + (slot * _DAY_SHARE * DAY_MICROS).astype(np.int64)
    start = np.concatenate([made.at - looks[:bought] * 2 * _PAUSE, begun])
    return Visits(
        number=number,
        made=made,
        ids=ids,
        user=np.concatenate([made.user, orders.customers(size, "visitor", others)]),
        country=np.concatenate([made.country, c.code(c.draw("visited from", others), len(COUNTRIES))]),
        start=start,
        first=first[:-1],
        look_ids=look_ids,
        visit=visit,
        product=product,
        quantity=quantity,
        at=start[visit] + place * 2 * _PAUSE,
        is_carted=is_carted,
        is_removed=is_carted & ~is_line & (c.draw("removed", look_ids) < _REMOVED_SHARE),
    )


def _geometric(what: str, ids: Ints, mean: float) -> Ints:
    """0 and more with this mean, and no more than a visit has."""
    many = np.log1p(-c.draw(what, ids)) / np.log(mean / (1 + mean))
    return np.asarray(np.minimum(many.astype(np.int64), _MOST_VIEWS))


def product_views(day: Visits) -> pa.Table:
    """Rows of `silver/product_views`."""
    rows = _visit(day, day.visit) | {
        "timestamp": c.times(day.at),
        "product_id": c.text(product_chars(day.product)),
        "device": c.named(c.code(c.draw("device", day.ids[day.visit]), len(_DEVICES)), _DEVICES),
    }
    return arrived(t.PRODUCT_VIEWS, day.number, day.look_ids, rows)


def cart_events(day: Visits) -> pa.Table:
    """Rows of `silver/cart_events`."""
    look = np.concatenate([np.flatnonzero(day.is_carted), np.flatnonzero(day.is_removed)])
    action = np.repeat([0, 1], [day.is_carted.sum(), day.is_removed.sum()])
    rows = _visit(day, day.visit[look]) | {
        "timestamp": c.times(_changed_at(day, look, action)),
        "cart_id": c.text(digit_chars("C", day.ids[day.visit[look]], 9)),
        "action": c.named(action, ("add", "remove")),
        "product_id": c.text(product_chars(day.product[look])),
        "quantity": pa.array(day.quantity[look], pa.int32()),
        "price": c.money(WORLD.product_cents(day.product[look])),
    }
    return arrived(t.CART_EVENTS, day.number, day.look_ids[look] * 2 + action, rows)


def _changed_at(day: Visits, look: Ints, action: Ints) -> Ints:
    return np.asarray(day.at[look] + _PAUSE * (1 + action) // 2)


def _visit(day: Visits, visit: Ints) -> dict[str, pa.Array]:
    return {
        "user_id": c.text(user_chars(day.user[visit])),
        "session_id": c.text(day.session_id[visit]),
        "country": c.named(day.country[visit], COUNTRIES),
    }


def sessions(day: Visits) -> pa.Table:
    """Rows of `gold/sessions`: each visit is one, closed, in the micro-batch of its day."""
    count, bought = len(day.ids), len(day.made.ids)
    look = np.arange(len(day.visit))
    last = np.maximum(day.at, np.where(day.is_carted, _changed_at(day, look, day.is_removed.astype(np.int64)), 0))
    ended = np.maximum.reduceat(last, day.first)
    ended[:bought] = day.made.at
    revenue = np.zeros(count, np.int64)
    revenue[:bought] = day.made.total
    has_order = np.arange(count) < bought
    owner, product = np.divmod(np.unique(day.visit * PRODUCT_COUNT + day.product), PRODUCT_COUNT)
    kinds = np.bincount(owner, minlength=count)
    changes = np.bincount(day.visit, day.is_carted.astype(np.int64) + day.is_removed, count).astype(np.int64)
    known = np.full(count, day_start(day.number) + DAY_MICROS)
    rows = {
        "started_date": c.times(day.start).cast(pa.date32()),
        "user_id": c.text(user_chars(day.user)),
        "started_at": c.times(day.start),
        "ended_at": c.times(ended),
        "duration_seconds": pa.array((ended - day.start) / 1e6),
        "country": c.named(day.country, COUNTRIES),
        "view_count": pa.array(np.bincount(day.visit, minlength=count)),
        "cart_count": pa.array(changes),
        "order_count": pa.array(has_order.astype(np.int64)),
        "revenue": c.money(revenue),
        "product_count": pa.array(kinds),
        "product_ids": c.lists(
            np.concatenate([[0], np.cumsum(kinds)]),
            c.text(product_chars(product)),
            t.SESSIONS.schema.field("product_ids").type,
        ),
        "entry_kind": c.same(CONTRACTS["product_views"].event_type, count),
        "entry_product_id": c.text(product_chars(day.product[day.first])),
        "entry_topic": c.same("product_views", count),
        "entry_partition": pa.array(np.zeros(count), pa.int32()),
        "entry_offset": pa.array(day.look_ids[day.first]),
        "is_converted": pa.array(has_order),
        "is_open": pa.array(np.zeros(count, np.bool_)),
        "batch_id": pa.array(np.full(count, day.number)),
        "known_at": c.times(known),
        "is_retracted": pa.array(np.zeros(count, np.bool_)),
    }
    return pa.table([rows[name] for name in t.SESSIONS.schema.names], schema=t.SESSIONS.schema)
