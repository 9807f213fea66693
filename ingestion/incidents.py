"""What happens to the shop for a while: many more visits, a bad release of its front end, shelves that empty. Which, when, how much; no traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ingestion.hashing import Floats, Ints

Kind = Literal["sale-peak", "bad-release", "stock-out-wave"]

PEAK_TIMES = 5
"""How many times as many visits as usual come in a sale peak."""
BROKEN_SHARE = 0.5
"""Share of the product views and cart events that a bad release breaks."""
WAVE_PRODUCTS = 25
"""Products whose shelves a stock-out wave empties: those that sell first. Nobody delivers before the wave is over."""


@dataclass(frozen=True)
class Incident:
    """One incident from `from_ms` up to `to_ms`, ms since 1970 (UTC) of event time."""

    kind: Kind
    from_ms: int
    to_ms: int

    def holds(self, at: Ints) -> npt.NDArray[np.bool_]:
        """Whether each time lies in it."""
        return np.asarray((at >= self.from_ms) & (at < self.to_ms))


def visit_factors(incidents: tuple[Incident, ...], edges: Ints) -> Floats:
    """How many times as many visits come between each two of `edges` as without the sale peaks."""
    factors = np.ones(len(edges) - 1)
    for peak in of_kind(incidents, "sale-peak"):
        inside = np.minimum(edges[1:], peak.to_ms) - np.maximum(edges[:-1], peak.from_ms)
        factors += (PEAK_TIMES - 1) * np.maximum(inside, 0) / np.maximum(np.diff(edges), 1)
    return factors


def of_kind(incidents: tuple[Incident, ...], kind: Kind) -> tuple[Incident, ...]:
    return tuple(one for one in incidents if one.kind == kind)


def any_holds(incidents: tuple[Incident, ...], at: npt.ArrayLike) -> npt.NDArray[Any]:
    """Whether each time lies in one of `incidents`."""
    times = np.asarray(at, dtype=np.int64)
    held = np.zeros(len(times), dtype=np.bool_)
    for one in incidents:
        held |= one.holds(times)
    return held
