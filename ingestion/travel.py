"""Where customers are: at home, abroad on a trip, or in the air and so not shopping. Pure functions of (seed, user, time)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ingestion.hashing import Ints, below, key64, uniform
from ingestion.vocabulary import COUNTRY_CODES
from ingestion.world import World

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_LEAVES_MS, _RETURNS_MS = _DAY_MS, 5 * _DAY_MS
# With four days in seven abroad, less the flight, this share of weeks with a trip puts about 3% of visits abroad.
_TRIP_SHARE = 0.06
_CRUISE_KM_PER_HOUR = 750
_ON_THE_GROUND_MS = 90 * 60_000  # to board and to leave; longer than a visit that began before it

# Kilometres between the main airports (JFK, LHR, FRA, DEL, GRU): great circles on a sphere of radius 6371 km over the
# coordinates that OurAirports publishes.
_KM = {
    ("US", "GB"): 5540, ("US", "DE"): 6189, ("US", "IN"): 11754, ("US", "BR"): 7664, ("GB", "DE"): 655,
    ("GB", "IN"): 6731, ("GB", "BR"): 9460, ("DE", "IN"): 6121, ("DE", "BR"): 9798, ("IN", "BR"): 14398,
}  # fmt: skip


def _matrix() -> npt.NDArray[np.int64]:
    size = len(COUNTRY_CODES)
    km = np.zeros((size, size), dtype=np.int64)
    for (one, other), distance in _KM.items():
        places = COUNTRY_CODES.index(one), COUNTRY_CODES.index(other)
        km[places] = km[places[::-1]] = distance
    return km


KM = _matrix()
"""Distance between the countries, indexed by their places in COUNTRIES."""


def locations(world: World, users: Ints, at: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """(country of each user at that time in ms since 1970, whether they are in the air between two).

    A user's week may hold one trip: off on its second day, back on its sixth, the flight at an airliner's pace.
    """
    home = world.user_country(users)
    shifted = at + below(key64("travel", world.seed, "phase"), users, _WEEK_MS)
    week, within = np.divmod(shifted, _WEEK_MS)
    trip = users * 10_000 + week
    travels = uniform(key64("travel", world.seed, "trip"), trip) < _TRIP_SHARE
    away = (home + 1 + below(key64("travel", world.seed, "country"), trip, len(COUNTRY_CODES) - 1)) % len(COUNTRY_CODES)
    flight = KM[home, away] * 3_600_000 // _CRUISE_KM_PER_HOUR + _ON_THE_GROUND_MS
    flies_out = (within >= _LEAVES_MS) & (within < _LEAVES_MS + flight)
    flies_back = (within >= _RETURNS_MS) & (within < _RETURNS_MS + flight)
    is_abroad = (within >= _LEAVES_MS + flight) & (within < _RETURNS_MS)
    return np.asarray(np.where(travels & is_abroad, away, home)), travels & (flies_out | flies_back)
