"""The view of sessions: whole rows for each awkward case, and the plain oracle after every batch of random disorder."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake
from session_oracle import sessions
from shop_events import (
    Event,
    WrittenLake,
    at,
    batch,
    current,
    random_batches,
    random_events,
    run,
    settings,
    taken,
)

from lakehouse.live.base import Batch, Lake
from lakehouse.live.sessions import SessionsView
from lakehouse.storage import delta_uri
from lakehouse.tables import SESSIONS


def view(user: str, time: str, number: int, product: str = "p1", country: str = "DE") -> Event:
    return Event("product_views", user, at(time), number, ((product, 1, "0"),), country=country)


def order(user: str, time: str, number: int, amount: str = "5.00") -> Event:
    return Event("transactions", user, at(time), number, (("p2", 1, amount),))


def cart(user: str, time: str, number: int) -> Event:
    return Event("cart_events", user, at(time), number, (("p2", 1, "5.00"),), cart="c1")


def said(batches: list[Batch], **changes: Any) -> list[list[tuple[Any, ...]]]:
    """What each batch writes: (start, end, events, open, retracted) by start; times as on the clock."""
    shown = SessionsView(settings(**changes))
    shown.load(WrittenLake())
    outputs = [
        shown.apply(one).rows[SESSIONS.path].sort_by([("user_id", "ascending"), ("started_at", "ascending")])
        for one in batches
    ]
    return [
        [
            (
                f"{row['started_at']:%H:%M:%S}",
                f"{row['ended_at']:%H:%M:%S}",
                row["view_count"] + row["cart_count"] + row["order_count"],
                row["is_open"],
                row["is_retracted"],
            )
            for row in rows.to_pylist()
        ]
        for rows in outputs
    ]


def test_a_session_is_a_row_with_all_that_happened_in_it() -> None:
    events = [
        cart("u", "9:05", 1),
        order("u", "9:10:00.500", 1, "12.34"),
        view("u", "9:00", 7, "p3", "US"),
        view("u", "9:20", 8, "p1"),
    ]
    lake = run(SessionsView(settings()), [batch(4, events, at("9:10"))])
    assert lake.read(SESSIONS, SESSIONS.schema.names).to_pylist() == [
        {
            "started_date": date(2026, 3, 14), "user_id": "u", "started_at": at("9:00"), "ended_at": at("9:20"),
            "duration_seconds": 1200.0, "country": "US", "view_count": 2, "cart_count": 1, "order_count": 1,
            "revenue": Decimal("12.34"), "product_count": 3, "product_ids": ["p1", "p2", "p3"],
            "entry_kind": "product_view", "entry_product_id": "p3", "entry_topic": "product_views",
            "entry_partition": 0, "entry_offset": 7, "is_converted": True, "is_open": True, "batch_id": 4,
            "known_at": batch(4, [], None).started_at, "is_retracted": False,
        }
    ]  # fmt: skip


def test_a_pause_of_exactly_the_gap_belongs_to_the_session_and_a_millisecond_more_does_not() -> None:
    events = [view("u", "9:00", 1), view("u", "9:30", 2), view("u", "10:00:00.001", 3)]
    assert said([batch(0, events, None)]) == [
        [("09:00:00", "09:30:00", 2, True, False), ("10:00:00", "10:00:00", 1, True, False)]
    ]


def test_a_session_closes_when_the_watermark_is_past_its_end_and_the_gap_without_any_event() -> None:
    batches = [
        batch(0, [view("u", "9:00", 1)], at("9:00")),
        batch(1, [], at("9:30")),
        batch(2, [], at("9:30:00.001")),
        batch(3, [], at("12:00")),
    ]
    assert said(batches) == [
        [("09:00:00", "09:00:00", 1, True, False)],
        [],
        [("09:00:00", "09:00:00", 1, False, False)],
        [],
    ]


def test_a_late_event_joins_two_sessions_and_the_later_key_is_retracted() -> None:
    batches = [
        batch(0, [view("u", "9:00", 1), view("u", "9:50", 2)], at("9:55")),
        batch(1, [view("u", "9:25", 3)], at("9:55")),
    ]
    assert said(batches)[1] == [("09:00:00", "09:50:00", 3, True, False), ("09:50:00", "09:50:00", 1, True, True)]


def test_an_earlier_event_moves_the_key_of_a_closed_session_which_stays_closed() -> None:
    batches = [batch(0, [view("u", "9:00", 1)], at("12:00")), batch(1, [view("u", "8:45", 2)], at("12:00"))]
    assert said(batches)[1] == [("08:45:00", "09:00:00", 2, False, False), ("09:00:00", "09:00:00", 1, False, True)]


def test_a_late_event_opens_a_closed_session_again_while_the_watermark_allows() -> None:
    batches = [batch(0, [view("u", "9:00", 1)], at("9:31")), batch(1, [view("u", "9:20", 2)], at("9:31"))]
    assert said(batches) == [[("09:00:00", "09:00:00", 1, False, False)], [("09:00:00", "09:20:00", 2, True, False)]]


def test_of_events_in_the_same_millisecond_the_first_by_topic_partition_and_offset_gives_country_and_entry() -> None:
    tied = [view("u", "9:00", 1, "p1", "DE"), view("u", "9:00", 0, "p9", "IN"), order("u", "9:00", 0)]
    for events in (tied, tied[::-1]):
        lake = run(SessionsView(settings()), [batch(n, [event], None) for n, event in enumerate(events)])
        (row,) = current(lake, SESSIONS)
        assert (row["country"], row["entry_product_id"], row["entry_offset"]) == ("IN", "p9", 0)


def test_users_whose_names_need_more_than_ascii_keep_them() -> None:
    lake = run(SessionsView(settings()), [batch(0, [view("ü|😀", "9:00", 1, "päck"), view(" ", "9:00", 2)], None)])
    assert [(row["user_id"], row["product_ids"]) for row in current(lake, SESSIONS)] == [
        (" ", ["p1"]),
        ("ü|😀", ["päck"]),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_after_every_batch_of_late_and_disordered_events_the_table_holds_what_the_oracle_finds(seed: int) -> None:
    rng = random.Random(seed)
    chosen = settings(live_horizon_hours=rng.choice((0.01, 1, 24, 72)))
    lake, shown, seen = WrittenLake(), SessionsView(chosen), []
    shown.load(lake)
    events = random_events(rng, 100, rng.choice((0.2, 2, 6)))
    for one in random_batches(rng, events):
        lake.add(shown.apply(one), one.watermark)
        seen += taken(one, events)
        if rng.random() < 0.3:
            assert current(lake, SESSIONS) == sessions(seen, one.watermark)
        if rng.random() < 0.1:  # a restart
            shown = SessionsView(chosen)
            shown.load(lake)
    assert len(seen) == len(events)
    assert current(lake, SESSIONS) == sessions(seen, lake.watermark)


def test_a_restarted_view_writes_the_same_rows_as_one_that_went_on() -> None:
    rng = random.Random(5)
    batches = random_batches(rng, random_events(rng, 80, 3))
    lake, steady = WrittenLake(), SessionsView(settings(live_horizon_hours=12))
    steady.load(lake)
    for one in batches:
        restarted = SessionsView(settings(live_horizon_hours=12))
        restarted.load(lake)
        again, output = restarted.apply(one), steady.apply(one)
        key = [("user_id", "ascending"), ("started_at", "ascending")]
        assert again.rows[SESSIONS.path].sort_by(key).equals(output.rows[SESSIONS.path].sort_by(key))
        lake.add(output, one.watermark)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_memory_keeps_to_the_limit_and_what_left_it_is_found_again(is_restarted: bool) -> None:
    first = [view(f"u{n:05d}", f"9:00:00.{n % 1000:03d}", n) for n in range(3_000)]
    late = [view(f"u{n:05d}", "9:10", 3_000 + n) for n in range(0, 3_000, 100)]
    chosen = settings(live_state_limit=1_000)
    shown, lake = SessionsView(chosen), WrittenLake()
    shown.load(lake)
    for number, events in enumerate((first, [], [], [], late)):
        one = batch(number, events, at("9:50"))
        lake.add(shown.apply(one), one.watermark)
        if is_restarted:
            shown = SessionsView(chosen)
            shown.load(lake)
    assert len(shown) <= 1_000
    assert current(lake, SESSIONS) == sessions([*first, *late], at("9:50"))


def test_events_four_days_late_after_a_restart_find_their_neighbours_in_a_real_delta_table(tmp_path: Any) -> None:
    chosen = settings(lake_uri=tmp_path.as_uri(), live_horizon_hours=24)
    DeltaTable.create(delta_uri(chosen, SESSIONS), SESSIONS.schema, partition_by=list(SESSIONS.partition_by))
    events = [
        view("u", "23:50", 1),
        view("u", "+1d 0:30", 2),
        view("w", "+1d 0:30", 3),
        view("u", "+5d 9:00", 4),
        view("u", "+1d 0:10", 5),
    ]
    shown, version, watermark = SessionsView(chosen), 0, None
    for number, (event, mark) in enumerate(zip(events, (*[at("+1d 0:30")] * 3, *[at("+5d 9:00")] * 2), strict=True)):
        shown = SessionsView(chosen)
        shown.load(Lake(chosen, {SESSIONS.path: version}, watermark))
        one = batch(number, [event], mark)
        write_deltalake(delta_uri(chosen, SESSIONS), shown.apply(one).rows[SESSIONS.path], mode="append")
        version, watermark = version + 1, mark
    assert len(shown) == 1
    assert current(Lake(chosen, {SESSIONS.path: version}), SESSIONS) == sessions(events, at("+5d 9:00"))


def test_without_a_watermark_all_is_open_and_one_long_past_closes_nothing() -> None:
    long_past = at("9:00") - timedelta(days=400)
    lake = run(
        SessionsView(settings()), [batch(0, [view("u", "9:00", 1)], None), batch(1, [view("w", "9:05", 2)], long_past)]
    )
    assert [(row["user_id"], row["is_open"]) for row in current(lake, SESSIONS)] == [("u", True), ("w", True)]
