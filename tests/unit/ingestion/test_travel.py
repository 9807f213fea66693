"""Customers abroad: nobody is ever faster from one country to the next than an airliner, and about 3% are away."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.travel import KM, locations
from ingestion.world import World

WORLD = World(1)
START = 1_780_012_800_000
MINUTE = 60_000


@pytest.fixture(scope="module")
def fortnight() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(minute, country, is in the air) of 400 users, every ten minutes; shape (times, users)."""
    times = START + np.arange(0, 14 * 24 * 60, 10) * MINUTE
    users = np.arange(400) * 1_000
    country, in_air = locations(WORLD, np.tile(users, len(times)), np.repeat(times, len(users)))
    return times, country.reshape(len(times), -1), in_air.reshape(len(times), -1)


def test_no_change_of_country_is_faster_than_an_airliner(fortnight) -> None:
    times, country, in_air = fortnight
    changes = 0
    for user in range(country.shape[1]):
        seen = np.flatnonzero(~in_air[:, user])
        where, when = country[seen, user], times[seen]
        for place in np.flatnonzero(np.diff(where)):
            hours = (when[place + 1] - when[place]) / (60 * MINUTE)
            assert KM[where[place], where[place + 1]] / hours < 900
            changes += 1
    assert changes > 20


def test_about_three_percent_are_abroad(fortnight) -> None:
    _, country, in_air = fortnight
    home = WORLD.user_country(np.arange(400) * 1_000)
    assert ((country != home) & ~in_air).mean() == pytest.approx(0.03, abs=0.015)


def test_a_place_is_a_function_of_user_and_time_alone() -> None:
    users, at = np.arange(1_000) * 17, START + np.arange(1_000) * 977_777
    together = locations(WORLD, users, at)
    alone = [locations(WORLD, users[i : i + 1], at[i : i + 1]) for i in range(0, 1_000, 100)]
    assert [int(one[0][0]) for one in alone] == together[0][::100].tolist()
    assert [bool(one[1][0]) for one in alone] == together[1][::100].tolist()
