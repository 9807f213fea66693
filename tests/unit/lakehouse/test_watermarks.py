"""Watermarks trail event time, never go back, and are moved by marks once everything before a mark is in."""

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.transforms.watermarks import MOST_SKEW, Mark, advanced, marked, read_mark, shop_watermark

DELAY = timedelta(minutes=10)
CLOSING = timedelta(minutes=31)


def at(hour, minute=0):
    return datetime(2026, 3, 14, hour, minute, tzinfo=UTC)


def test_watermarks_trail_and_never_go_back():
    assert advanced({}, {"users": at(10)}, DELAY) == {"users": at(9, 50)}
    assert advanced({"users": at(10)}, {"users": at(9)}, DELAY) == {"users": at(10)}


def test_an_idle_mark_moves_all_topics_to_live_time_less_the_delay():
    idle = Mark("idle", at(12), {})
    moved, waiting = marked({"users": at(9), "transactions": at(11, 55)}, [idle], {}, DELAY, CLOSING)
    assert moved == {"users": at(11, 50), "transactions": at(11, 55)}
    assert waiting == []


def test_the_end_of_an_old_history_moves_no_further_than_closing_needs():
    end = Mark("end", at(12), {}, at(9))
    assert marked({"users": at(8)}, [end], {}, DELAY, CLOSING)[0] == {"users": at(9, 31)}


def test_the_end_of_a_history_up_to_now_does_not_run_ahead_of_live_time():
    end = Mark("end", at(12), {}, at(11, 59))
    assert marked({"users": at(11)}, [end], {}, DELAY, CLOSING)[0] == {"users": at(11, 50)}


def test_a_mark_waits_until_all_that_was_sent_before_it_is_in():
    end = Mark("end", at(12), {"users/0": 5, "users/1": 2}, at(9))
    before = {"users": at(8)}
    assert marked(before, [end], {"users/0": 5, "users/1": 1}, DELAY, CLOSING) == (before, [end])
    assert marked(before, [end], {"users/0": 6, "users/1": 2}, DELAY, CLOSING)[1] == []


def test_a_mark_survives_the_ledger():
    mark = Mark("end", at(12), {"users/0": 5}, at(9))
    assert read_mark(mark.to_json()) == mark


@pytest.mark.parametrize(
    "value", [None, b"", b"nonsense", b"[]", b'{"kind":"end"}', b'{"kind":"end","next_offsets":{"a":"x"}}']
)
def test_a_stray_record_is_no_mark(value):
    assert read_mark(value, at(12)) is None


def test_the_slowest_session_topic_leads_within_the_skew():
    assert shop_watermark({}) is None
    assert shop_watermark({"users": at(12)}) is None
    assert shop_watermark({"transactions": at(9, 50), "product_views": at(10)}) == at(9, 50)
    assert shop_watermark({"transactions": at(8), "product_views": at(10)}) == at(10) - MOST_SKEW
