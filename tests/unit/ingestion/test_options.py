"""Options: durations and dates as people write them, and one sentence for what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from ingestion.options import OptionError, history, live, parse_duration, parse_start
from ingestion.shares import Shares

START = parse_start("2026-05-29")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("10m", 600), ("1.5h", 5_400), ("30d", 2_592_000), ("4w", 2_419_200), (" 2 D ", 172_800)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "-5s", "0s", "10 parsecs", "1e3s", "NaNs"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is not one; write a number and a unit"):
        parse_duration(text)


def test_a_start_without_a_zone_is_utc() -> None:
    assert parse_start("2026-05-29") == parse_start("2026-05-29T02:00:00+02:00") == 1_780_012_800_000


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rate": -5.0}, "The rate is -5"),
        ({"rate": 0.0}, "The rate is 0"),
        ({"rate": float("nan")}, "The rate is nan"),
        ({"scale": 0.0}, "The scale is 0"),
        ({"scale": 1.5}, "The scale is 1.5"),
        ({"disorder_seconds": -1.0}, "The disorder is -1"),
        ({"seed": -1}, "The seed is -1"),
        ({"streams": ("orders",)}, "There is no stream 'orders'; there are transactions, product_views"),
        ({"streams": ()}, "No stream is named"),
        ({"start_ms": parse_start("1999-12-31")}, "before the year 2000"),
        ({"start_ms": parse_start("2999-01-01")}, "would end in the future"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], text: str) -> None:
    values = {"start_ms": START, **changes}
    with pytest.raises(OptionError, match=text):
        history(86_400.0, **values)


def test_a_start_that_is_no_date_is_refused() -> None:
    with pytest.raises(OptionError, match="The start 'yesterday' is no date"):
        parse_start("yesterday")


def test_a_history_without_a_start_ends_now_to_the_second() -> None:
    options = history(86_400.0)
    assert options.start_ms % 1000 == 0
    assert options.end_ms - options.start_ms == 86_400_000


def test_the_run_key_follows_what_shapes_the_bytes_and_nothing_else() -> None:
    base = history(86_400.0, START)
    same = [history(86_400.0, START, truth="full"), history(86_400.0, START, catalogue=False)]
    others = [
        history(86_400.0, START, seed=2),
        history(86_400.0, START, scale=0.03),
        history(86_400.0, START, shares=Shares(late=0.1)),
        history(86_401.0, START),
        history(86_400.0, START + 1),
        live(86_400.0),
    ]
    assert {options.run_key for options in same} == {base.run_key}
    assert len({base.run_key, *(options.run_key for options in others)}) == 7
