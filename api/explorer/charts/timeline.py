"""What comes in over time: ingestion rates by topic, anomalies as they happened and counted."""

from __future__ import annotations

from typing import Literal

import altair as alt

from api.explorer.charts.frame import Figure, counted, data, framed, nothing
from api.explorer.charts.measures import Measure, measure
from api.explorer.charts.rows import ChartError, Row, Rows, distinct, rows_of
from api.explorer.charts.theme import LIGHT, Theme

# A bar is as wide as the unit that its column is called by
_Unit = Literal[
    "utcyearmonthdate", "utcyearmonthdatehours", "utcyearmonthdatehoursminutes", "utcyearmonthdatehoursminutesseconds"
]
_UNITS: dict[str, _Unit] = {
    "second": "utcyearmonthdatehoursminutesseconds",
    "minute": "utcyearmonthdatehoursminutes",
    "hour": "utcyearmonthdatehours",
    "day": "utcyearmonthdate",
    "date": "utcyearmonthdate",
    "sales_date": "utcyearmonthdate",
    "period_start": "utcyearmonthdate",
}
MOST_SERIES = 6  # as many colours as people tell apart


def over_time(
    table: Rows,
    time: str,
    value: str,
    series: str = "",
    kind: str = "line",
    theme: Theme = LIGHT,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """`value` over `time`, one line for each value of `series`; `kind` is line, area or bar, of which the last two are stacked.

    Raises ChartError for a column that is not a time, or more series than people can tell apart.
    """
    when, amount = measure(time), measure(value)
    if not when.is_temporal:
        raise ChartError(f"A {kind} chart needs a time as its first dimension, and {time} is none: choose bars.")
    rows = [row for row in rows_of(table, [time, value, *([series] if series else [])]) if row[value] is not None]
    shown = title or f"{amount.title} over time"
    if not rows:
        return nothing(theme, shown)
    rows.sort(key=lambda row: row[time])
    few_enough(rows, series)
    chart = alt.Chart(data(rows))
    marks = {
        "line": chart.mark_line(point=len(rows) <= 200),
        "area": chart.mark_area(opacity=0.85),
        "bar": chart.mark_bar(),
    }
    drawn = marks[kind].encode(
        x=_when(when, kind),
        y=alt.Y(value, type="quantitative", axis=amount.axis(), stack=None if kind == "line" else "zero"),
        tooltip=[when.tooltip(), *([measure(series).tooltip()] if series else []), amount.tooltip()],
    )
    if series:
        drawn = drawn.encode(color=colour(rows, series))
    return framed(drawn, theme, shown, subtitle, _words(rows, when, amount, series))


def ingestion_rates(
    table: Rows, time: str = "second", theme: Theme = LIGHT, title: str = "Records coming in"
) -> Figure:
    """Rows with a time (`second` of Kafka time, or `minute`), `topic` and `record_count`, once added up by these two."""
    return over_time(table, time, "record_count", "topic", "area", theme, title, f"Records per {time}, by Kafka topic")


def anomaly_counts(table: Rows, time: str = "hour", theme: Theme = LIGHT, title: str = "Anomalies found") -> Figure:
    """Rows with a time (`hour`, or `day`), `detector` and `anomaly_count`."""
    return over_time(table, time, "anomaly_count", "detector", "bar", theme, title, f"Findings per {time}, by detector")


def anomalies(table: Rows, theme: Theme = LIGHT, title: str = "Anomalies") -> Figure:
    """Rows of `gold/anomalies`: `event_at`, `detector`, `score`; optional `explanation`, `country`, `verdict`."""
    more = ("verdict", "country", "explanation")
    rows = rows_of(table, ["event_at", "detector", "score"], more)
    if not rows:
        return nothing(theme, title, "No anomalies in this selection.")
    detectors = sorted(distinct(rows, "detector"))
    told = ["detector", "score", *[column for column in more if column in rows[0]]]
    drawn = (
        alt.Chart(data(rows))
        .mark_circle(opacity=0.7)
        .encode(
            x=measure("event_at").when("Event time (UTC)"),
            y=alt.Y(
                "detector:N", sort=detectors, axis=alt.Axis(title=None, grid=True, labelLimit=200, labelPadding=12)
            ),
            size=alt.Size("score:Q", scale=alt.Scale(domain=[0, 1], range=[20, 160]), legend=alt.Legend(title="Score")),
            tooltip=[measure("event_at").tooltip("Event time (UTC)"), *[measure(column).tooltip() for column in told]],
        )
    )
    words = f"{counted(len(rows), 'finding')} of {counted(len(detectors), 'detector')} on a time line: {', '.join(detectors)}."
    return framed(drawn, theme, title, "One circle for each finding, larger is surer", words, 40 + 36 * len(detectors))


def _when(time: Measure, kind: str) -> alt.X:
    axis = time.when("Time (UTC)", grid=False)
    return axis.timeUnit(_UNITS[time.column]) if kind == "bar" and time.column in _UNITS else axis


def few_enough(rows: list[Row], series: str) -> None:
    """Raises ChartError where `series` has more values than there are colours."""
    if series and (count := len(distinct(rows, series))) > MOST_SERIES:
        raise ChartError(
            f"{count} values of {series} cannot be told apart in one chart: filter to {MOST_SERIES}, or choose a heat map."
        )


def colour(rows: list[Row], series: str) -> alt.Color:
    """A colour for each value of `series`, the same whatever the order of rows."""
    names = sorted(distinct(rows, series), key=str)
    return alt.Color(
        series, type="nominal", scale=alt.Scale(domain=names), legend=alt.Legend(title=measure(series).title)
    )


def _words(rows: list[Row], when: Measure, amount: Measure, series: str) -> str:
    names = (
        f", by {measure(series).title.lower()}: {', '.join(str(one) for one in distinct(rows, series))}"
        if series
        else ""
    )
    return f"{amount.label} from {rows[0][when.column]} to {rows[-1][when.column]}{names}."
