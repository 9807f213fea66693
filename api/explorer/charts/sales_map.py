"""Sales on the map: a circle on each country whose area is the value, and the value in figures beside it."""

from __future__ import annotations

import altair as alt

from api.explorer.charts.frame import Figure, data, framed, layered, nothing
from api.explorer.charts.measures import measure
from api.explorer.charts.outlines import CENTRES, shapes
from api.explorer.charts.rows import ChartError, Row, Rows, rows_of
from api.explorer.charts.theme import LIGHT, Theme
from lakehouse.countries import COUNTRIES

_HEIGHT = 340
_LARGEST = 1_600  # square pixels: neighbours in Europe stay apart
# Where a country's words stand beside its centre: Britain's clear of Germany and of America on a phone, India's within the edge
_PLACES = {"GB": ("right", -10, -20), "IN": ("right", -25, 0)}
_PLACE = ("left", 25, 0)
_SEEN = [[-128, -40], [103, 62]]  # degrees: the part of the world that has all countries of operation


def sales_map(table: Rows, value: str = "revenue", theme: Theme = LIGHT, title: str = "") -> Figure:
    """Rows with `country` (code) and `value`, one for each country; others with a centre are drawn without a circle.

    Raises ChartError for a country that the map does not know, such as `all`.
    """
    amount = measure(value)
    shown = title or f"{amount.title} by country"
    rows = [row for row in rows_of(table, ["country", value]) if row[value] is not None]
    if unknown := [row["country"] for row in rows if row["country"] not in CENTRES]:
        raise ChartError(f"The map has no country {unknown[0]}; it knows {', '.join(CENTRES)}.")
    if not rows:
        return nothing(theme, shown, height=_HEIGHT)
    rows.sort(key=lambda row: -row[value])  # small circles over large ones
    for row in rows:
        row["longitude"], row["latitude"] = CENTRES[row["country"]]
        row["name"] = COUNTRIES[row["country"]].name
        row["label"] = f"{row['name']} {amount.short(row[value])}"
    chart = layered(
        alt.Chart(alt.graticule(extent=_SEEN, step=[20, 20])).mark_geoshape(style="graticule", filled=False),
        alt.Chart(alt.InlineData(values=shapes())).mark_geoshape(style="land"),
        _circles(rows, value),
        *[_labels(rows, place) for place in (_PLACE, *_PLACES.values())],
    ).project(type="equirectangular")
    words = "Map with a circle on each country. " + " ".join(
        f"{row['name']}: {amount.written(row[value])}." for row in rows
    )
    subtitle = f"Area of a circle: {amount.label}; outlines are coarse"
    return framed(chart, theme, shown, subtitle, words, _HEIGHT)


def _circles(rows: list[Row], value: str) -> alt.Chart:
    amount = measure(value)
    chart: alt.Chart = (
        alt.Chart(data(rows))
        .mark_circle(opacity=0.75)
        .encode(
            longitude="longitude:Q",
            latitude="latitude:Q",
            size=alt.Size(value, type="quantitative", scale=alt.Scale(domainMin=0, range=[0, _LARGEST]), legend=None),
            tooltip=[alt.Tooltip("name:N", title="Country"), amount.tooltip()],
        )
    )
    return chart


def _labels(rows: list[Row], place: tuple[str, int, int]) -> alt.Chart:
    align, dx, dy = place
    chart: alt.Chart = (
        alt.Chart(data([row for row in rows if _PLACES.get(row["country"], _PLACE) == place]))
        .mark_text(align=align, dx=dx, dy=dy, fontWeight=600)  # type: ignore[arg-type]
        .encode(longitude="longitude:Q", latitude="latitude:Q", text="label:N")
    )
    return chart
