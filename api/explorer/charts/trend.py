"""Revenue over time: what was sold, its weekly average, and the days to come with their interval."""

from __future__ import annotations

import altair as alt

from api.explorer.charts.frame import Figure, data, framed, layered, nothing
from api.explorer.charts.measures import measure
from api.explorer.charts.rows import Row, Rows, rows_of
from api.explorer.charts.theme import LIGHT, Theme
from lakehouse.marts.forecast import INTERVAL_PERCENT

_AVERAGE = "revenue_average_7_days"
_FORECAST = ("revenue_forecast", "revenue_forecast_low", "revenue_forecast_high")
_WORDS = dict(zip(_FORECAST, ("Forecast", "Forecast, low end", "Forecast, high end"), strict=True))
_NAMES = ["Revenue", "7-day average", "Forecast"]


def revenue_over_time(table: Rows, theme: Theme = LIGHT, title: str = "Revenue over time") -> Figure:
    """One series of `gold/sales_trends`: rows with `period_start` and `revenue`; optional `revenue_average_7_days` and `revenue_forecast`
    with `_low` and `_high`. The periods must be of one type. A future day has a forecast in place of revenue.
    """
    rows = sorted(
        rows_of(table, ["period_start", "revenue"], [_AVERAGE, *_FORECAST]), key=lambda row: row["period_start"]
    )
    if not rows:
        return nothing(theme, title)
    layers = [_series(rows, _NAMES[0], "revenue").mark_line(point=True)]
    if any(row.get(_AVERAGE) is not None for row in rows):
        layers.append(_series(rows, _NAMES[1], _AVERAGE).mark_line())
    future = [row for row in rows if row.get(_FORECAST[0]) is not None]
    if future:
        expected = _series(future, _NAMES[2], *_FORECAST).mark_line(strokeDash=[6, 4])
        layers = [_interval(future), *layers, expected]
    subtitle = f"Shaded: {INTERVAL_PERCENT}% of days are expected inside" if future else ""
    return framed(layered(*layers), theme, title, subtitle, _words(rows, future))


def _colour() -> alt.Color:
    # the domain is fixed: the forecast has the third colour with or without an average
    return alt.Color("series:N", scale=alt.Scale(domain=_NAMES), legend=alt.Legend(title=None))


def _series(rows: list[Row], name: str, *columns: str) -> alt.Chart:
    """A chart, still without a mark, of the rows that have the first of `columns`."""
    drawn = [
        {"series": name, "period_start": row["period_start"], **{column: row.get(column) for column in columns}}
        for row in rows
        if row.get(columns[0]) is not None
    ]
    chart: alt.Chart = alt.Chart(data(drawn)).encode(
        x=measure("period_start").when("First day (UTC)", grid=False),
        y=alt.Y(columns[0], type="quantitative", axis=measure("revenue").axis()),
        color=_colour(),
        tooltip=[
            measure("period_start").tooltip(),
            *[measure(column).tooltip(f"{_WORDS.get(column, name)} (USD)") for column in columns],
        ],
    )
    return chart


def _interval(rows: list[Row]) -> alt.Chart:
    expected, low, high = _FORECAST
    chart: alt.Chart = _series(rows, _NAMES[2], low, high, expected).mark_area(opacity=0.25).encode(y2=high)
    return chart


def _words(rows: list[Row], future: list[Row]) -> str:
    known = [row for row in rows if row["revenue"] is not None]
    words = "Line chart of revenue in USD"
    if known:
        last = known[-1]
        words += f" from {known[0]['period_start']} to {last['period_start']}, when it was ${last['revenue']:,.2f}"
    if future:
        last = future[-1]
        words += f"; forecast to {last['period_start']}: ${last[_FORECAST[0]]:,.2f}"
    return words + "."
