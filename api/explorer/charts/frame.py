"""What all charts share: title, description for screen readers, the width of the place they stand in, and the chart of nothing."""

from __future__ import annotations

from textwrap import wrap

import altair as alt

from api.explorer.charts.rows import Row
from api.explorer.charts.theme import Theme

Figure = alt.Chart | alt.LayerChart

HEIGHT = 280
ROW_HEIGHT = 26
_LINE = 48  # characters of a subtitle that a phone has room for


def data(rows: list[Row]) -> alt.InlineData:
    return alt.InlineData(values=rows)


def layered(*charts: alt.Chart) -> alt.LayerChart:
    """The charts over one another, the last on top."""
    return alt.LayerChart(layer=list(charts))


def framed(chart: Figure, theme: Theme, title: str, subtitle: str, description: str, height: int = HEIGHT) -> Figure:
    """`chart` as wide as its container, with a title and, for who does not see it, `description`."""
    named = chart.properties(
        width="container",
        height=height,
        title=alt.TitleParams(text=title, subtitle=wrap(subtitle, _LINE) or alt.Undefined),
        description=f"{title}. {description}",
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    themed: Figure = named.configure(**theme.config)
    return themed


def nothing(theme: Theme, title: str, message: str = "", height: int = HEIGHT) -> Figure:
    """In place of a chart without rows: one that says so, of the same size."""
    words = message or "Nothing to show for this selection."
    chart = alt.Chart(data([{"message": words}])).mark_text(style="message").encode(text=alt.Text("message:N"))
    return framed(chart, theme, title, "", words, height)


def counted(count: int, word: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def bars_height(count: int) -> int:
    """Height of a chart with `count` horizontal bars, pixels."""
    return max(3, count) * ROW_HEIGHT
