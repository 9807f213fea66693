"""`lakehouse.marts.forecast`: what must come out of series whose future is known, and of those with nothing to tell."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.marts.forecast import FITTED_DAYS, BackTest, back_test, forecast

WEEK = np.array([10.0, 20, 30, 40, 50, 60, 70])


def test_a_week_that_repeats_goes_on() -> None:
    found = forecast(np.tile(WEEK, 10))
    assert found is not None
    for values in (found.expected, found.low, found.high):
        assert values == pytest.approx(np.tile(WEEK, 2), abs=0.5)
    test = back_test(np.tile(WEEK, 10))
    assert test.error == pytest.approx(0, abs=0.01)
    assert test.naive_error == 0


def test_the_interval_holds_the_expectation_and_widens_with_noise() -> None:
    noise = np.random.default_rng(1).standard_normal(112)
    quiet, loud = forecast(np.tile(WEEK, 16) + 100 + noise), forecast(np.tile(WEEK, 16) + 100 + 10 * noise)
    assert quiet is not None
    assert loud is not None
    assert np.all((quiet.low <= quiet.expected) & (quiet.expected <= quiet.high))
    assert np.all(loud.high - loud.low > 5 * (quiet.high - quiet.low))
    # 80% of a normal distribution lie within 1.28 standard deviations
    assert loud.high[0] - loud.low[0] == pytest.approx(2 * 1.28 * 10, rel=0.25)


def test_days_of_nothing_are_no_obstacle_and_no_forecast_is_negative() -> None:
    seldom = np.where(np.random.default_rng(2).random(100) < 0.05, 50.0, 0.0)
    for values in (seldom, np.zeros(60), np.full(60, 5.0), np.linspace(100, 0, 60)):
        found = forecast(values)
        assert found is not None
        assert len(found.expected) == 14
        assert min(found.expected.min(), found.low.min(), found.high.min()) >= 0
        assert np.isfinite([found.expected, found.low, found.high]).all()
    assert back_test(np.zeros(60)) == BackTest(None, None, 1.0)


def test_only_the_last_sixteen_weeks_are_fitted() -> None:
    values = np.tile(WEEK, 16)
    assert len(values) == FITTED_DAYS
    with_past, without = forecast(np.concatenate([np.full(50, 9_999.0), values])), forecast(values)
    assert with_past is not None
    assert without is not None
    assert with_past.expected.tolist() == without.expected.tolist()


@pytest.mark.parametrize("days", range(14, 36))
def test_two_weeks_are_enough_to_forecast_and_four_to_test(days: int) -> None:
    values = 100 + np.random.default_rng(days).random(days)
    found = forecast(values)
    assert found is not None
    assert np.isfinite([found.expected, found.low, found.high]).all()
    test = back_test(values)
    assert (test == BackTest(None, None, None)) is (days < 28)


@pytest.mark.parametrize("days", [0, 1, 13])
def test_less_than_two_weeks_have_no_forecast(days: int) -> None:
    assert forecast(np.ones(days)) is None
    assert back_test(np.ones(days)) == BackTest(None, None, None)


def test_the_naive_error_is_that_of_the_week_before() -> None:
    values = np.concatenate([np.tile(WEEK, 4), WEEK + 7, WEEK])
    # 7 too low on seven days, right on seven, of 280 x 2 + 49 USD
    assert back_test(values).naive_error == pytest.approx(49 / 609)
