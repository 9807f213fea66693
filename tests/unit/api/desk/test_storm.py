"""Token bucket, digest and backoff: bounded notices, everything told of, times as parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.desk.backoff import delay
from api.desk.outbox import digest
from api.desk.storm import Bucket, next_step

AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def test_a_bucket_fills_by_the_minute_up_to_its_burst() -> None:
    bucket = Bucket(0, AT)
    assert bucket.refilled(AT + timedelta(seconds=10), per_minute=30, burst=10) == Bucket(5, AT + timedelta(seconds=10))
    assert bucket.refilled(AT + timedelta(hours=1), per_minute=30, burst=10).tokens == 10
    assert (
        bucket.refilled(AT - timedelta(hours=1), per_minute=30, burst=10).tokens == 0
    )  # a clock set back gives nothing


def test_an_empty_bucket_waits_for_one_token() -> None:
    assert Bucket(0.25, AT).wait(per_minute=30) == timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("tokens", "is_alone", "is_digest", "step"),
    [
        (0.9, True, False, "wait"),
        (0.9, False, True, "wait"),
        (1, True, False, "send"),
        (1, False, True, "send"),
        (1.9, False, False, "group"),
        (2, False, False, "send"),
    ],
)
def test_the_last_token_is_for_a_digest(tokens: float, is_alone: bool, is_digest: bool, step: str) -> None:
    assert next_step(tokens, is_alone, is_digest) == step


@given(
    arrivals=st.lists(st.integers(0, 400), min_size=1, max_size=60),
    per_minute=st.integers(1, 120),
    burst=st.integers(2, 30),
)
def test_any_storm_gives_bounded_notices_and_tells_of_everything(
    arrivals: list[int], per_minute: int, burst: int
) -> None:
    """`arrivals` per second; then silence until nothing waits."""
    bucket, now = Bucket(burst, AT), AT
    waiting, digest_size, told, sent = 0, 0, 0, 0
    total, arrivals = sum(arrivals), list(arrivals)
    while arrivals or waiting or digest_size:
        waiting += arrivals.pop(0) if arrivals else 0
        bucket = bucket.refilled(now, per_minute, burst)
        while waiting or digest_size:
            step = next_step(bucket.tokens, waiting + bool(digest_size) == 1, bool(digest_size))
            if step == "wait":
                break
            if step == "group":
                waiting, digest_size = 0, waiting
                continue
            told += digest_size or 1
            waiting -= 0 if digest_size else 1
            digest_size, sent, bucket = 0, sent + 1, bucket.spent()
        now += timedelta(seconds=1)
    minutes = (now - AT) / timedelta(minutes=1)
    assert told == total
    assert sent <= burst + per_minute * minutes + 1


def test_a_digest_says_how_many_of_what_and_names_the_worst_first() -> None:
    told = [
        {
            "alert_id": f"a{n}", "kind": "low_stock" if n % 3 else "price_mismatch", "severity": "warning" if n % 3 else "critical",
            "title": f"title {n}", "moment": "opened", "created_at": AT + timedelta(seconds=n),
        }
        for n in range(30)
    ]  # fmt: skip
    told.append({**told[1], "moment": "resolved", "created_at": AT + timedelta(seconds=40)})
    said = digest("key", "mail", told, AT + timedelta(minutes=1))
    named = said.pop("alerts")
    assert said == {
        "notice_id": "key", "moment": "digest", "by": "desk", "at": "2026-05-04T10:01:00.000Z", "severity": "critical",
        "title": "31 notices of 30 alerts, grouped", "detail": "20 low_stock, 10 price_mismatch", "channel": "mail",
        "notice_count": 31, "alert_count": 30, "by_severity": {"warning": 20, "critical": 10},
        "by_kind": {"low_stock": 20, "price_mismatch": 10}, "by_moment": {"opened": 30, "resolved": 1},
        "first_at": "2026-05-04T10:00:00.000Z", "last_at": "2026-05-04T10:00:40.000Z",
    }  # fmt: skip
    assert len(named) == 20
    assert [one["severity"] for one in named] == ["critical"] * 10 + ["warning"] * 10
    assert named[0] == {"alert_id": "a0", "kind": "price_mismatch", "severity": "critical", "title": "title 0"}


@pytest.mark.parametrize(
    ("attempts", "jitter", "seconds"),
    [(1, 0, 1), (2, 0, 2), (5, 0, 16), (9, 0, 60), (10_000, 0, 60), (5, 1, 8), (5, 0.5, 12)],
)
def test_the_wait_doubles_up_to_the_longest_and_jitter_takes_up_to_half(
    attempts: int, jitter: float, seconds: float
) -> None:
    assert delay(attempts, first_seconds=1, longest_seconds=60, jitter=jitter) == timedelta(seconds=seconds)
