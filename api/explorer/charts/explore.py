"""The chart of the explore page: any measure by one or two dimensions, in the shape that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import altair as alt

from api.explorer.charts.bars import bars
from api.explorer.charts.frame import Figure, bars_height, data, framed, nothing
from api.explorer.charts.heat import heat_map
from api.explorer.charts.measures import measure
from api.explorer.charts.rows import ChartError, Rows, distinct, rows_of
from api.explorer.charts.sales_map import sales_map
from api.explorer.charts.theme import LIGHT, Theme
from api.explorer.charts.timeline import colour, few_enough, over_time

MOST_BARS = 50


class ChartType(StrEnum):
    """The shapes that one may choose."""

    line = "line"
    area = "area"
    bar = "bar"
    heat_map = "heat_map"
    map = "map"


def explore(
    table: Rows, value: str, dimensions: Sequence[str], chart_type: ChartType, theme: Theme = LIGHT, title: str = ""
) -> Figure:
    """`value` by `dimensions`, one row for each combination of them.

    Line and area need a time first; a heat map needs two dimensions; a map needs `country` alone. Raises ChartError, in a sentence for the
    one who asked, where the shape does not fit.
    """
    if not 1 <= len(dimensions) <= 2:
        raise ChartError(f"A chart has one or two dimensions, not {len(dimensions)}: the table below shows them all.")
    first, second = dimensions[0], dimensions[1] if len(dimensions) == 2 else ""
    if chart_type is ChartType.heat_map:
        if not second:
            raise ChartError("A heat map needs two dimensions: choose a second one, or bars.")
        return heat_map(table, first, second, value, theme, title)
    if chart_type is ChartType.map:
        if second or first != "country":
            raise ChartError("A map shows countries and nothing else: choose the dimension country alone.")
        return sales_map(table, value, theme, title)
    if chart_type in {ChartType.line, ChartType.area} or measure(first).is_temporal:
        return over_time(table, first, value, second, chart_type.value, theme, title)
    return _grouped(table, value, first, second, theme, title)


def _grouped(table: Rows, value: str, first: str, second: str, theme: Theme, title: str) -> Figure:
    rows = [row for row in rows_of(table, [first, value, *([second] if second else [])]) if row[value] is not None]
    if (count := len(distinct(rows, first)) if rows else 0) > MOST_BARS:
        raise ChartError(f"{count} bars cannot be read: filter {first} to {MOST_BARS}, or look at the table.")
    if not second:
        return bars(rows, first, value, theme, title or f"{measure(value).title} by {measure(first).title.lower()}")
    amount = measure(value)
    shown = title or f"{amount.title} by {measure(first).title.lower()} and {measure(second).title.lower()}"
    if not rows:
        return nothing(theme, shown)
    few_enough(rows, second)
    chart = (
        alt.Chart(data(rows))
        .mark_bar()
        .encode(
            y=alt.Y(first, type="nominal", sort="-x", axis=alt.Axis(title=None, labelLimit=160, ticks=False)),
            x=alt.X(value, type="quantitative", axis=amount.axis(), stack="zero"),
            color=colour(rows, second),
            tooltip=[measure(column).tooltip() for column in (first, second, value)],
        )
    )
    words = f"Stacked bar chart of {amount.label}, {count} bars in parts by {measure(second).title.lower()}."
    return framed(chart, theme, shown, "", words, bars_height(count))
