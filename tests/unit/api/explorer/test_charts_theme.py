"""Colours that everyone can tell apart and read, computed from the themes themselves."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from api.explorer.charts.measures import measure
from api.explorer.charts.outlines import CENTRES, shapes
from api.explorer.charts.theme import THEMES
from lakehouse.countries import COUNTRIES

# What is left of a colour without one kind of cone: Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009, severity 1
_SIGHT = {
    "full": np.eye(3),
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.9505, 1.0, 1.089])


def _linear(colour: str) -> NDArray[np.float64]:
    parts = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _contrast(a: str, b: str) -> float:
    dark, light = sorted(float(_XYZ[1] @ _linear(one)) for one in (a, b))
    return (light + 0.05) / (dark + 0.05)


def _lab(colour: str, sight: str) -> NDArray[np.float64]:
    x, y, z = np.cbrt(_XYZ @ np.clip(np.array(_SIGHT[sight]) @ _linear(colour), 0.001, 1) / _WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("name", THEMES)
def test_data_and_words_stand_out_from_the_surface(name: str) -> None:
    theme = THEMES[name]

    assert all(_contrast(colour, theme.surface) >= 3 for colour in theme.palette)
    assert all(_contrast(colour, theme.surface) >= 4.5 for colour in (theme.ink, theme.muted))
    assert all(_contrast(theme.ink, colour) >= 4.5 for colour in (*theme.ramp, theme.land))


@pytest.mark.parametrize("sight", _SIGHT)
@pytest.mark.parametrize("name", THEMES)
def test_any_two_colours_of_the_palette_are_apart_for_everyone(name: str, sight: str) -> None:
    pairs = combinations(THEMES[name].palette, 2)

    nearest = min((float(np.linalg.norm(_lab(a, sight) - _lab(b, sight))), a, b) for a, b in pairs)

    assert nearest[0] > 15, nearest  # a difference of 10 is seen at a glance


def test_the_map_knows_every_country_and_each_centre_lies_in_its_outline() -> None:
    corners = {one["id"]: [c for ring in one["geometry"]["coordinates"] for c in ring[0]] for one in shapes()}

    assert set(CENTRES) == set(corners) == set(COUNTRIES)
    for code, (longitude, latitude) in CENTRES.items():
        west, east = min(c[0] for c in corners[code]), max(c[0] for c in corners[code])
        south, north = min(c[1] for c in corners[code]), max(c[1] for c in corners[code])
        assert west < longitude < east
        assert south < latitude < north


def test_outlines_run_clockwise_or_vega_would_fill_the_rest_of_the_world() -> None:
    for one in shapes():
        for (ring,) in one["geometry"]["coordinates"]:
            doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
            assert doubled < 0, one["id"]


@pytest.mark.parametrize(
    ("column", "value", "written", "short"),
    [
        ("revenue", 1234567.891, "$1,234,567.89", "$1.2M"),
        ("revenue", -5.5, "-$5.50", "-$5.5"),
        ("revenue", 999.99, "$999.99", "$1,000"),
        ("revenue", 2.5e9, "$2,500,000,000.00", "$2.5B"),
        ("order_count", 12345, "12,345", "12.3k"),
        ("unit_count", 7, "7 units", "7"),
        ("conversion_rate", 0.0756, "7.6%", "8%"),
        ("lift", 1.25, "1.25", "1.2"),
    ],
)
def test_values_are_written_with_their_unit(column: str, value: float, written: str, short: str) -> None:
    assert (measure(column).written(value), measure(column).short(value)) == (written, short)
