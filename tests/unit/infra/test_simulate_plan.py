"""A simulation's plan: incidents as people write them, one sentence for what makes no sense, and the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.simulate.plan import KINDS, Clock, Incident, PlanError, make_plan, parse_incident

NOW = datetime(2026, 6, 15, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


def plan(**changes: Any) -> Any:
    return make_plan(**({"days": 7, "speed": 600, "scale": 0.02, "seed": 1, "incidents": [], "now": NOW} | changes))


@pytest.mark.parametrize(
    ("text", "begins", "lasts"),
    [
        ("sale-peak@2d10h", timedelta(days=2, hours=10), timedelta(hours=3)),
        ("broker-loss@90m+30m", timedelta(minutes=90), timedelta(minutes=30)),
        ("bad-release@0h+1d2h3m", timedelta(), timedelta(days=1, hours=2, minutes=3)),
        ("stock-out-wave", timedelta(hours=126), timedelta(hours=4)),
        ("broker-loss+2h", timedelta(hours=101), timedelta(hours=2)),
    ],
)
def test_incidents_are_read(text: str, begins: timedelta, lasts: timedelta) -> None:
    incident = parse_incident(text, WEEK)
    assert (incident.begins, incident.ends) == (begins, begins + lasts)
    assert parse_incident(str(incident), WEEK) == incident


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_fits_into_a_single_day_where_no_time_is_given(kind: str) -> None:
    assert parse_incident(kind, timedelta(days=1)).ends <= timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "flood@1d",
            "There is no incident 'flood'; there are bad-release, sale-peak, broker-loss, stock-out-wave. Example: ",
        ),
        ("sale-peak@noon", "write KIND, KIND@WHEN or KIND@WHEN.LENGTH"),
        ("sale-peak@", "lacks a time after its sign; write it such as sale-peak@1d6h.3h"),
        ("sale-peak@1d+", "lacks a time after its sign"),
        ("sale-peak@1d+0h", "lacks a time after its sign"),
        ("sale-peak@1d+0d0h", "lacks a time after its sign"),
        ("sale-peak@99999999999d", "is not one"),
        ("sale-peak@7d", "the simulation is over after 7d"),
        ("sale-peak@6d23h", "lasts from 6d23h to 7d2h, .* such as sale-peak@6d18h, or add days"),
        ("", "is not one"),
    ],
)
def test_what_is_no_incident_is_refused_with_an_example(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        parse_incident(text, WEEK)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"days": 0}, "--days is 0; .* such as --days 7"),
        ({"days": 400}, "from 1 to 31"),
        ({"speed": 0.5}, "--speed is 0.5; .* such as --speed 600"),
        ({"speed": 5000}, "from 1 to 1440"),
        ({"speed": float("nan")}, "--speed is nan"),
        ({"scale": 0}, "--scale is 0; .* such as --scale 0.02"),
        ({"seed": -1}, "--seed is -1"),
        (
            {"incidents": ["broker-loss@1d+4h", "broker-loss@1d2h+4h"]},
            "broker-loss@1d.4h and broker-loss@1d2h.4h overlap",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        plan(**changes)


def test_the_simulated_days_are_those_before_today() -> None:
    made = plan(incidents=["broker-loss@1d", "sale-peak@2d10h"])
    assert (made.start, made.end) == (datetime(2026, 6, 8, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=UTC))
    assert made.real_seconds == 1008
    traffic = made.traffic()
    assert traffic.end_ms == made.end.timestamp() * 1000
    assert [one.kind for one in traffic.incidents] == ["sale-peak"]  # the broker is not the generator's business
    assert traffic.incidents[0].from_ms == datetime(2026, 6, 10, 10, tzinfo=UTC).timestamp() * 1000


def test_the_clock_goes_both_ways() -> None:
    clock = Clock(datetime(2026, 6, 8, tzinfo=UTC), NOW, 600)
    later = NOW + timedelta(seconds=144)
    assert clock.simulated(later) == datetime(2026, 6, 9, tzinfo=UTC)
    assert clock.real(clock.simulated(later)) == later


def test_an_incident_is_written_as_it_is_asked_for() -> None:
    assert str(Incident("bad-release", timedelta(), timedelta(hours=25, minutes=5))) == "bad-release@0h+1d1h5m"
