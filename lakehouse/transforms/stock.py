"""Stock: what level, sell rate and status follow from a product's movements. Pure, numpy to numpy, one element per product.

Definitions, used by every reader: level = opening stock + changes - units sold. Sell rate at time T = sum over sales of
quantity x exp(-(T - t) / M) / M, t the sale's event time, M the mean age that counts (`rate_days`): a steady sale of r units a
day gives r. Days of cover = level / sell rate. All of them are sums, so the order in which movements arrive does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.settings import Settings

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]

STATUSES = ("ok", "low", "out")
ALARMS = ("ok", "low", "out", "oversold")
OK, LOW, OUT, OVERSOLD = range(4)
DAY_US = 86_400_000_000
LEAST_RATE = 1e-9  # units a day; what sells less does not sell, and days of cover stay a sensible number


@dataclass(frozen=True)
class StockRules:
    """When stock is low: at `low_units` or fewer, or with less than `low_days` of cover.

    It is ok again only above `low_units` and `low_days` times `recovery_factor`, so that it does not flap at the threshold.
    """

    low_units: int
    low_days: float
    recovery_factor: float
    rate_days: float

    @classmethod
    def of(cls, settings: Settings) -> StockRules:
        return cls(
            settings.stock_low_units,
            settings.stock_low_days,
            settings.stock_recovery_factor,
            settings.stock_rate_days,
        )

    def weights(self, age_us: Int64s) -> Floats:
        """What a unit sold `age_us` microseconds ago adds to the sell rate, relative to one sold now: 1 down to 0."""
        return np.asarray(np.exp(-np.maximum(age_us, 0) / (self.rate_days * DAY_US)))

    def cover(self, level: Int64s, rate: Floats) -> Floats:
        """Days that the stock lasts; infinite where nothing sells."""
        days = np.full(len(level), np.inf)
        np.divide(np.maximum(level, 0), rate, out=days, where=rate >= LEAST_RATE)
        return days

    def status(self, level: Int64s, cover: Floats, before: Codes) -> Codes:
        """Index into STATUSES. `before` is the status that the product had: one that was not ok has further to go."""
        is_low = (level <= self.low_units) | (cover < self.low_days)
        is_well = (level > self.low_units * self.recovery_factor) & (cover >= self.low_days * self.recovery_factor)
        low_or_ok = np.where(is_low | ((before != OK) & ~is_well), LOW, OK)
        return np.where(level <= 0, OUT, low_or_ok).astype(np.int8)


def oversold(level: Int64s) -> Int64s:
    """Units sold that the stock does not cover."""
    return np.maximum(-level, 0)


def alarm(status: Codes, level: Int64s, before: Codes) -> Codes:
    """Index into ALARMS: the worst since the product was last ok. Falls back only when it is ok again."""
    now = np.where(level < 0, OVERSOLD, status)
    return np.where(status == OK, OK, np.maximum(now, before)).astype(np.int8)
