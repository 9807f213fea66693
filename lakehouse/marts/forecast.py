"""The next 14 days of a daily series, with an 80% interval and the error that the same method made on the last 14 days known. No Spark.

Method: exponential smoothing as a state space model, with additive errors, an additive weekly season, and no trend, an additive or a damped
one, as AICc chooses (Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", chapter 8, https://otexts.com/fpp3/expsmooth.html),
fitted to the last 112 days by statsforecast. Additive, because a series may have days of nothing. Each series is forecast by itself: the
forecasts of the categories do not add up to that of all. A yearly season is not in it.

Error: sum of |actual - forecast| / sum of actual (Kolassa and Schütz, "Advantages of the MAD/Mean Ratio over the MAPE", Foresight 6, 2007),
since a percentage of each day has no meaning on a day of nothing. Beside it stands the seasonal naive forecast's: a method that does not
beat "as last week" is not worth its name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FORECAST_DAYS = 14
FITTED_DAYS = 112
LEAST_DAYS = 14  # to forecast at all: two weeks; a back-test needs as many before the days it holds back
INTERVAL_PERCENT = 80
_WEEK = 7

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """Revenue a day, USD, of the 14 days to come: what is expected, and the ends of the interval. Never negative."""

    expected: Values
    low: Values
    high: Values


@dataclass(frozen=True)
class BackTest:
    """Errors as shares of the actual revenue, and the share of days inside the interval; None where there is no telling."""

    error: float | None
    naive_error: float | None
    coverage: float | None


def forecast(values: Values) -> Forecast | None:
    """The 14 days after `values`, USD a day without a gap; None where they are less than two weeks."""
    from statsforecast.models import AutoETS  # importing it takes seconds: only where a forecast is made

    if len(values) < LEAST_DAYS:
        return None
    known = values[-FITTED_DAYS:]
    found = AutoETS(season_length=_WEEK, model="AZA").forecast(y=known, h=FORECAST_DAYS, level=[INTERVAL_PERCENT])
    ends = (f"lo-{INTERVAL_PERCENT}", f"hi-{INTERVAL_PERCENT}")
    return Forecast(*(np.maximum(np.asarray(found[name], np.float64), 0.0) for name in ("mean", *ends)))


def back_test(values: Values) -> BackTest:
    """Forecast the last 14 days of `values` from those before, and compare; nothing to tell where those are less than two weeks."""
    known, actual = values[:-FORECAST_DAYS], values[-FORECAST_DAYS:]
    found = forecast(known)
    if found is None:
        return BackTest(None, None, None)
    naive = np.tile(known[-_WEEK:], FORECAST_DAYS // _WEEK)
    inside = (actual >= found.low) & (actual <= found.high)
    return BackTest(_error(actual, found.expected), _error(actual, naive), float(np.mean(inside)))


def _error(actual: Values, expected: Values) -> float | None:
    total = float(np.sum(actual))
    return float(np.sum(np.abs(actual - expected))) / total if total > 0 else None
